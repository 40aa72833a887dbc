"""What a folder of pictures is: its classes, its splits, and what is wrong with it.

Two layouts are known::

    DATA/train/CLASS/*.jpg   DATA/val/CLASS/*.jpg   [DATA/test/CLASS/*.jpg]
    DATA/CLASS/*.jpg                                                (divided 80/20 into train and val)

`valid` and `validation` are other names of `val`. Without a `val`, `train` is divided. Class folders may have
folders of their own; names that begin with `.` or `__` are left out, and so is whatever has the name of a picture
but is no file: a folder, a pipe, a link to nowhere. Nothing is opened or decoded here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.inspection import describe
from tunewell.tasks.vision.picture_set import (
    PICTURE_SUFFIXES,
    SPLIT_NAMES,
    VALIDATION_SHARE,
    Found,
    PictureSet,
    check_name,
    find_pictures,
    listed,
    note_left_out,
    subfolders_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(PictureSet):
    """The pictures of a data set, their labels and splits."""

    #: Class names in sorted order; a label is an index into them.
    classes: tuple[str, ...]
    #: Label of each picture.
    labels: tuple[int, ...]

    def split_labels(self, split: str) -> list[int]:
        """Return the labels of a split's pictures, in the split's order."""
        return [self.labels[position] for position in self.splits[split]]

    def save(self, path: Path) -> None:
        """Write the manifest as JSON."""
        fields = {
            "folder": str(self.folder),
            "classes": self.classes,
            "paths": self.paths,
            "labels": self.labels,
            "splits": dict(self.splits),
            "notes": self.notes,
        }
        path.write_text(json.dumps(fields))

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Return the manifest that `save` wrote."""
        fields = json.loads(path.read_text())
        return cls(
            folder=Path(fields["folder"]),
            classes=tuple(fields["classes"]),
            paths=tuple(fields["paths"]),
            labels=tuple(fields["labels"]),
            splits={name: tuple(positions) for name, positions in fields["splits"].items()},
            notes=tuple(fields["notes"]),
        )


def read_manifest(folder: Path, seed: int) -> Manifest:
    """Return what lies in `folder`; `seed` decides how an undivided set is divided.

    Raises:
        DataError: the folder is missing or no data set; the message says what is wrong with it and the remedy.
    """
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: it {problem}. Point `data` at a folder with one folder per class.")
    found = _find_splits(folder)
    classes = _common_classes(folder, found)
    label_of = {name: label for label, name in enumerate(classes)}
    rows = sorted(
        (path.relative_to(folder).as_posix(), label_of[name], split)
        for split, by_class in found.items()
        for name, held in by_class.items()
        for path in held.pictures
    )
    splits = {split: tuple(position for position, row in enumerate(rows) if row[2] == split) for split in found}
    manifest = Manifest(
        folder=folder,
        classes=classes,
        paths=tuple(row[0] for row in rows),
        labels=tuple(row[1] for row in rows),
        splits=splits,
    )
    if "val" not in found:
        manifest = _divide(manifest, seed)
    others = [path for by_class in found.values() for held in by_class.values() for path in held.others]
    return replace(manifest, notes=(*manifest.notes, *note_left_out(folder, others), *_imbalance(manifest)))


def _find_splits(folder: Path) -> dict[str, dict[str, Found]]:
    """Return split → class → pictures; a set without splits is all `train`."""
    subfolders = subfolders_of(folder)
    named = [sub for sub in subfolders if sub.name.lower() in SPLIT_NAMES]
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
        split = SPLIT_NAMES[sub.name.lower()]
        if split in found:
            raise DataError(f"{sub}: there are two {split} folders. Keep one of them.")
        found[split] = _read_classes(sub)
    if "train" not in found:
        raise DataError(f"{folder}: it has {listed(found)} but no train folder. Add train/ with one folder per class.")
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _read_classes(folder: Path) -> dict[str, Found]:
    subfolders = subfolders_of(folder)
    for sub in subfolders:
        check_name(sub)
    found = {sub.name: find_pictures(sub) for sub in subfolders}
    if not any(held.pictures for held in found.values()):
        loose = len(find_pictures(folder).pictures)
        if loose:
            raise DataError(f"{folder}: its {loose} pictures are in no class folder. Make one folder per class.")
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DataError(f"{folder}: there are no pictures in its class folders. Known endings: {kinds}.")
    for name, held in found.items():
        if not held.pictures:
            raise DataError(f"{folder / name}: this class has no picture. Add some, or remove the folder.")
    return found


def check_classes_left(manifest: Manifest, kept: Manifest, broken: Mapping[int, str]) -> None:
    """Raise `DataError` if a split of `kept` has lost a class with the broken pictures (position → what is wrong)."""
    for split in kept.splits:
        for label in sorted(set(manifest.split_labels(split)) - set(kept.split_labels(split))):
            raise DataError(
                f"{manifest.folder}: no picture of class '{manifest.classes[label]}' in {split} can be read: "
                f"{describe(manifest, broken)}. Repair or replace them."
            )


def stratified_share(labels: Sequence[int], share: float, seed: int) -> np.ndarray:
    """Return indices into `labels`, ascending, of a random `share` of each class (at least one of each).

    A smaller share of the same seed is a part of the larger one.
    """
    array = np.asarray(labels)
    chosen = []
    for label in np.unique(array):
        members = np.flatnonzero(array == label)
        order = np.random.default_rng((seed, int(label))).permutation(members)
        chosen.append(order[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))


def _common_classes(folder: Path, found: Mapping[str, Mapping[str, Found]]) -> tuple[str, ...]:
    classes = tuple(sorted(found["train"]))
    if len(classes) < 2:
        raise DataError(f"{folder}: there is a single class, '{classes[0]}'. Telling apart needs two or more.")
    for split, by_class in found.items():
        unknown, missing = sorted(set(by_class) - set(classes)), sorted(set(classes) - set(by_class))
        if unknown:
            raise DataError(f"{folder}: {split} has classes that train lacks: {listed(unknown)}. Make them agree.")
        if missing:
            raise DataError(f"{folder}: {split} lacks classes that train has: {listed(missing)}. Make them agree.")
    return classes


def _divide(manifest: Manifest, seed: int) -> Manifest:
    positions = np.asarray(manifest.splits["train"])
    labels = manifest.split_labels("train")
    for label, count in Counter(labels).items():
        if count < 2:
            raise DataError(
                f"{manifest.folder}: class '{manifest.classes[label]}' has a single picture, too few to divide "
                "into train and val. Add pictures, remove the class, or make train/ and val/ folders yourself."
            )
    chosen = stratified_share(labels, VALIDATION_SHARE, seed)
    val = positions[chosen].tolist()
    train = np.delete(positions, chosen).tolist()
    note = f"Divided at random, class by class: {len(train)} pictures to train on, {len(val)} to validate on."
    rest = {name: split for name, split in manifest.splits.items() if name != "train"}
    return replace(manifest, splits={"train": tuple(train), "val": tuple(val), **rest}, notes=(note,))


def _imbalance(manifest: Manifest) -> list[str]:
    counts = Counter(manifest.split_labels("train"))
    (most, largest), (fewest, smallest) = counts.most_common()[0], counts.most_common()[-1]
    if largest < 10 * smallest:
        return []
    return [
        f"Unbalanced: {largest} training pictures of '{manifest.classes[most]}', {smallest} of "
        f"'{manifest.classes[fewest]}'. Consider `objective: f1`, which counts every class alike."
    ]
