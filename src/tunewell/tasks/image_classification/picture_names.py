"""Which picture a table means: by its path, the end of its path, its name without ending, in another case.

Tables are written on other machines, for other folders: `C:\\data\\cats\\1.jpg` is `cats/1.jpg` here.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import find_pictures, listed
from tunewell.tasks.vision.names import is_picture, split_of

#: Ways to find a picture that are no matter of course → how a note puts them.
UNUSUAL = {
    "end": "by the end of their paths",
    "ending": "with another ending",
    "case": "in another case",
    "number": "by their numbers, without zeros in front",
}


@dataclass(frozen=True, slots=True)
class Match:
    """A picture that a table means."""

    path: Path
    #: `name`, or one of `UNUSUAL`.
    way: str
    #: How many of the last parts of the path agree.
    depth: int

    @property
    def likeness(self) -> tuple[bool, int]:
        """What to compare two ways of naming a picture by: whether all of the path agrees, and how much of it."""
        return self.way != "end", self.depth


class PictureNames:
    """All pictures in a folder and its folders, to be found by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = find_pictures(folder)
        self._parts = {path: _parts(path.relative_to(folder).as_posix()) for path in self.found.pictures}
        self._by = {way: defaultdict[str, list[Path]](list) for way in ("name", "stem", "case", "number")}
        for path, parts in sorted(self._parts.items()):
            stem = PurePosixPath(parts[-1]).stem
            self._by["name"][parts[-1]].append(path)
            self._by["stem"][stem].append(path)
            for name in {parts[-1].casefold(), stem.casefold()}:
                self._by["case"][name].append(path)
            if stem.isdecimal():
                self._by["number"][str(int(stem))].append(path)

    def known(self, cell: str) -> str | None:
        """Return the way in which a cell means any picture; None if it means none."""
        parts = _parts(cell)
        return self._candidates(parts[-1])[0] if parts else None

    def find(self, cell: str, where: str, near: Path, split: str) -> Match | None:
        """Return the picture that a cell means, None if there is none.

        Args:
            cell: what the table says.
            where: table and row, for messages.
            near: folder of the table.
            split: split of the row, empty if that is not known.

        Raises:
            DataError: several pictures may be meant.
        """
        parts = _parts(cell)
        if not parts:
            return None
        way, candidates = self._candidates(parts[-1])
        if not candidates:
            return None

        def likeness(path: Path) -> tuple[int, bool, bool]:
            own = self._parts[path]
            said = any(split_of(part) == split for part in own[:-1])
            return _common_end(own[:-1], parts[:-1]), bool(split) and said, path.is_relative_to(near)

        ranked = sorted(candidates, key=likeness, reverse=True)
        if len(ranked) > 1 and likeness(ranked[0]) == likeness(ranked[1]):
            likely = [path for path in ranked if likeness(path) == likeness(ranked[0])]
            others = listed((path.relative_to(self.folder).as_posix() for path in likely), 2)
            raise DataError(
                f"'{cell}' may be any of {others}", field=str(where), remedy="Write the path from the table's folder"
            )
        depth = 1 + likeness(ranked[0])[0]
        return Match(ranked[0], "end" if way == "name" and depth < len(parts) else str(way), depth)

    def _candidates(self, name: str) -> tuple[str | None, Sequence[Path]]:
        """Return the pictures that may be called `name`, and in which way."""
        stem = PurePosixPath(name).stem if is_picture(name) else name
        number = stem.removesuffix(".0")
        tries = [
            ("name", "name", name),
            ("name", "stem", name),
            ("case", "case", name.casefold()),
            ("ending", "stem", stem),
            ("number", "number", str(int(number)) if number.isdecimal() else None),
        ]
        for way, table, key in tries:
            if key is not None and (found := self._by[table].get(key)):
                return way, found
        return None, []


def _parts(path: str) -> tuple[str, ...]:
    """Return the parts of a path of any system, letters composed as one character each."""
    normal = unicodedata.normalize("NFC", path).replace("\\", "/")
    return tuple(part for part in normal.split("/") if part not in ("", ".", ".."))


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
