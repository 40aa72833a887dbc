"""What a data set with one label a picture is: its classes, its splits, and what is wrong with it.

Three layouts are known::

    DATA/train/CLASS/*.jpg   DATA/val/CLASS/*.jpg   [DATA/test/CLASS/*.jpg]      see `class_folders`
    DATA/CLASS/*.jpg                                                (divided 80/20 into train and val)
    DATA/labels.csv          and pictures beside it or in folders                see `tables`

Without a `val`, `train` is divided. Classes are those of `train`; other splits need not have all of them. No picture is
decoded here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.class_folders import has_class_folders, read_class_folders
from tunewell.tasks.image_classification.labelling import (
    Labelling,
    Row,
    note_lacking,
    with_known_classes,
    without_unlabelled,
)
from tunewell.tasks.image_classification.manifest import Manifest
from tunewell.tasks.image_classification.tables import TABLE_SUFFIXES, read_tables, tables_beside, tables_in
from tunewell.tasks.vision.duplicates import groups_of_copies
from tunewell.tasks.vision.files import listed, step_into
from tunewell.tasks.vision.inspection import Pictures, name_broken
from tunewell.tasks.vision.names import SPLITS, splits_among
from tunewell.tasks.vision.picture_set import VALIDATION_SHARE


def read_manifest(data: Path, seed: int) -> Manifest:
    """Return what lies in a folder, or what a table says; `seed` decides how an undivided set is divided.

    Raises:
        DataError: it is missing or no data set; the message says what is wrong with it and the remedy.
    """
    manifest = _manifest(*read_labelling(data, single=True))
    if "val" not in manifest.splits:
        manifest = _divide(manifest, seed)
    return replace(manifest, notes=(*manifest.notes, *_imbalance(manifest)))


def read_to_measure(data: Path) -> Manifest:
    """Return what lies in a folder, or what a table says, to measure a model on it, and not to learn from it.

    Nothing is divided, no split and no class is needed, and no picture is left out for its class.

    Raises:
        DataError: it is missing or no data set.
    """
    folder, labelling = read_labelling(data, single=True, to_learn=False)
    _check_single(labelling)
    return _assembled(folder, labelling)


def read_labelling(data: Path, single: bool, to_learn: bool = True) -> tuple[Path, Labelling]:
    """Return the folder of a data set, and what tables or its folders say of its pictures, a split for each.

    Args:
        data: the folder, one that is wrapped around it, or a table.
        single: whether a picture has one label; else it has any number.
        to_learn: whether there must be pictures to train on.

    Raises:
        DataError: it is missing or no data set.
    """
    if not data.is_dir() and not (data.is_file() and data.suffix.lower() in TABLE_SUFFIXES):
        problem = "is neither a folder nor a table" if data.exists() else "does not exist"
        raise DataError(
            f"it {problem}",
            field=str(data),
            remedy="Point `data` at a folder with one folder per class, or at a CSV file",
        )
    folder, notes = step_into(data) if data.is_dir() else (data.parent, [])
    by_folders = data.is_dir() and has_class_folders(folder)
    tables = [] if by_folders else tables_in(folder if data.is_dir() else data)
    if tables:
        labelling = read_tables(folder, tables, single)
        labelling = replace(labelling, rows=_with_splits(labelling.rows, folder, to_learn))
    else:
        labelling = read_class_folders(folder, to_learn)
    if by_folders and (beside := [path.name for path in tables_beside(folder)]):
        notes.append(f"Not read: {listed(beside)}; folders are the labels here. To use a table, point `data` at it.")
    labelling = without_unlabelled(folder, labelling, single)
    if not labelling.rows:
        raise DataError("no picture has a label", field=str(folder), remedy="Label some")
    return folder, replace(labelling, notes=[*notes, *labelling.notes])


def _with_splits(rows: Sequence[Row], folder: Path, to_learn: bool) -> list[Row]:
    """Return the rows of tables, each with a split: what it says, or the folder of its picture, or else `train`.

    Raises:
        DataError: no picture is for training, and some are to be.
    """
    parts = [row.path.relative_to(folder).parts[:-1] for row in rows]
    named = splits_among({part for path in parts for part in path})
    by_folder = [next((named[part] for part in path if part in named), "train") for path in parts]
    found = [replace(row, split=row.split or split) for row, split in zip(rows, by_folder, strict=True)]
    if to_learn and not any(row.split == "train" for row in found):
        raise DataError("its table has no picture to train on", field=str(folder), remedy="Mark some as train")
    return found


def split_positions(rows: Sequence[Row]) -> dict[str, tuple[int, ...]]:
    """Return split → positions of its rows."""
    found = {split: tuple(place for place, row in enumerate(rows) if row.split == split) for split in SPLITS}
    return {split: positions for split, positions in found.items() if positions}


def _manifest(folder: Path, labelling: Labelling) -> Manifest:
    """Return the manifest of pictures with a label each.

    Raises:
        DataError: there is a single class, or a picture has several labels.
    """
    _check_single(labelling)
    manifest = _assembled(folder, with_known_classes(folder, labelling))
    if len(manifest.classes) < 2:
        raise DataError(
            f"there is a single class, '{manifest.classes[0]}'",
            field=str(folder),
            remedy="Telling apart needs two or more",
        )
    return manifest


def _check_single(labelling: Labelling) -> None:
    """Raise `DataError` if a picture has several labels."""
    for row in labelling.rows:
        if len(row.labels) > 1:
            raise DataError(
                f"its rows have {len(row.labels)} labels",
                field=str(row.path),
                remedy="For several labels per picture, use the task multilabel-classification",
                task="multilabel-classification",
            )


def _assembled(folder: Path, labelling: Labelling) -> Manifest:
    rows = sorted(labelling.rows, key=lambda row: row.path.relative_to(folder).as_posix())
    classes = tuple(sorted({row.labels[0] for row in rows}))
    label_of = {name: label for label, name in enumerate(classes)}
    return Manifest(
        folder=folder,
        classes=classes,
        paths=tuple(row.path.relative_to(folder).as_posix() for row in rows),
        labels=tuple(label_of[row.labels[0]] for row in rows),
        splits=split_positions(rows),
        notes=tuple(labelling.notes),
    )


def check_classes_left(manifest: Pictures, kept: Pictures, broken: Mapping[int, str]) -> Pictures:
    """Return `kept` with a note on classes that val or test has lost with the broken pictures (position → problem).

    Raises:
        DataError: train has lost a class.
    """
    notes = list(kept.notes)
    for split in kept.splits:
        labels = np.flatnonzero((manifest.counts(split) > 0) & (kept.counts(split) == 0))
        lost = [manifest.classes[label] for label in labels]
        if lost and split == "train":
            raise DataError(
                f"no picture of class '{lost[0]}' in {split} can be read: {name_broken(manifest, broken)}",
                field=str(manifest.folder),
                remedy="Repair or replace them",
            )
        if lost:
            notes.append(note_lacking(split, lost))
    return replace(kept, notes=tuple(notes))


def stratified_share(labels: Sequence[int], share: float, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return indices into `labels`, ascending, of a random `share` of each class (at least one of each).

    A smaller share of the same seed is a part of the larger one. With `groups`, the group of each label's picture, no
    group is taken in part: of a class with a single group, and of a group with several classes, nothing is taken.
    """
    array = np.asarray(labels)
    chosen = []
    for label in np.unique(array):
        members = np.flatnonzero(array == label)
        order = np.random.default_rng((seed, int(label))).permutation(members)
        size = max(1, round(share * len(members)))
        chosen.append(order[:size] if groups is None else _whole_groups(order, groups[order], size))
    found: np.ndarray = np.sort(np.concatenate(chosen))
    if groups is not None:
        found = found[~np.isin(groups[found], np.delete(groups, found))]
    return found


