"""What a data set with one label a picture is: its classes, its splits, and what is wrong with it.

Three layouts are known::

    DATA/train/CLASS/*.jpg   DATA/val/CLASS/*.jpg   [DATA/test/CLASS/*.jpg]
    DATA/CLASS/*.jpg                                                (divided 80/20 into train and val)
    DATA/labels.csv          and pictures beside it or in folders; see `tables`

`valid` and `validation` are other names of `val`. Without a `val`, `train` is divided. Class folders may have
folders of their own; names that begin with `.` or `__` are left out, and so is whatever has the name of a picture
but is no file: a folder, a pipe, a link to nowhere. No picture is decoded here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.manifest import Manifest
from tunewell.tasks.image_classification.tables import Row, Table, read_tables, tables_in
from tunewell.tasks.vision.duplicates import groups_of_copies
from tunewell.tasks.vision.files import (
    Found,
    check_name,
    find_pictures,
    known_endings,
    listed,
    note_left_out,
    subfolders_of,
)
from tunewell.tasks.vision.inspection import describe
from tunewell.tasks.vision.names import SPLITS, is_foreign, is_picture, splits_among
from tunewell.tasks.vision.picture_set import VALIDATION_SHARE, PictureSet


def read_manifest(data: Path, seed: int) -> Manifest:
    """Return what lies in a folder, or what a table says; `seed` decides how an undivided set is divided.

    Raises:
        DataError: it is missing or no data set; the message says what is wrong with it and the remedy.
    """
    check_there(data)
    tables, notes = tables_that_count(data)
    manifest = _from_table(read_tables(tables, single=True), tables[0].parent) if tables else _from_folders(data)
    if "val" not in manifest.splits:
        manifest = _divide(manifest, seed)
    return replace(manifest, notes=(*manifest.notes, *notes, *_imbalance(manifest)))


def check_there(data: Path) -> None:
    """Raise `DataError` unless `data` is a folder, or a file that may be a table."""
    if not data.is_dir() and not (data.is_file() and data.suffix.lower() in (".csv", ".tsv")):
        problem = "is neither a folder nor a table" if data.exists() else "does not exist"
        raise DataError(f"{data}: it {problem}. Point `data` at a folder with one folder per class, or at a CSV file.")


def tables_that_count(data: Path) -> tuple[list[Path], list[str]]:
    """Return the tables that say the labels, none where the names of folders do, and a note on a table left out."""
    if data.is_dir() and has_class_folders(data):
        beside = [path.name for path in data.glob("*.csv")]
        if not beside:
            return [], []
        return [], [f"Not read: {listed(beside)}; folders are the labels here. To use a table, point `data` at it."]
    return tables_in(data), []


def has_class_folders(folder: Path) -> bool:
    """Whether a folder has pictures in folders of splits and classes, or in two folders or more."""
    subfolders = subfolders_of(folder)
    splits = [sub for sub in subfolders if sub.name in splits_among([sub.name for sub in subfolders])]
    if any(_has_pictures(inner) for split in splits for inner in subfolders_of(split)):
        return True
    classes = [sub for sub in subfolders if _has_pictures(sub)]
    return len(classes) > 1 and not (splits and all(sub in splits for sub in classes))


def _has_pictures(folder: Path) -> bool:
    """Whether there is the name of a picture in a folder or its folders; the first one found will do."""
    return any(is_picture(name) and not is_foreign(name) for _, _, names in os.walk(folder) for name in names)


def split_positions(splits: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return split → positions for the split of each position."""
    return {
        split: tuple(position for position, other in enumerate(splits) if other == split)
        for split in SPLITS
        if split in splits
    }


def splits_of(rows: Sequence[Row], folder: Path) -> list[str]:
    """Return the split of each row of a table: what it says, or the folder of its picture, or else `train`.

    Raises:
        DataError: no picture is for training.
    """
    first = [row.path.relative_to(folder).parts[0] for row in rows]
    named = splits_among(set(first))
    splits = [row.split or named.get(name, "train") for row, name in zip(rows, first, strict=True)]
    if "train" not in splits:
        raise DataError(f"{folder}: its table has no picture to train on. Mark some as train.")
    return splits


def _from_folders(folder: Path) -> Manifest:
    found = find_class_folders(folder)
    classes = _common_classes(folder, found)
    label_of = {name: label for label, name in enumerate(classes)}
    rows = sorted(
        (path.relative_to(folder).as_posix(), label_of[name], split)
        for split, by_class in found.items()
        for name, held in by_class.items()
        for path in held.pictures
    )
    others = [path for by_class in found.values() for held in by_class.values() for path in held.others]
    return Manifest(
        folder=folder,
        classes=classes,
        paths=tuple(row[0] for row in rows),
        labels=tuple(row[1] for row in rows),
        splits=split_positions([row[2] for row in rows]),
        notes=tuple(note_left_out(folder, others)),
    )


