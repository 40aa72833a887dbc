"""Unpacking a backup into a folder that nobody uses yet, and checking every part of it.

Nothing in an archive is trusted: only files, folders and links that stay within are taken, each once, in the places
where a backup has them. Links are made last, so nothing is written through one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from tunewell.service.upkeep.archive import CHUNK, DATABASE, FILES, MANIFEST, damaged, noted
from tunewell.service.upkeep.backup import link_within
from tunewell.spec.errors import DataError
from tunewell.store import dumping

#: Folder of the home for the rows, while they are on their way.
ROWS = ".restoring"
#: What there is in the folder of a home that a backup has.
_PLACES = frozenset(
    {"secret", "experiments", "jobs", "datasets", "code", "models", "uploads", "inputs", "demo", "set-aside"}
)
_WEIGHTS = ("cache", "weights")
_TABLES = frozenset(f"{name}.jsonl" for name in dumping.TABLES)


class Unpacking:
    """What was taken of an archive so far."""

    def __init__(self, folder: Path, place: str, first: bytes) -> None:
        """Take the empty folder that it goes to, what people call the archive, and the first line of a manifest."""
        self.files = 0
        self._folder, self._place, self._first = folder, place, first
        self._parts, self._bytes = 1, 0
        self._links: dict[Path, str] = {}
        self._modes: dict[Path, int] = {}

    def take_all(self, tar: tarfile.TarFile, tell: Callable[[int], None]) -> None:
        """Take all parts of an archive, of which the first was read; `tell` is told how many bytes have come.

        Raises:
            DataError: it is damaged, or holds what is not taken.
        """
        rows = self._folder / ROWS
        rows.mkdir(mode=0o700)
        with (rows / MANIFEST).open("w+b") as found:
            found.write(self._first)
            is_whole = False
            while (member := tar.next()) is not None:
                if is_whole:
                    raise damaged(self._place, "something follows its end")
                if member.name == MANIFEST and member.isreg():
                    self._compare(_content(tar, member), found)
                    is_whole = True
                else:
                    found.write(noted(self._take(tar, member)))
                    self._parts += 1
                tell(self._bytes)
            if not is_whole:
                raise damaged(self._place, "it ends early")
        missing = _TABLES - {path.name for path in rows.iterdir()}
        if missing:
            raise damaged(self._place, f"'{min(missing)}' is missing")
        self._settle()

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, object]:
        """Take one part; return what the manifest is to say of it."""
        name = member.name
        target = self._target(name)
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if member.isdir():
                target.mkdir(mode=0o700, exist_ok=True)
                self._modes[target] = member.mode & 0o777
                return {"path": name, "folder": True}
            if member.issym():
                if link_within(target, member.linkname, self._folder) != member.linkname:
                    raise self._refused(name, f"a link that leads out, to '{member.linkname}'")
                self._links[target] = member.linkname
                return {"path": name, "link": member.linkname}
            if not member.isreg() or member.sparse is not None:
                raise self._refused(name, "no file, folder or link")
            size, sha256 = self._write(target, _content(tar, member), member.mode & 0o777)
        except (FileExistsError, NotADirectoryError):
            raise damaged(self._place, f"'{name}' comes twice") from None
        return {"path": name, "size": size, "sha256": sha256}

    def _target(self, name: str) -> Path:
        """Return where a part goes."""
        path = PurePosixPath(name)
        if str(path) != name or path.is_absolute() or ".." in path.parts or "\0" in name:
            raise self._refused(name, "a path that leads out of it")
        if name.startswith(DATABASE) and name.removeprefix(DATABASE) in _TABLES:
            return self._folder / ROWS / path.name
        if name.startswith(FILES) and (path.parts[1] in _PLACES or path.parts[1:3] == _WEIGHTS):
            return self._folder / name.removeprefix(FILES)
        raise self._refused(name, "a place where no backup has anything")

    def _refused(self, name: str, what: str) -> DataError:
        return DataError(
            f"it holds what is in no backup ('{name}': {what}), so nothing was restored", field=self._place
        )

    def _write(self, target: Path, content: IO[bytes], mode: int) -> tuple[int, str]:
        size, checksum = 0, hashlib.sha256()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            while part := content.read(CHUNK):
                checksum.update(part)
                file.write(part)
                size += len(part)
            file.flush()
            os.fchmod(descriptor, mode)
        self.files += target.parent.name != ROWS
        self._bytes += size
        return size, checksum.hexdigest()

    def _compare(self, manifest: IO[bytes], found: IO[bytes]) -> None:
        """Raise `DataError` unless the manifest says what has come."""
        found.seek(0)
        for number, line in enumerate(manifest, 1):
            if number <= self._parts:
                if line != found.readline():
                    raise damaged(self._place, f"'{_path_in(line)}' is not as it was")
            elif line != noted({"parts": self._parts}):
                raise damaged(self._place, f"'{_path_in(line)}' is missing")
            else:
                return
        raise damaged(self._place, "its manifest ends early")

    def _settle(self) -> None:
        """Make the links, and close folders that were closed."""
        for link, says in self._links.items():
            try:
                link.symlink_to(says)
            except FileExistsError:
                raise damaged(self._place, f"'{link.name}' comes twice") from None
        for folder, mode in sorted(self._modes.items(), reverse=True):
            folder.chmod(mode)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None, "it is a file"
    return content


def _path_in(line: bytes) -> str:
    try:
        return str(json.loads(line)["path"])
    except (ValueError, KeyError, TypeError):
        return MANIFEST
