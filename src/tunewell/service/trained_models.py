"""The models that an experiment has trained, and their files. Those that are published are another thing: `models`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tunewell.home.home import Home
from tunewell.service.on_record import best_model, retrained_model
from tunewell.service.tars import Member, tar
from tunewell.service.types import TrainedModel, TrainedModelKind
from tunewell.spec.errors import NotFoundError
from tunewell.store.store import Store

_CHUNK_BYTES = 1 << 16


def list_models(store: Store, home: Home, name: str) -> tuple[TrainedModel, ...]:
    """Return the models of an experiment: the best trial's, and the one trained on all data, where there are any."""
    found = _folders(store, home, name)
    return tuple(TrainedModel(experiment=name, kind=kind, folder=str(folder)) for kind, folder in found.items())


def archive(store: Store, home: Home, name: str, kind: TrainedModelKind) -> Iterator[bytes]:
    """Return the folder of a model as the parts of a tar, a few of which are held at once.

    Raises:
        NotFoundError: the experiment has no such model.
    """
    folder = _folders(store, home, name).get(kind)
    if folder is None:
        raise NotFoundError(f"Experiment '{name}' has no model '{kind}'")
    return tar(members_of(folder))


def _folders(store: Store, home: Home, name: str) -> dict[TrainedModelKind, Path]:
    best, retrained = best_model(store, home, store.experiment(name)), retrained_model(store, home, name)
    found: dict[TrainedModelKind, Path] = {}
    if best is not None:
        found["best"] = best
    if retrained is not None:
        found["retrained"] = retrained
    return found


def members_of(folder: Path) -> Iterator[Member]:
    """Yield the files in a folder, by path; links are left out."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        known = path.stat()
        yield Member(path.relative_to(folder).as_posix(), known.st_size, known.st_mtime, partial(_parts, path))


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            yield part
