"""What a folder of pictures is: its classes, its splits, and what is wrong with it.

Two layouts are known::

    DATA/train/CLASS/*.jpg   DATA/val/CLASS/*.jpg   [DATA/test/CLASS/*.jpg]
    DATA/CLASS/*.jpg                                                (divided 80/20 into train and val)

`valid` and `validation` are other names of `val`. Without a `val`, `train` is divided. Class folders may have
folders of their own; names that begin with `.` or `__` are left out. Nothing is decoded here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunewell.spec.errors import DataError

PICTURE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
#: Share of a class that becomes validation data where the user has not made the split.
VALIDATION_SHARE = 0.2
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The pictures of a data set, their labels and splits. A picture's *position* is its index in `paths`."""

    #: The data set's folder.
    folder: Path
    #: Class names in sorted order; a label is an index into them.
    classes: tuple[str, ...]
    #: Pictures relative to `folder`, '/' between the parts, sorted.
    paths: tuple[str, ...]
    #: Label of each picture.
    labels: tuple[int, ...]
    #: `train`, `val` and perhaps `test` → positions in ascending order.
    splits: Mapping[str, tuple[int, ...]]
    #: What the user should know, a sentence each.
    notes: tuple[str, ...] = ()

    def path(self, position: int) -> Path:
        """Return where a picture lies."""
        return self.folder / self.paths[position]

    def split_labels(self, split: str) -> list[int]:
        """Return the labels of a split's pictures, in the split's order."""
        return [self.labels[position] for position in self.splits[split]]

    def without(self, broken: Iterable[int]) -> Manifest:
        """Return a manifest whose splits leave these positions out; positions stay what they were."""
        gone = set(broken)
        splits = {
            name: tuple(position for position in positions if position not in gone)
            for name, positions in self.splits.items()
        }
        return replace(self, splits=splits)

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
        for name, paths in by_class.items()
        for path in paths
    )
    splits = {split: tuple(position for position, row in enumerate(rows) if row[2] == split) for split in found}
    manifest = Manifest(folder, classes, tuple(row[0] for row in rows), tuple(row[1] for row in rows), splits)
    if "val" not in found:
        manifest = _divide(manifest, seed)
    return replace(manifest, notes=(*manifest.notes, *_imbalance(manifest)))


def find_pictures(folder: Path) -> list[Path]:
    """Return all pictures in a folder and in its folders, by their names' endings, in no order."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        found += [
            Path(parent, name)
            for name in files
            if not _is_hidden(name) and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    return found


def _find_splits(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Return split → class → pictures; a set without splits is all `train`."""
    subfolders = _subfolders(folder)
    named = [sub for sub in subfolders if sub.name.lower() in _SPLIT_NAMES]
    # A class may be called `train` too: a split is a folder of folders.
    if not any(_subfolders(sub) for sub in named):
        if named and len(named) == len(subfolders):
            raise DataError(
                f"{named[0]}: it holds no class folders. Sort its pictures into one folder per class, "
                f"such as {named[0].name}/cat and {named[0].name}/dog."
            )
        return {"train": _read_classes(folder)}
    found: dict[str, dict[str, list[Path]]] = {}
    for sub in named:
        split = _SPLIT_NAMES[sub.name.lower()]
        if split in found:
            raise DataError(f"{sub}: there are two {split} folders. Keep one of them.")
        found[split] = _read_classes(sub)
    if "train" not in found:
        raise DataError(f"{folder}: it has {_listed(found)} but no train folder. Add train/ with one folder per class.")
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))
    except OSError as error:
        raise DataError(f"{folder}: it can't be read ({error.strerror}).") from None


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _read_classes(folder: Path) -> dict[str, list[Path]]:
    found = {sub.name: find_pictures(sub) for sub in _subfolders(folder)}
    if not any(found.values()):
        loose = len(find_pictures(folder))
        if loose:
            raise DataError(f"{folder}: its {loose} pictures are in no class folder. Make one folder per class.")
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DataError(f"{folder}: there are no pictures in its class folders. Known endings: {kinds}.")
    for name, paths in found.items():
        if not paths:
            raise DataError(f"{folder / name}: this class has no picture. Add some, or remove the folder.")
    return found


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


def fingerprint(manifest: Manifest) -> str:
    """Return a digest of the pictures' names, sizes and modification times: what a cache is valid for."""
    digest = hashlib.blake2b(digest_size=16)
    for path in manifest.paths:
        status = (manifest.folder / path).stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _common_classes(folder: Path, found: Mapping[str, Mapping[str, list[Path]]]) -> tuple[str, ...]:
    classes = tuple(sorted(found["train"]))
    if len(classes) < 2:
        raise DataError(f"{folder}: there is a single class, '{classes[0]}'. Telling apart needs two or more.")
    for split, by_class in found.items():
        unknown, missing = sorted(set(by_class) - set(classes)), sorted(set(classes) - set(by_class))
        if unknown:
            raise DataError(f"{folder}: {split} has classes that train lacks: {_listed(unknown)}. Make them agree.")
        if missing:
            raise DataError(f"{folder}: {split} lacks classes that train has: {_listed(missing)}. Make them agree.")
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


def _listed(names: Iterable[str], limit: int = 5) -> str:
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
