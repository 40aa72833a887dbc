"""Labels in the names of folders.

Three kinds of folders are told apart: splits (`train/cat/1.jpg`), classes (`cat/1.jpg`), and others, whose pictures are
left out and counted. A folder is a split if its name says so (see `names.splits_among`) and its neighbours are splits
too: a lone `train` among folders of pictures is a class. Class folders may have folders of their own; if all of these
are splits, they count as such (`cat/train/1.jpg`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunewell.spec.errors import DataError, count
from tunewell.tasks.image_classification.labelling import Labelling, Row
from tunewell.tasks.vision.files import (
    Found,
    check_name,
    find_pictures,
    known_endings,
    listed,
    note_left_out,
    note_unread,
    subfolders_of,
)
from tunewell.tasks.vision.names import SPLITS, are_parts, is_foreign, is_picture, splits_among

_TABLES = (".csv", ".tsv")


def has_class_folders(folder: Path) -> bool:
    """Whether the names of folders are labels: two folders or more with pictures that are neither splits nor parts."""
    places = _split_folders(folder).get("train", [folder])
    classes = [sub.name for place in places for sub in _with_pictures(_innermost(place))]
    return len(classes) > 1 and len(splits_among(classes)) < len(classes) and not are_parts(classes)


def read_class_folders(folder: Path, to_learn: bool = True) -> Labelling:
    """Return the pictures with the names of their folders as labels; in a set without splits all are of `train`.

    A set that is not there `to_learn` from may lack a folder of training data.

    Raises:
        DataError: there are no pictures in folders of classes.
    """
    places = _split_folders(folder) or ({} if to_learn else _folders_without_train(folder))
    if not places:
        _check_splits(folder)
        places = {"train": [folder]}
    notes = [
        f"Read together as {split}: the folders {listed(place.name for place in together)}."
        for split, together in places.items()
        if len(together) > 1
    ]
    rows: list[Row] = []
    found: list[Found] = []
    labels: set[str] = set()
    for split in sorted(places, key=SPLITS.index):
        for place in places[split]:
            classes = _read_classes(_innermost(place, labels), split, notes)
            rows += [Row(path, (held.folder.name,), split, held.folder) for held in classes for path in held.pictures]
            found += classes
            labels |= {held.folder.name for held in classes}
        if not any(row.split == split for row in rows):
            notes.append(_without_labels(places[split], split))
    rows, within = _split_within(folder, rows)
    return Labelling(rows, [*notes, *within, *_left_out(folder, found, places)])


def _split_within(folder: Path, rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Return the rows with the splits that folders within those of classes say, or a note on such folders."""
    inner = {row.path: row.path.relative_to(row.folder).parts[:-1] for row in rows if row.folder is not None}
    named = splits_among({parts[0] for parts in inner.values() if parts})
    undivided = {row.split for row in rows} == {"train"}
    if undivided and "train" in named.values() and all(parts and parts[0] in named for parts in inner.values()):
        return [replace(row, split=named[inner[row.path][0]]) for row in rows], []
    deep = [path for path, parts in inner.items() if parts]
    if not deep:
        return rows, []
    return rows, [f"Folders within those of classes count as part of them: {_placed(folder, deep)}."]


def _split_folders(folder: Path) -> dict[str, list[Path]]:
    """Return split → its folders; nothing if the folders with pictures are classes, or only one is a split."""
    holding = _with_pictures(folder)
    named = splits_among([sub.name for sub in holding])
    train = [sub for sub in holding if named.get(sub.name) == "train" and _with_pictures(sub)]
    if not train or (set(named.values()) == {"train"} and not _is_split(train, holding)):
        return {}
    splits = {split: [sub for sub in holding if named.get(sub.name) == split] for split in SPLITS}
    return {split: places for split, places in splits.items() if places}


def _folders_without_train(folder: Path) -> dict[str, list[Path]]:
    """Return split → its folders, where all folders with pictures are splits, and these have folders of classes."""
    holding = _with_pictures(folder)
    named = splits_among([sub.name for sub in holding])
    if not named or len(named) < len(holding) or not any(map(_with_pictures, holding)):
        return {}
    splits = {split: [sub for sub in holding if named[sub.name] == split] for split in SPLITS}
    return {split: places for split, places in splits.items() if places}


def _is_split(train: Sequence[Path], holding: Sequence[Path]) -> bool:
    """Whether folders called `train` are the training data although no other folder is a split."""
    others = [sub for sub in holding if sub not in train]
    classes = {sub.name for place in train for sub in _with_pictures(_innermost(place))}
    inner = [{sub.name for sub in _with_pictures(other)} for other in others]
    if not others or any(classes & names for names in inner):
        return True
    return len(classes) > 1 and len(others) == 1 and not inner[0]


