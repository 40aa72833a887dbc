"""The pictures of a folder, by the names that annotations call them by."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import find_pictures
from tunewell.tasks.vision.names import split_of, splits_among
from tunewell.tasks.vision.pictures import Header, read_header


class PictureIndex:
    """All pictures in a folder and its folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: What the folder holds besides: see `files.Found`.
        self.found = find_pictures(folder)
        self.paths = sorted(path.relative_to(folder).as_posix() for path in self.found.pictures)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = PurePosixPath(path)
            self._by_name[name_key(name.name)].append(path)
            self._by_stem[name_key(name.stem)].append(path)
        self._splits = _splits_of_folders(self.paths)
        self._headers: dict[str, Header] = {}

    def find(self, name: str, near: str = "", split: str = "") -> str | None:
        """Return the picture that annotations in the folder `near` call `name`, None if there is none.

        Annotations often hold the path of another machine: its last parts decide. Capitals matter only between
        pictures that differ in nothing else.

        Raises:
            DataError: several pictures may be meant.
        """
        parts = path_parts(name)
        if not parts:
            return None
        candidates = self._by_name.get(name_key(parts[-1]), [])
        exact = [path for path in candidates if PurePosixPath(path).name == parts[-1]]
        return self._choose(exact or candidates, parts, near, split)

    def find_stem(self, stem: str, near: str = "", split: str = "") -> str | None:
        """Return the picture called `stem` but for its ending; else like `find`."""
        parts = path_parts(stem)
        if not parts:
            return None
        candidates = self._by_stem.get(name_key(parts[-1]), [])
        exact = [path for path in candidates if PurePosixPath(path).stem == parts[-1]]
        return self._choose(exact or candidates, parts, near, split)

    def has_stem(self, stem: str) -> bool:
        """Whether any picture is called `stem` but for its ending."""
        return name_key(stem) in self._by_stem

    def split_of(self, path: str) -> str:
        """Return the split that the folders of a path say, the nearest first; empty if they say none."""
        folders = PurePosixPath(path).parents
        said = (self._splits[folder] if folder in self._splits else split_of(folder.name) for folder in folders)
        return next(filter(None, said), "")

    def size(self, path: str) -> tuple[int, int]:
        """Return width and height of a picture, upright, from its header.

        Raises:
            PictureError: it is no picture.
        """
        return self.header(path).size

    def header(self, path: str) -> Header:
        """Return what the header of a picture says.

        Raises:
            PictureError: it is no picture.
        """
        if path not in self._headers:
            self._headers[path] = read_header(self.folder / path)
        return self._headers[path]

    def _choose(self, candidates: Sequence[str], parts: Sequence[str], near: str, split: str) -> str | None:
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        near_parts = PurePosixPath(near).parts
        wanted = PurePosixPath(*parts).with_suffix("").parts

        def likeness(path: str) -> tuple[int, bool, int]:
            own = PurePosixPath(path).with_suffix("").parts
            alike = common_length(own[::-1], wanted[::-1])
            return alike, bool(split) and self.split_of(path) == split, common_length(own, near_parts)

        ranked = sorted(candidates, key=likeness, reverse=True)
        if likeness(ranked[0]) == likeness(ranked[1]):
            raise DataError(
                f"{ranked[0]}, {ranked[1]}: annotations for '{'/'.join(parts)}' may mean either", remedy="Rename one"
            )
        return ranked[0]


def path_parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path of any system; those that only lead elsewhere are left out."""
    parts = PurePosixPath(path.strip().replace("\\", "/")).parts
    return tuple(part for part in parts if part not in ("/", "..", "."))


def _splits_of_folders(paths: Sequence[str]) -> dict[PurePosixPath, str]:
    """Return the split of each folder on the way to a picture; empty if it is none among its neighbours."""
    within: dict[PurePosixPath, set[str]] = defaultdict(set)
    for folder in {folder for path in paths for folder in PurePosixPath(path).parents}:
        if folder.name:
            within[folder.parent].add(folder.name)
    found: dict[PurePosixPath, str] = {}
    for parent, names in within.items():
        splits = splits_among(names)
        found |= {parent / name: splits.get(name, "") for name in names}
    return found


def name_key(name: str) -> str:
    """Return a name as systems that don't tell capitals apart have it; macOS, besides, writes accents apart."""
    return unicodedata.normalize("NFC", name).casefold()


def common_length(first: Iterable[str], second: Iterable[str]) -> int:
    """Return how many elements two sequences have in common, from the first on."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
