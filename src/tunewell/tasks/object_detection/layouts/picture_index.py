"""The pictures of a folder, by the names that annotations call them by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tunewell.spec.errors import DataError
from tunewell.tasks.object_detection.layouts.markings import split_of_path
from tunewell.tasks.vision.files import find_pictures
from tunewell.tasks.vision.pictures import picture_size


class PictureIndex:
    """All pictures in a folder and its folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = sorted(path.relative_to(folder).as_posix() for path in find_pictures(folder).pictures)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = PurePosixPath(path)
            self._by_name[name.name].append(path)
            self._by_stem[name.stem].append(path)
        self._sizes: dict[str, tuple[int, int]] = {}

    def find(self, name: str, near: str = "", split: str = "") -> str | None:
        """Return the picture that annotations in the folder `near` call `name`, None if there is none.

        Annotations often hold the path of another machine: its last parts decide.

        Raises:
            DataError: several pictures may be meant.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts:
            return None
        return _choose(self._by_name.get(parts[-1], []), parts, near, split)

    def find_stem(self, stem: str, near: str = "", split: str = "") -> str | None:
        """Return the picture called `stem` but for its ending; else like `find`."""
        parts = PurePosixPath(stem.replace("\\", "/")).parts
        if not parts:
            return None
        return _choose(self._by_stem.get(parts[-1], []), parts, near, split)

    def has_stem(self, stem: str) -> bool:
        """Whether any picture is called `stem` but for its ending."""
        return stem in self._by_stem

    def size(self, path: str) -> tuple[int, int]:
        """Return width and height of a picture, upright, from its header.

        Raises:
            PictureError: it is no picture.
        """
        if path not in self._sizes:
            self._sizes[path] = picture_size(self.folder / path)
        return self._sizes[path]


def _choose(candidates: Sequence[str], parts: Sequence[str], near: str, split: str) -> str | None:
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    near_parts = PurePosixPath(near).parts
    wanted = PurePosixPath(*parts).with_suffix("").parts

    def likeness(path: str) -> tuple[int, bool, int]:
        own = PurePosixPath(path).with_suffix("").parts
        alike = _common_length(own[::-1], wanted[::-1])
        return alike, bool(split) and split_of_path(path) == split, _common_length(own, near_parts)

    ranked = sorted(candidates, key=likeness, reverse=True)
    if likeness(ranked[0]) == likeness(ranked[1]):
        raise DataError(f"{ranked[0]}, {ranked[1]}: annotations for '{'/'.join(parts)}' may mean either. Rename one.")
    return ranked[0]


def _common_length(first: Sequence[str], second: Sequence[str]) -> int:
    differences = (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)
    return next(differences, min(len(first), len(second)))