def _check_splits(folder: Path) -> None:
    """Raise `DataError` if all folders are splits, though they have no classes or there is no training data."""
    holding = _with_pictures(folder)
    named = splits_among([sub.name for sub in holding])
    if not named or len(named) < len(holding):
        return
    if "train" not in named.values():
        found = listed(named.values())
        raise DataError(
            f"it has {found} but no train folder", field=str(folder), remedy="Add train/ with one folder per class"
        )
    first = next(sub for sub in holding if named[sub.name] == "train")
    raise DataError(
        "it holds no class folders",
        field=str(first),
        remedy=f"Sort its pictures into one folder per class, such as {first.name}/cat and {first.name}/dog",
    )


def _innermost(folder: Path, classes: Iterable[str] = ()) -> Path:
    """Return the folder of class folders in one that is only wrapped around it: `seg_train/seg_train/CLASS`."""
    inner = _with_pictures(folder)
    if len(inner) != 1 or inner[0].name in classes or not _with_pictures(inner[0]) or _loose(folder):
        return folder
    return _innermost(inner[0], classes)


def _loose(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if is_picture(path.name) and not is_foreign(path.name)]


def _with_pictures(folder: Path) -> list[Path]:
    """Return the folders in a folder that hold the name of a picture, themselves or in their folders."""
    return [sub for sub in subfolders_of(folder) if _has_pictures(sub)]


def _has_pictures(folder: Path) -> bool:
    for _, folders, names in os.walk(folder):
        if any(is_picture(name) and not is_foreign(name) for name in names):
            return True
        folders[:] = [name for name in folders if not is_foreign(name)]
    return False


def _read_classes(folder: Path, split: str, notes: list[str]) -> list[Found]:
    """Return what the class folders of a split hold; in `train` raise `DataError` if it can't be used."""
    subfolders = subfolders_of(folder)
    for sub in subfolders:
        check_name(sub)
    names = {sub.name for sub in subfolders}
    inner = {sub: {one.name for one in subfolders_of(sub)} for sub in subfolders}
    repeating = [sub for sub in subfolders if len(inner[sub]) > 1 and inner[sub] <= names]
    if repeating:
        notes.append(f"Left out, repeating the folders beside them: {listed(sub.name for sub in repeating)}.")
    found = [find_pictures(sub) for sub in subfolders if sub not in repeating]
    kept = [held for held in found if held.pictures]
    if split != "train":
        return kept
    if not kept:
        loose = len(find_pictures(folder).pictures)
        if loose:
            raise DataError(
                f"its {loose} pictures are in no class folder", field=str(folder), remedy="Make one folder per class"
            )
        raise DataError("there are no pictures in its class folders", field=str(folder), remedy=known_endings())
    for held in found:
        if not held.pictures and (held.others or held.unread):
            raise _no_picture(held)
    if empty := [held.folder.name for held in found if not held.pictures]:
        notes.append(f"Left out, being empty: {count(len(empty), 'folder')}, {listed(empty)}.")
    return kept


def _no_picture(held: Found) -> DataError:
    """Return what is wrong with a folder of a class without pictures, such as one of annotations of objects."""
    problem, remedy = "this class has no picture", "Add some, or move the folder elsewhere"
    if not any(path.suffix.lower() in (".json", ".xml") for path in held.unread):
        return DataError(problem, field=str(held.folder), remedy=remedy)
    remedy += ". Annotations of objects are for the tasks object-detection and instance-segmentation"
    return DataError(problem, field=str(held.folder), remedy=remedy, task="object-detection")


def _without_labels(places: Sequence[Path], split: str) -> str:
    held = sum(len(find_pictures(place).pictures) for place in places)
    return f"Not used, having no labels: {count(held, 'picture')} of {split}, in no class folder."


def _left_out(folder: Path, found: Sequence[Found], places: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return notes on all that lies in the folder and is not used, but for the splits that have no labels at all."""
    whole = find_pictures(folder)
    used = {path for held in found for path in held.pictures}
    split_of = {place: split for split, together in places.items() for place in together}
    read = {split_of[place] for place in split_of for held in found if held.folder.is_relative_to(place)}
    rest = []
    for path in whole.pictures:
        split = next((split for place, split in split_of.items() if path.is_relative_to(place)), None)
        if path not in used and (split is None or split in read):
            rest.append(path)
    # A class folder that is a link is not walked through with the rest.
    others = {*whole.others, *(path for held in found for path in held.others)}
    unread = {*whole.unread, *(path for held in found for path in held.unread)}
    unread = {path for path in unread if path.parent != folder or path.suffix.lower() not in _TABLES}
    return [*_note_rest(folder, rest), *note_left_out(folder, sorted(others)), *note_unread(folder, sorted(unread))]


def _note_rest(folder: Path, rest: Sequence[Path]) -> list[str]:
    if not rest:
        return []
    return [f"Left out, lying in no class folder of a split: {_placed(folder, rest)}."]


def _placed(folder: Path, paths: Sequence[Path]) -> str:
    """Return how many pictures there are, where, and one of them."""
    where = Counter(path.parent.relative_to(folder).as_posix() for path in paths)
    named = listed((f"{number} in {place}" for place, number in where.items()), 3)
    return f"{count(len(paths), 'picture')} ({named}), such as {min(paths).relative_to(folder).as_posix()}"