def _from_table(table: Table, folder: Path) -> Manifest:
    rows = sorted(table.rows, key=lambda row: row.path.relative_to(folder).as_posix())
    splits = splits_of(rows, folder)
    for row in rows:
        if len(row.labels) > 1:
            raise DataError(
                f"{row.path}: its rows have {len(row.labels)} labels. Several a picture are the task "
                "multilabel-classification."
            )
    held = {
        split: {row.labels[0] for row, other in zip(rows, splits, strict=True) if other == split} for split in splits
    }
    classes = tuple(sorted(held["train"]))
    _check_several(folder, classes)
    notes = list(table.notes)
    for split in ("val", "test"):
        if unknown := held.get(split, set()) - held["train"]:
            raise DataError(f"{folder}: {split} has classes that train lacks: {listed(unknown)}. Make them agree.")
        if split in held and (missing := held["train"] - held[split]):
            notes.append(f"Classes without a picture in {split}: {listed(missing)}.")
    return Manifest(
        folder=folder,
        classes=classes,
        paths=tuple(row.path.relative_to(folder).as_posix() for row in rows),
        labels=tuple(classes.index(row.labels[0]) for row in rows),
        splits=split_positions(splits),
        notes=tuple(notes),
    )


def find_class_folders(folder: Path) -> dict[str, dict[str, Found]]:
    """Return split → class → pictures; a set without splits is all `train`.

    Raises:
        DataError: there are no pictures in folders of classes.
    """
    subfolders = subfolders_of(folder)
    splits = splits_among([sub.name for sub in subfolders])
    named = [sub for sub in subfolders if sub.name in splits]
    # A class may be called `train` too: a split is a folder of folders.
    if not any(subfolders_of(sub) for sub in named):
        if named and len(named) == len(subfolders):
            raise DataError(
                f"{named[0]}: it holds no class folders. Sort its pictures into one folder per class, "
                f"such as {named[0].name}/cat and {named[0].name}/dog."
            )
        return {"train": _read_classes(folder)}
    found: dict[str, dict[str, Found]] = {}
    for sub in named:
        split = splits[sub.name]
        if split in found:
            raise DataError(f"{sub}: there are two {split} folders. Keep one of them.")
        found[split] = _read_classes(sub)
    if "train" not in found:
        raise DataError(f"{folder}: it has {listed(found)} but no train folder. Add train/ with one folder per class.")
    return {split: found[split] for split in SPLITS if split in found}


def _read_classes(folder: Path) -> dict[str, Found]:
    subfolders = subfolders_of(folder)
    for sub in subfolders:
        check_name(sub)
    found = {sub.name: find_pictures(sub) for sub in subfolders}
    if not any(held.pictures for held in found.values()):
        loose = len(find_pictures(folder).pictures)
        if loose:
            raise DataError(f"{folder}: its {loose} pictures are in no class folder. Make one folder per class.")
        raise DataError(f"{folder}: there are no pictures in its class folders. {known_endings()}")
    for name, held in found.items():
        if not held.pictures:
            raise DataError(
                f"{folder / name}: this class has no picture. Add some, or move the folder elsewhere."
                f"{_hint_at_objects(folder / name)}"
            )
    return found


def _hint_at_objects(folder: Path) -> str:
    if not any(path.suffix.lower() in (".json", ".xml") for path in folder.iterdir()):
        return ""
    return " Annotations of objects are for the tasks object-detection and instance-segmentation."


def check_classes_left(manifest: PictureSet, kept: PictureSet, broken: Mapping[int, str]) -> None:
    """Raise `DataError` if a split of `kept` has lost a class with the broken pictures (position → what is wrong)."""
    for split in kept.splits:
        for label in np.flatnonzero((manifest.counts(split) > 0) & (kept.counts(split) == 0)):
            raise DataError(
                f"{manifest.folder}: no picture of class '{manifest.classes[label]}' in {split} can be read: "
                f"{describe(manifest, broken)}. Repair or replace them."
            )


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


def _common_classes(folder: Path, found: Mapping[str, Mapping[str, Found]]) -> tuple[str, ...]:
    classes = tuple(sorted(found["train"]))
    _check_several(folder, classes)
    for split, by_class in found.items():
        unknown, missing = sorted(set(by_class) - set(classes)), sorted(set(classes) - set(by_class))
        if unknown:
            raise DataError(f"{folder}: {split} has classes that train lacks: {listed(unknown)}. Make them agree.")
        if missing:
            raise DataError(f"{folder}: {split} lacks classes that train has: {listed(missing)}. Make them agree.")
    return classes


def _check_several(folder: Path, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise DataError(f"{folder}: there is a single class, '{classes[0]}'. Telling apart needs two or more.")


def _divide(manifest: Manifest, seed: int) -> Manifest:
    labels = manifest.split_labels("train")
    for label, count in Counter(labels).items():
        if count < 2:
            raise DataError(
                f"{manifest.folder}: class '{manifest.classes[label]}' has a single picture, too few to divide "
                "into train and val. Add pictures, remove the class, or make train/ and val/ folders yourself."
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
