"""What `prepare` does for all tasks over pictures: compare with what is known, decode, write down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

from tunewell.spec.errors import ConflictError, DataError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.tasks.contract import OnProgress, Program
from tunewell.tasks.vision.content import are_same, content_digest
from tunewell.tasks.vision.inspection import Pictures, inspect
from tunewell.tasks.vision.picture_set import fingerprint
from tunewell.tasks.vision.resize_rules import ResizeRule
from tunewell.tasks.vision.task_file import TASK_FILE, TASK_FILE_VARIABLE, Prepared
from tunewell.tasks.vision.weights import Pretrained, is_made_from, is_whole, obtain_weights
from tunewell.trial.files import read_json, write_json

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class DecodedSet(Generic[Pictures]):
    """A data set all pictures of which were decoded."""

    #: Without the broken ones, with notes on what was found.
    pictures: Pictures
    #: Position of a broken picture → what is wrong with it.
    broken: Mapping[int, str]
    #: See `content.content_digest`.
    content: str
    #: Image size → folder of the decoded pictures; see `cache`.
    pixels: Mapping[int, str]
    #: See `picture_set.fingerprint`.
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Known(Generic[Pictures]):
    """What an earlier preparation left."""

    prepared: Prepared
    #: The data set as it was taken then, in the folder where it is now.
    pictures: Pictures
    #: Whether it was elsewhere then.
    moved: bool


def known_preparation(
    spec: ExperimentSpec, folder: Path, pictures: Pictures, load: Callable[[Path], Pictures]
) -> Known[Pictures] | None:
    """Return what an earlier call left in the experiment's folder, which is made if needed; None: there was none.

    Raises:
        ConflictError: the data set is no longer what the experiment began with.
        DataError: it can't be told whether it is, after trials that have begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TASK_FILE).exists() and not (folder / "trials").exists():
        return None
    known = Prepared.load(folder / TASK_FILE)
    before = load(Path(known.manifest))
    if not pictures.continues(before) or not are_same(pictures, known, before):
        raise ConflictError(
            f"the data set has changed since experiment '{spec.name}' began, or is another one",
            field=str(spec.data),
            remedy="Restore it, or start over",
            kind="data-changed",
        )
    return Known(known, replace(before, folder=pictures.folder), before.folder != pictures.folder)


def check_weights(spec: ExperimentSpec, known: Known[Any] | None) -> None:
    """Raise `ConflictError` if a file of weights is not the one that the experiment began with."""
    if known is None or spec.weights in ("auto", "none"):
        return
    if not is_made_from(Path(known.prepared.weights or ""), spec.weights):
        raise ConflictError(
            f"these are not the weights that experiment '{spec.name}' began with",
            field=str(spec.weights),
            remedy="Restore them, or start over",
            kind="weights-changed",
        )


def decode_set(
    pictures: Pictures, sizes: Sequence[int], cache: Path, progress: OnProgress, rule: ResizeRule
) -> DecodedSet[Pictures]:
    """Return the pictures decoded at all sizes, from the cache or into it.

    Raises:
        DataError: too many pictures are broken, or the cache can't be written.
    """
    from tunewell.tasks.vision.cache import decode

    state = fingerprint(pictures)
    pictures = _with_known_ranges(pictures, state, cache, progress)
    decoded = {size: decode(pictures, state, size, cache, progress, rule) for size in sizes}
    first = decoded[sizes[0]]
    kept = inspect(pictures, first.digests, first.broken, first.several_frames)
    content = content_digest(kept, first.digests.__getitem__)
    return DecodedSet(kept, first.broken, content, {size: str(item.folder) for size, item in decoded.items()}, state)


