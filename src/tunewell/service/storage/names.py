"""The one rule for names that come from outside and become those of files: nothing is changed, odd ones are refused."""

from __future__ import annotations

import re
import unicodedata

from tunewell.service.storage.limits import LONGEST_NAME, LONGEST_PATH, Limits
from tunewell.spec.errors import DataError, shown

_DRIVE = re.compile(r"[A-Za-z]:")
#: Kinds of characters that no name has: control characters, lone surrogates, ends of lines.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")


class RefusedEntry(DataError):
    """An archive, or another thing that was sent, holds something that is not taken."""

    default_kind = "refused-entry"


def checked_parts(name: str, depth: int) -> tuple[str, ...]:
    """Return the parts of a relative path with `/`; of `./` alone there are none.

    Raises:
        RefusedEntry: it is absolute, leads out of its folder, or is no name that every system knows.
    """
    path = name
    while path.startswith("./"):
        path = path[2:]
    path = path.removesuffix("/")
    if path in ("", "."):
        if name == "" or name.startswith("/"):
            raise _refused(name, "has no name")
        return ()
    parts = tuple(path.split("/"))
    if path.startswith("/") or _DRIVE.match(path):
        raise _refused(name, "has an absolute name")
    if "\\" in path:
        raise _refused(name, "has a backslash in its name")
    if any(part in ("", ".", "..") for part in parts):
        raise _refused(name, "has a name with an empty part, '.' or '..'")
    if any(unicodedata.category(letter) in _REFUSED for letter in path):
        raise _refused(name, "has a control character in its name, or one that is not Unicode")
    if any(len(part.encode()) > LONGEST_NAME for part in parts) or len(path.encode()) > LONGEST_PATH:
        raise _refused(name, f"has a name of more than {LONGEST_NAME} bytes, or {LONGEST_PATH} with its folders")
    if len(parts) > depth:
        raise _refused(name, f"lies in more than {depth} folders")
    return parts


class Tree:
    """The names in an archive so far: each is there once, and is a file or a folder, in any case and spelling."""

    def __init__(self, limits: Limits) -> None:
        """Begin without any."""
        self._limits = limits
        # What a system that ignores case makes of a path → its spelling, and whether it is a file.
        self._known: dict[str, tuple[str, bool]] = {}

    def add(self, name: str, is_folder: bool) -> tuple[str, ...]:
        """Return the parts of an entry's name, none of the folder that holds everything.

        Raises:
            RefusedEntry: the name can't be taken, is there already, or these are too many.
        """
        parts = checked_parts(name, self._limits.depth)
        if not parts and not is_folder:
            raise _refused(name, "has no name")
        for end in range(1, len(parts)):
            self._add(name, "/".join(parts[:end]), is_file=False)
        if parts:
            self._add(name, "/".join(parts), is_file=not is_folder)
        return parts

    def _add(self, name: str, path: str, is_file: bool) -> None:
        spelling = (path, is_file)
        known = self._known.setdefault(unicodedata.normalize("NFC", path).casefold(), spelling)
        if known != spelling:
            raise _refused(name, f"can't be told from {shown(known[0])} where case and spelling don't count")
        if is_file and known is not spelling:
            raise _refused(name, "is there twice")
        if len(self._known) > self._limits.entries:
            raise RefusedEntry(
                f"it holds more than {self._limits.entries:,} files and folders", remedy="Send fewer, or larger ones"
            )


def too_much() -> RefusedEntry:
    """Return the error of an archive that holds too many bytes: as such, for its size, or for its user's quota."""
    return RefusedEntry("it unpacks to more than is taken", remedy="Send less at once, or compress it less")


def _refused(name: str, what: str) -> RefusedEntry:
    return RefusedEntry(f"the entry {shown(name)} {what}", remedy="Make the archive without it, or rename it")
