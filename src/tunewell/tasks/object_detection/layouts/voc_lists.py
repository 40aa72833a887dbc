"""The lists of pictures of Pascal VOC: `ImageSets/Main/{train,val,test}.txt`, one name a line.

Lists for a class each (`cat_train.txt`: names with 1, 0 or -1 behind them) divide the pictures alike, where there are
no others; `trainval.txt` counts where there are neither `train.txt` nor `val.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.picture_index import PictureIndex, name_key, path_parts
from tunewell.tasks.object_detection.layouts.texts import files_ending, read_lines
from tunewell.tasks.vision.names import is_picture, is_split, splits_among

_COLUMN = re.compile(r"\s+-?[01]$")
_UNION = "trainval"


@dataclass(frozen=True, slots=True)
class Lists:
    """What the lists say."""

    #: Annotation file → split.
    splits: dict[str, str]
    #: Names of which there is neither an annotation file nor a picture.
    missing: list[str]
    #: Splits that have a list with names in it.
    named: set[str]


def read_lists(index: PictureIndex, files: Collection[str]) -> Lists | None:
    """Return the splits of annotation files, paths relative to the folder; None if there are no lists.

    Raises:
        DataError: a list can't be read, or names a file in two splits.
    """
    lists = _find_lists(index.folder)
    if not lists:
        return None
    found = Lists({}, [], set())
    for path, split in lists.items():
        # `VOC2007/ImageSets/Main/train.txt` is about the files in VOC2007.
        root = path.relative_to(index.folder).parts[: -len(_sets_parts(path))]
        by_stem = {
            name_key(PurePosixPath(file).stem): file for file in files if PurePosixPath(file).parts[: len(root)] == root
        }
        for line in read_lines(path):
            found.named.add(split)
            stem = next((name_key(name) for name in _names(line) if name_key(name) in by_stem), None)
            if stem is None:
                *_, stem = _names(line)
                if not index.has_stem(stem):
                    found.missing.append(stem)
            elif found.splits.setdefault(by_stem[stem], split) != split:
                other = found.splits[by_stem[stem]]
                raise DataError(
                    f"'{stem}' is in the lists of {other} and {split}", field=str(path), remedy="Keep it in one"
                )
    return found


def _find_lists(folder: Path) -> dict[Path, str]:
    """Return list → split, in the order of their paths."""
    found: dict[Path, str] = {}
    files = [path for path in files_ending(folder, ".txt") if _sets_parts(path.relative_to(folder))]
    for place in sorted({path.parent for path in files}):
        stems = {path.stem: path for path in files if path.parent == place}
        whole = [stem for stem in stems if is_split(stem)]
        splits = splits_among(whole or list(stems))
        if {"train", "val"} & {splits[stem] for stem in splits if stem.lower() != _UNION}:
            splits = {stem: split for stem, split in splits.items() if stem.lower() != _UNION}
        found |= {stems[stem]: split for stem, split in splits.items()}
    return found


def _sets_parts(path: Path) -> tuple[str, ...]:
    """Return the last parts of the path of a list, from `ImageSets` on; none if it is no list."""
    for count, folders in ((3, ("imagesets", "main")), (2, ("imagesets",))):
        last = path.parts[-count:]
        if tuple(part.lower() for part in last[:-1]) == folders:
            return last
    return ()


def _names(line: str) -> Iterator[str]:
    """Yield what a line may name: a name, perhaps with a space, one with a column behind it, or paths."""
    for text in (line, line.split()[0], _COLUMN.sub("", line)):
        name = path_parts(text)[-1] if path_parts(text) else text
        yield name
        yield PurePosixPath(name).stem if is_picture(name) or name.lower().endswith(".xml") else name
