"""What tables or the names of folders say of pictures, and what of it can be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunewell.spec.errors import DataError, count
from tunewell.tasks.vision.files import listed
from tunewell.tasks.vision.names import SPLITS


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of one picture."""

    path: Path
    labels: tuple[str, ...]
    #: `train`, `val` or `test`; None where nothing says.
    split: str | None
    #: Folder that stands for the label; None where a table does.
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is said of the pictures of a data set."""

    rows: list[Row]
    #: What the user should know, a sentence each.
    notes: list[str]


def without_unlabelled(folder: Path, labelling: Labelling, single: bool) -> Labelling:
    """Return the rows without those that have no label, and a note on them.

    Where a picture may have any number of labels, only a test set without any is left out.

    Raises:
        DataError: no picture to train on has a label.
    """
    rows, notes = labelling.rows, list(labelling.notes)
    for split in SPLITS:
        own = [row for row in rows if row.split == split]
        empty = [row for row in own if not row.labels]
        if not empty or (not single and (split != "test" or len(empty) < len(own))):
            continue
        if split == "train" and len(empty) == len(own):
            raise DataError("no picture has a label", field=str(folder), remedy="Fill in the table")
        whole = count(len(own), "picture")
        what = f"all {whole}" if len(empty) == len(own) else f"{len(empty)} of {whole}"
        notes.append(f"Not used, having no label: {what} of {split}, such as {_shown(folder, empty)}.")
        rows = [row for row in rows if row.split != split or row.labels]
    return Labelling(rows, notes)


def without_strange_test(labelling: Labelling) -> Labelling:
    """Return the rows without those of a test set none of whose labels is one of `train`, and a note on them."""
    known = {label for row in labelling.rows if row.split == "train" for label in row.labels}
    tested = [row for row in labelling.rows if row.split == "test"]
    labels = {label for row in tested for label in row.labels}
    if not labels or labels & known:
        return labelling
    note = f"Not used, having no label that train has ({listed(labels)}): all {count(len(tested), 'picture')} of test."
    return Labelling([row for row in labelling.rows if row.split != "test"], [*labelling.notes, note])


def with_known_classes(folder: Path, labelling: Labelling) -> Labelling:
    """Return the rows, one label and a split each, without those of classes that `train` lacks, and notes on classes.

    A class may be written in another case than in `train`.

    Raises:
        DataError: nothing is left to validate on.
    """
    known = {row.labels[0] for row in labelling.rows if row.split == "train"}
    folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    others = {row.labels[0] for row in labelling.rows} - known
    meant = {name: folded[name.casefold()] for name in others if name.casefold() in folded}
    rows = [replace(row, labels=(meant.get(row.labels[0], row.labels[0]),)) for row in labelling.rows]
    notes = list(labelling.notes)
    if meant:
        notes.append(f"Classes in another case than in train: {listed(f'{name} = {meant[name]}' for name in meant)}.")
    for split in ("val", "test"):
        own = [row for row in rows if row.split == split]
        strange = [row for row in own if row.labels[0] not in known]
        names = listed({row.labels[0] for row in strange})
        if own and len(strange) == len(own):
            if split == "val":
                raise DataError(
                    f"{split} has only classes that train lacks: {names}", field=str(folder), remedy="Make them agree"
                )
            notes.append(
                f"Not used, being of no class that train has ({names}): all {count(len(own), 'picture')} of {split}."
            )
        elif strange:
            notes.append(
                f"Left out, being of classes that train lacks ({names}): {len(strange)} of {len(own)} pictures of "
                f"{split}, such as {_shown(folder, strange)}."
            )
    kept = [row for row in rows if row.labels[0] in known]
    return Labelling(kept, [*notes, *_lacking(kept, known)])


def note_lacking(split: str, classes: Iterable[str]) -> str:
    """Return a note on classes that can't be measured."""
    return (
        f"Classes without a picture in {split}: {listed(classes)}. Means over classes are there those over the classes "
        "that occur or are predicted."
    )


def _lacking(rows: Sequence[Row], known: set[str]) -> list[str]:
    held = {split: {row.labels[0] for row in rows if row.split == split} for split in ("val", "test")}
    return [note_lacking(split, known - own) for split, own in held.items() if own and known - own]


def _shown(folder: Path, rows: Sequence[Row]) -> str:
    return min(row.path for row in rows).relative_to(folder).as_posix()
