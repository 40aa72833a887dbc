"""What a backup is made of, and how its parts are written.

A tar, of these parts in this order::

    backup.json                what it is: `About`
    database/TABLE.jsonl       the rows of a table, a line each
    home/…                     the files of the home, by their paths in it
    manifest.jsonl             of each part before: path, size and SHA-256, or what a link says; last, how many

The manifest is last, so that a backup can be written to wherever it goes as it is read, and one that ends early is not
taken for a whole one.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

from tunewell.spec.errors import DataError

ABOUT, DATABASE, FILES, MANIFEST = "backup.json", "database/", "home/", "manifest.jsonl"
#: What the format is called in `backup.json`, and its version.
FORMAT: Final = "tunewell-backup"
FORMAT_VERSION: Final = 1
CHUNK = 1 << 20
#: Bytes at the beginning of a backup in which all is that it says of itself.
HEAD = 4096


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself."""

    #: Version of this format.
    version: int
    #: Version of Tunewell that has made it.
    program: str
    #: The migration that the tables are at.
    tables: str
    #: When it was begun, in seconds since the epoch.
    created_at: float
    #: The folder of the home.
    home: str
    #: Number of the latest transaction in it.
    number: int
    #: Bytes of all that follows, about.
    size_bytes: int
    format: str = FORMAT

    def to_json(self) -> bytes:
        """Return it as a file."""
        return json.dumps(asdict(self)).encode() + b"\n"


def about_of(data: bytes, place: str) -> About:
    """Return what a backup says of itself; raise `DataError` if it is none, or this version can't read it."""
    found: dict[str, Any] = {}
    try:
        found = json.loads(data)
        is_ours = found["format"] == FORMAT
        version, program = int(found["version"]), str(found["program"])
    except (ValueError, KeyError, TypeError):
        is_ours, version, program = False, 0, ""
    if not is_ours:
        raise no_backup(place)
    if version > FORMAT_VERSION:
        raise DataError(
            f"this backup was made by a newer version of Tunewell ({program})",
            field=place,
            remedy="Upgrade Tunewell",
            kind="newer-backup",
        )
    try:
        return About(**found)
    except TypeError:
        raise no_backup(place) from None


def no_backup(place: str) -> DataError:
    """Return what is told of a file that is no backup."""
    return DataError("this is no backup of Tunewell", field=place, remedy="Name another file")


def damaged(place: str, what: str) -> DataError:
    """Return what is told of a backup that is not as it was made."""
    return DataError(
        f"this backup is damaged ({what}), so nothing was restored",
        field=place,
        remedy="Use another copy, or another one",
    )


class Writer:
    """Makes the parts of a tar, and keeps its manifest."""

    def __init__(self, manifest: IO[bytes]) -> None:
        """Take an empty file for the manifest."""
        self._manifest = manifest
        self._parts = 0

    def file(
        self, path: str, size: int, content: Iterable[bytes], mode: int = 0o600, time: float = 0.0
    ) -> Iterator[bytes]:
        """Yield a file of `size` bytes; what its content has beyond them is left out.

        Raises:
            DataError: it has become shorter.
        """
        yield _header(path, tarfile.REGTYPE, size, mode, time)
        checksum, left = hashlib.sha256(), size
        for part in content:
            taken = part[:left]
            checksum.update(taken)
            left -= len(taken)
            yield taken
            if not left:
                break
        if left:
            raise DataError(
                "it has changed while it was copied, so the backup is not whole", field=path, remedy="Begin again"
            )
        yield bytes(-size % tarfile.BLOCKSIZE)
        self._note(path=path, size=size, sha256=checksum.hexdigest())

    def folder(self, path: str, mode: int) -> Iterator[bytes]:
        """Yield a folder."""
        yield _header(path, tarfile.DIRTYPE, 0, mode, 0.0)
        self._note(path=path, folder=True)

    def link(self, path: str, says: str) -> Iterator[bytes]:
        """Yield a link."""
        yield _header(path, tarfile.SYMTYPE, 0, 0o777, 0.0, says)
        self._note(path=path, link=says)

    def end(self) -> Iterator[bytes]:
        """Yield the manifest, and the end of the tar."""
        self._write({"parts": self._parts})
        size = self._manifest.tell()
        self._manifest.seek(0)
        yield _header(MANIFEST, tarfile.REGTYPE, size, 0o600, 0.0)
        while part := self._manifest.read(CHUNK):
            yield part
        yield bytes(-size % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _note(self, **facts: Any) -> None:
        self._parts += 1
        self._write(facts)

    def _write(self, facts: dict[str, Any]) -> None:
        self._manifest.write(noted(facts))


def noted(facts: dict[str, Any]) -> bytes:
    """Return a line of a manifest."""
    return json.dumps(facts).encode() + b"\n"


def _header(path: str, type: bytes, size: int, mode: int, time: float, says: str = "") -> bytes:
    header = tarfile.TarInfo(path)
    header.type, header.size, header.mode, header.mtime, header.linkname = type, size, mode, int(time), says
    return header.tobuf(tarfile.PAX_FORMAT)


def size_in(head: bytes) -> int:
    """Return how many bytes a backup has, about, of which this is the beginning; 0: that can't be told."""
    try:
        first = tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        return int(json.loads(head[tarfile.BLOCKSIZE :][: first.size])["size_bytes"])
    except (tarfile.TarError, ValueError, KeyError, TypeError):
        return 0
