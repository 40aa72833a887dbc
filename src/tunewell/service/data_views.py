"""What a look at a data set has found, as the job that looked leaves it: `view.json`, and samples as small JPEGs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from tunewell.service import attempt_files
from tunewell.service.types import DataSetView, Sample
from tunewell.spec.errors import NotFoundError
from tunewell.tasks import data_view

#: Items that can't be read which are named, at most.
_BROKEN = 1000
_VIEW = "view.json"


def leave(view: data_view.DataView, task: str, artifacts: Path) -> None:
    """Write what was found into the folder of a job's files."""
    shown = _Shown(artifacts / "samples")
    summary = view.summary
    told = DataSetView(
        task=task,
        unit=summary.unit,
        items=dict(summary.items),
        counted=summary.counted or summary.unit,
        counts={name: tuple(counts) for name, counts in summary.counts.items()},
        sizes=dict(summary.sizes),
        notes=tuple(summary.notes),
        unusable=view.unusable,
        broken=dict(islice(view.broken.items(), _BROKEN)),
        broken_count=len(view.broken),
        copies=tuple((shown.sample(one), shown.sample(other)) for one, other in view.copies),
        copies_count=view.copied,
        examples={name: tuple(map(shown.sample, samples)) for name, samples in view.examples.items() if samples},
        width=view.width,
    )
    (artifacts / _VIEW).write_text(told.model_dump_json(), encoding="utf-8")


class _Shown:
    """Writes the pictures of samples, each once, and numbers them from 1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}

    def sample(self, one: data_view.Sample) -> Sample:
        if not one.image:
            return Sample(caption=one.caption, picture=None)
        number = self._numbers.setdefault(one.image, len(self._numbers) + 1)
        self._folder.mkdir(exist_ok=True)
        _picture_in(self._folder, number).write_bytes(base64.b64decode(one.image.rpartition(",")[2]))
        return Sample(caption=one.caption, picture=number)


def read(attempt: Path) -> DataSetView:
    """Return what the attempt at a job in a folder has found; raise `NotFoundError` if it has left nothing."""
    return DataSetView.model_validate_json(b"".join(attempt_files.read_artifact(attempt, _VIEW)))


def read_picture(attempt: Path, number: int) -> Iterator[bytes]:
    """Return the picture of a sample in parts, a JPEG; raise `NotFoundError` if there is none of this number."""
    path = _picture_in(Path("samples"), number).as_posix()
    try:
        return _checked(attempt_files.read_artifact(attempt, path))
    except NotFoundError:
        raise NotFoundError(f"There is no sample {number}") from None


def _picture_in(folder: Path, number: int) -> Path:
    return folder / f"{number}.jpg"


def _checked(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Return the parts of a file; `AssertionError`: it is no JPEG, so it is none of ours."""
    known = iter(parts)
    first = next(known, b"")
    assert first.startswith(b"\xff\xd8\xff")
    return chain([first], known)
