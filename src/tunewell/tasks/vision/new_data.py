"""What the jobs `evaluate-model` share: how good a model is on data that were labelled anew.

`job.json`::

    {"model": model folder, "data": folder or table, "split": `train`, `val` or `test`, or null,
     "task_file": that of the experiment which the model comes from, or null}

Without a `split`, it is measured on the test pictures, and where there are none, on all. Thresholds are the model's
own. Leaves `artifacts/evaluation.json`, what was measured, as `evaluation` has it of a split. Result::

    {"splits": {"test": 60}, "figures": {metric: value, …}, "unreadable": {picture: what is wrong, …}, "notes": [...]}

`splits` has the pictures that were measured; of a set without splits they are called `all`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tunewell.spec.errors import ArgumentError, DataError, UserError, count, listed
from tunewell.tasks.evaluation import figures, with_intervals
from tunewell.tasks.job_folder import leave_result
from tunewell.tasks.vision.cache import digests_in
from tunewell.tasks.vision.content import file_digest
from tunewell.tasks.vision.picture_set import PictureSet, saved_fields
from tunewell.tasks.vision.predicting import Loaded, Source, load_each
from tunewell.tasks.vision.task_file import Prepared
from tunewell.trial import report
from tunewell.trial.files import write_json

Measured = TypeVar("Measured")
#: What a set without splits is called.
_ALL = "all"


def chosen_positions(pictures: PictureSet, split: str | None) -> dict[str, tuple[int, ...]]:
    """Return the pictures to measure on, by split; see above.

    Raises:
        ArgumentError: there is no such split.
    """
    if split is not None and split not in pictures.splits:
        known = listed(list(pictures.splits)) if set(pictures.splits) != {"train"} else "none"
        raise ArgumentError("split", f"the data set has no split '{split}' (it has: {known})", "Leave it out", split)
    wanted = split or ("test" if "test" in pictures.splits else None)
    if wanted is not None:
        return {wanted: pictures.splits[wanted]}
    return dict(pictures.splits) if set(pictures.splits) != {"train"} else {_ALL: pictures.splits["train"]}


def labels_by_name(
    pictures: PictureSet, occurring: Sequence[int], known: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which class of a model each class of the data is, by its name, (C,), and notes on other spellings.

    Args:
        pictures: the data set.
        occurring: its classes that are measured.
        known: the classes of the model.

    Raises:
        DataError: the model does not know a class that occurs.
    """
    folded: dict[str, list[str]] = {}
    for name in known:
        folded.setdefault(name.casefold(), []).append(name)
    meant = {}
    for name in pictures.classes:
        alike = folded.get(name.casefold(), [])
        meant[name] = name if name in known else alike[0] if len(alike) == 1 else None
    unknown = [pictures.classes[label] for label in occurring if meant[pictures.classes[label]] is None]
    if unknown:
        kind = "class" if len(unknown) == 1 else "classes"
        raise DataError(
            f"the model does not know the {kind} {listed(unknown)}; it knows {listed(known)}",
            field=str(pictures.folder),
            remedy="Rename them to what the model calls them, or leave their pictures out",
            kind="unknown-classes",
            classes=unknown,
        )
    place = {name: label for label, name in enumerate(known)}
    spelled = [f"{name} = {to}" for name, to in meant.items() if to is not None and to != name]
    notes = (f"Classes in another case than the model has them: {listed(spelled)}.",) if spelled else ()
    return np.array([-1 if to is None else place[to] for to in meant.values()], dtype=np.int64), notes


def look_at(
    pictures: PictureSet,
    positions: Sequence[int],
    load: Callable[[Source], Loaded],
    look: Callable[[Sequence[Loaded]], Sequence[Measured]],
    batch_size: int,
) -> tuple[dict[int, Measured], dict[str, str]]:
    """Return what `look` makes of each picture, by position, and what is wrong with those that can't be read.

    Args:
        pictures: the data set.
        positions: the pictures to look at.
        load: picture → what `look` takes of it; raises `PictureError`.
        look: a batch of them → what comes of each.
        batch_size: most pictures of a batch.

    Raises:
        DataError: none can be read.
    """
    found: dict[int, Measured] = {}
    unreadable: dict[str, str] = {}
    for start in range(0, len(positions), batch_size):
        part = {pictures.path(position): position for position in positions[start : start + batch_size]}
        loaded, problems = load_each(list(part), load)
        places = [part[path] for path in part if path in loaded]
        found |= dict(zip(places, look(list(loaded.values())) if loaded else (), strict=True))
        unreadable |= {pictures.paths[part[path]]: problems[path] for path in part if path in problems}
        report({"evaluating": min(1.0, (start + batch_size) / len(positions))})
    if not found:
        first, why = next(iter(unreadable.items()))
        raise DataError(
            f"none of its {count(len(positions), 'picture')} can be read, such as {first}: {why}",
            field=str(pictures.folder),
            remedy="Repair or replace them",
        )
    return found, unreadable


def note_known(task_file: str | None, pictures: PictureSet, positions: Collection[int]) -> list[str]:
    """Return a note on pictures at `positions` that the model was trained or chosen with, which flatter it.

    They are known by their places, and by their contents where the search's decoded pictures are still there. Where
    the search itself is gone, perhaps since the measuring began, nothing is known of them.
    """
    if task_file is None:
        return []
    try:
        prepared = Prepared.load(Path(task_file))
        known = saved_fields(Path(prepared.manifest))
    except DataError:
        return []
    learned = {place for split in ("train", "val") for place in known["splits"].get(split, ())}
    paths = {(known["folder"] / known["paths"][place]).resolve() for place in learned}
    digests = next(filter(None, (digests_in(Path(folder)) for folder in prepared.pixels.values())), ())
    contents = {digests[place] for place in learned} if digests else set()

    def is_known(path: Path) -> bool:
        return path.resolve() in paths or (bool(contents) and file_digest(path.read_bytes()) in contents)

    amount = sum(is_known(pictures.path(position)) for position in positions)
    if not amount:
        return []
    which = "All" if amount == len(positions) else f"{amount} of the {len(positions)}"
    return [f"{which} pictures are among those that the model was trained or chosen with, which flatters it."]


def leave(
    folder: Path,
    measured: Mapping[str, Any] | None,
    chosen: Mapping[str, Sequence[int]],
    positions: Mapping[int, Any],
    unreadable: Mapping[str, str],
    notes: Sequence[str],
) -> None:
    """Leave what was measured on the pictures at `positions`, of those that were `chosen`; None: no finite numbers.

    Raises:
        UserError: the model gives no finite numbers.
    """
    if measured is None:
        raise UserError("the model gives numbers that are not finite", remedy="Take another trial's model")
    if unreadable:
        named = listed([f"{name} ({why})" for name, why in unreadable.items()])
        notes = [*notes, f"Left out, because they can't be read: {count(len(unreadable), 'picture')}, {named}."]
    (folder / "artifacts").mkdir(exist_ok=True)
    measured = with_intervals(measured)
    write_json(folder / "artifacts" / "evaluation.json", measured)
    splits = {split: sum(position in positions for position in own) for split, own in chosen.items()}
    result = {"splits": splits, "figures": figures(measured), "unreadable": dict(unreadable), "notes": list(notes)}
    leave_result(folder, result)
