"""Pictures in folders: where they are, and what is there besides. Nothing is opened or decoded here.

Hidden and foreign files (see `names.is_foreign`) are no part of a data set. Counted, so that it can be said, is what
has the name of a picture but is no file (a folder, a pipe, a link to nowhere), and what has another ending.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewell.spec.errors import DataError, count
from tunewell.tasks.vision.names import (
    is_document,
    is_foreign,
    is_picture,
    picture_suffixes,
    split_of,
    splits_among,
)

#: Endings of files that say what pictures show.
ANNOTATION_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".json", ".xml", ".yaml", ".yml", ".names", ".data"})
#: Most folders around a data set that are stepped into.
_MOST_WRAPPERS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder and its folders hold, in no order."""

    folder: Path
    #: Files with the ending of a picture, links to files among them.
    pictures: list[Path]
    #: What else has such an ending: folders, pipes, sockets, links to nowhere. Opening a pipe would wait for ever.
    others: list[Path]
    #: Files with other endings or none, but for documents (`names.is_document`).
    unread: list[Path]


def find_pictures(folder: Path) -> Found:
    """Return what a folder and its folders hold.

    Raises:
        DataError: a folder can't be read, or the name of a picture is not UTF-8.
    """
    found = Found(folder, [], [], [])
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not is_foreign(name))
        for name in (*folders, *(name for name in files if not is_foreign(name))):
            path = Path(parent, name)
            if is_picture(name):
                check_name(path)
                # `Path.is_file` raises where a link leads into a folder that is closed to us.
                (found.pictures if os.path.isfile(path) else found.others).append(path)  # noqa: PTH113
            elif name in files and not is_document(name):
                found.unread.append(path)
    return found


def _refuse(error: OSError) -> None:
    raise DataError(f"it can't be read ({error.strerror})", field=str(error.filename)) from None


def step_into(data: Path) -> tuple[Path, list[str]]:
    """Return the folder that holds the data set, and a note if that is a folder in `data`.

    An archive often leaves a folder around the data set, perhaps one in another: `dataset/dataset/…`. Such a folder is
    the only one, beside documents at most, is not called after a split, and does not only hold pictures.

    Raises:
        DataError: a folder can't be read.
    """
    folder = data
    for _ in range(_MOST_WRAPPERS):
        inner = _wrapped(folder)
        if inner is None:
            break
        folder = inner
    if folder == data:
        return data, []
    return folder, [f"Read from {folder.relative_to(data).as_posix()}/, the only folder in {data}."]


def _wrapped(folder: Path) -> Path | None:
    """Return the folder that `folder` is only wrapped around, None if it is more than that."""
    subfolders = subfolders_of(folder)
    if len(subfolders) != 1 or any(map(_is_data, folder.iterdir())):
        return None
    inner = subfolders[0]
    within = subfolders_of(inner)
    if split_of(inner.name) and "train" not in splits_among([sub.name for sub in within]).values():
        return None
    return inner if within or any(_is_data(path) and not is_picture(path.name) for path in inner.iterdir()) else None


def _is_data(path: Path) -> bool:
    """Whether a path has the name of a picture or of annotations."""
    if is_foreign(path.name) or is_document(path.name):
        return False
    return is_picture(path.name) or path.suffix.lower() in ANNOTATION_SUFFIXES


def collect_pictures(inputs: Sequence[Path]) -> list[Path]:
    """Return the files among the inputs, and all pictures in the folders among them, each once.

    Raises:
        DataError: an input is missing or is no file (a pipe, from which reading could wait for ever), or there is
            no picture at all.
    """
    found: dict[Path, None] = {}
    for path in inputs:
        if not path.exists():
            raise DataError("there is no such file or folder", field=str(path))
        if path.is_dir():
            found |= dict.fromkeys(sorted(find_pictures(path).pictures))
        elif path.is_file():
            check_name(path)
            found[path] = None
        else:
            raise DataError(
                "this is neither a file nor a folder", field=str(path), remedy="Give files and folders of pictures"
            )
    if not found:
        where = ", ".join(str(path) for path in inputs if path != Path())  # "." would tell nobody anything
        raise DataError("there is no picture", field=where, remedy=known_endings())
    return list(found)


def known_endings() -> str:
    """Return which endings pictures have, as a sentence without its full stop."""
    usual = ("bmp", "gif", "jpg", "png", "tif", "webp")
    assert picture_suffixes() >= {f".{ending}" for ending in usual}
    return f"Known are the endings of all formats that Pillow reads, such as {', '.join(usual)}"


def check_name(path: Path) -> None:
    """Raise `DataError` unless the path is UTF-8: no table and no report could be written with any other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise DataError("this name is not valid UTF-8", field=str(shown), remedy="Rename the file or folder") from None


def subfolders_of(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; raise `DataError` if it can't be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not is_foreign(path.name))
    except OSError as error:
        raise DataError(f"it can't be read ({error.strerror})", field=str(folder)) from None


def note_left_out(folder: Path, others: Sequence[Path]) -> list[str]:
    """Return a note on what has the name of a picture and is none; nothing if there is no such thing."""
    if not others:
        return []
    example = min(others).relative_to(folder).as_posix()
    return [
        "Left out, being folders, pipes or links to nowhere with the name of a picture: "
        f"{len(others)}, such as {example}."
    ]


def note_unread(folder: Path, unread: Sequence[Path]) -> list[str]:
    """Return a note on files whose endings are those of no picture; nothing if there are none."""
    if not unread:
        return []
    endings = Counter(path.suffix.lower() or "no ending" for path in unread)
    kinds = ", ".join(f"{number} {ending}" for ending, number in sorted(endings.items(), key=lambda item: -item[1])[:5])
    example = os.fsencode(min(unread).relative_to(folder)).decode("utf-8", "backslashreplace")
    return [f"Left out, not being pictures by their ending: {count(len(unread), 'file')} ({kinds}), such as {example}."]


def listed(names: Iterable[str], limit: int = 5) -> str:
    """Return the first names, sorted, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