def _whole_groups(order: np.ndarray, groups: np.ndarray, size: int) -> np.ndarray:
    """Return `size` of the indices or the few more that complete a group, groups in the order of their first member."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    ranks = first[inverse]
    place = np.argsort(ranks, kind="stable")
    end = size + int((ranks[place][size:] == ranks[place][size - 1]).sum())
    return order[place[:end]] if end < len(order) else order[:0]


def _divide(manifest: Manifest, seed: int) -> Manifest:
    labels = manifest.split_labels("train")
    for label, count in Counter(labels).items():
        if count < 2:
            raise DataError(
                f"class '{manifest.classes[label]}' has a single picture, too few to divide into train and val",
                field=str(manifest.folder),
                remedy="Add pictures, remove the class, or make train/ and val/ folders yourself",
            )
    groups = groups_of_copies([manifest.path(position) for position in manifest.splits["train"]])
    chosen = stratified_share(labels, VALIDATION_SHARE, seed, groups)
    if not len(chosen):  # all are copies: a look at them is better than none, and `inspect` warns of it
        chosen = stratified_share(labels, VALIDATION_SHARE, seed)
    return manifest.divided(chosen)


def _imbalance(manifest: Manifest) -> list[str]:
    counts = Counter(manifest.split_labels("train"))
    (most, largest), (fewest, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if largest < 10 * smallest:
        return []
    return [
        f"Unbalanced: {largest} training pictures of '{manifest.classes[most]}', {smallest} of "
        f"'{manifest.classes[fewest]}'. Consider `objective: f1`, which counts every class alike."
    ]
