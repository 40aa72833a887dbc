"""What a folder of pictures is: its classes, its splits, and what is wrong with it.

Two layouts are known::

    DATA/train/CLASS/*.jpg   DATA/val/CLASS/*.jpg   [DATA/test/CLASS/*.jpg]
    DATA/CLASS/*.jpg                                                (divided 80/20 into train and val)

`valid` and `validation` are other names of `val`. Without a `val`, `train` is divided. Class folders may have
folders of their own; names that begin with `.` or `__` are left out, and so is whatever has the name of a picture
but is no file: a folder, a pipe, a link to nowhere. Nothing is opened or decoded here.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
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


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds under the names of pictures, in no order."""

    #: Files, links to files among them.
    pictures: list[Path]
    #: Whatever else: folders, pipes, sockets, devices, links to nowhere. Opening a pipe would wait for ever.
    others: list[Path]


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
    manifest = Manifest(folder, classes, tuple(row[0] for row in rows), tuple(row[1] for row in rows), splits)
    if "val" not in found:
        manifest = _divide(manifest, seed)
    others = [path for by_class in found.values() for held in by_class.values() for path in held.others]
    return replace(manifest, notes=(*manifest.notes, *_left_out(folder, others), *_imbalance(manifest)))


def find_pictures(folder: Path) -> Found:
    """Return what has the name of a picture, by its ending, in a folder and in its folders.

    Raises:
        DataError: a name is not UTF-8.
    """
    found = Found([], [])
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in (*folders, *files):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES and not _is_hidden(name):
                path = Path(parent, name)
                check_name(path)
                # `Path.is_file` raises where a link leads into a folder that is closed to us.
                (found.pictures if os.path.isfile(path) else found.others).append(path)  # noqa: PTH113
    return found


def check_name(path: Path) -> None:
    """Raise `DataError` unless the path is UTF-8: no table and no report could be written with any other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise DataError(f"{shown}: this name is not valid UTF-8. Rename the file or folder.") from None


def _find_splits(folder: Path) -> dict[str, dict[str, Found]]:
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
    found: dict[str, dict[str, Found]] = {}
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


def _read_classes(folder: Path) -> dict[str, Found]:
    subfolders = _subfolders(folder)
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
    """Return a digest of the pictures' names, sizes and modification times: what a cache is valid for.

    Raises:
        DataError: a picture is no file any more.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in manifest.paths:
        status = (manifest.folder / path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{manifest.folder / path}: this picture is no file any more. Restore it.")
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _common_classes(folder: Path, found: Mapping[str, Mapping[str, Found]]) -> tuple[str, ...]:
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


def _left_out(folder: Path, others: Sequence[Path]) -> list[str]:
    if not others:
        return []
    example = min(others).relative_to(folder).as_posix()
    return [
        "Left out, being folders, pipes or links to nowhere with the name of a picture: "
        f"{len(others)}, such as {example}."
    ]


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