def _with_known_ranges(pictures: Pictures, state: str, cache: Path, progress: OnProgress) -> Pictures:
    """Return the pictures with what is black and white, from the cache or into it: measuring takes a while."""
    used = json.dumps([state, *(sorted(pictures.splits[split]) for split in ("train", "val"))])
    path = cache / "pictures" / f"{hashlib.blake2b(used.encode(), digest_size=16).hexdigest()}.ranges.json"
    known = read_json(path)
    if known is not None:
        ranges = {kind: (low, high) for kind, (low, high) in known["ranges"].items()}
        return replace(pictures, value_ranges=ranges, notes=(*pictures.notes, *known["notes"]))
    found = with_value_ranges(pictures, progress)
    with suppress(OSError):  # decoding will say why
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"ranges": found.value_ranges, "notes": found.notes[len(pictures.notes) :]})
    return found


def with_value_ranges(pictures: Pictures, progress: OnProgress) -> Pictures:
    """Return the pictures with what is black and white in those with more than 8 bits a value, and notes on it.

    The pictures to train and to validate on decide, which the final model learns from.
    """
    from tunewell.tasks.vision.depths import measure_ranges
    from tunewell.tasks.vision.pictures import bombs_refused

    paths = [pictures.path(place) for split in ("train", "val") for place in sorted(pictures.splits[split])]
    with bombs_refused():
        ranges, notes = measure_ranges(paths, lambda done, total: progress("measuring grey values", done, total))
    return replace(pictures, value_ranges=ranges, notes=(*pictures.notes, *notes))


def write_preparation(
    spec: ExperimentSpec,
    folder: Path,
    known: Known[Pictures] | None,
    decoded: DecodedSet[Pictures],
    pretrained: Pretrained,
    cache: Path,
    advice: Sequence[str],
    epochs_on_all: int | None,
) -> list[str]:
    """Fetch the weights and write what trials need, where that is still to do; return notes for the user.

    `advice` and `epochs_on_all` are as those of `Prepared`.

    Raises:
        DataError: the weights can't be used, or are no longer those that the experiment began with.
    """
    before = known.prepared if known else None
    if known is not None and (known.prepared.weights is None or is_whole(Path(known.prepared.weights))):
        return _renew(folder, known, decoded)
    weights = obtain_weights(spec.weights, pretrained, cache)
    if before is not None and (weights.path is None or weights.path.name != Path(str(before.weights)).name):
        raise DataError(
            f"the weights that experiment '{spec.name}' began with are gone or damaged, and there are no such any "
            f"more. {weights.origin}",
            field=str(before.weights),
            remedy="Restore them, or start over",
            kind="weights-changed",
        )
    pictures = known.pictures if known else decoded.pictures
    pictures.save(folder / _MANIFEST)
    prepared = Prepared(
        network=str(spec.network),
        weights=str(weights.path) if weights.path else None,
        manifest=str(folder / _MANIFEST),
        fingerprint=decoded.fingerprint,
        pixels=decoded.pixels,
        seed=spec.seed,
        sampling=spec.sampling,
        notes=(*pictures.notes, weights.origin),
        advice=tuple(advice),
        content=decoded.content,
        epochs_on_all=epochs_on_all,
    )
    prepared.save(folder / TASK_FILE)
    return [*prepared.notes, *prepared.advice]


def _renew(folder: Path, known: Known[Pictures], decoded: DecodedSet[Pictures]) -> list[str]:
    """Write down where the same data are now, and the times of their files; return the notes."""
    prepared = replace(known.prepared, fingerprint=decoded.fingerprint, pixels=decoded.pixels)
    if known.moved:
        known.pictures.save(folder / _MANIFEST)
    if prepared != known.prepared:
        prepared.save(folder / TASK_FILE)
    return [*prepared.notes, *prepared.advice]


def trial_program(package: str, preload: tuple[str, ...], folder: Path, epochs: int) -> Program:
    """Return the entry that trains one configuration of the experiment in `folder`: `train` of a task's package.

    `epochs` are those of a full training.
    """
    environment = {TASK_FILE_VARIABLE: str(folder / TASK_FILE)}
    return Program(entry=f"{package}.train:train", preload=preload, environment=environment, epochs=epochs)
