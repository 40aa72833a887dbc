"""The files and folders in an archive, one after the other. Nothing that a header says is believed but the name.

zip (stored or deflated), and tar, plain or compressed with gzip, bzip2 or xz. A member's content must be read before
the next one is asked for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from tunewell.service.storage.limits import Limits
from tunewell.service.storage.names import RefusedEntry, too_much
from tunewell.spec.errors import shown

Format = Literal["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]
#: How the names of archives end.
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
#: Bytes that are read at a time.
CHUNK = 1 << 20
#: How the formats begin, and where.
_MARKS: tuple[tuple[bytes, int, Format], ...] = (
    (b"PK\x03\x04", 0, "zip"),
    (b"PK\x05\x06", 0, "zip"),  # with nothing in it
    (b"\x1f\x8b", 0, "tar.gz"),
    (b"BZh", 0, "tar.bz2"),
    (b"\xfd7zXZ\x00", 0, "tar.xz"),
    (b"ustar", 257, "tar"),
    (bytes(512), 0, "tar"),  # with nothing in it
)
#: Memory that the decompression of xz may take: the most that `xz -9` asks for is 65 MiB.
_XZ_MEMORY = 128 << 20
#: Most bytes of headers before a member of a tar, and of the list of all members of a zip, for each of them.
_HEADER_BYTES, _ENTRY_BYTES = 1 << 20, 2048
#: Least bytes of a member of a zip beside its name and content.
_ZIP_HEADER = 30
#: Flags of members of a zip whose content, or even name, is encrypted.
_ENCRYPTED = 0x1 | 0x40 | 0x2000


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder in an archive."""

    name: str
    is_folder: bool
    #: Whether it can be run as a program.
    executable: bool
    #: Its content in parts; of a folder none.
    content: Iterator[bytes]


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none: that was all."""


def format_of(path: Path) -> Format | None:
    """Return the format of an archive by how it begins, None for anything else."""
    with path.open("rb") as file:
        head = file.read(512)
    return next((format for mark, place, format in _MARKS if head.startswith(mark, place)), None)


def members(path: Path, format: Format, limits: Limits) -> Iterator[Member]:
    """Yield what an archive holds.

    Raises:
        RefusedEntry: it holds what is neither a file nor a folder, or is made to do harm.
        Exception: one of many kinds, where it is damaged.
    """
    return _zip_members(path, limits) if format == "zip" else _tar_members(path, format, limits)


# zip ------------------------------------------------------------------------------------------------------


class _Directory(io.BufferedReader):
    """A file of which no more is read at once than a list of all members can take."""

    most: int

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most `size` bytes."""
        if size is not None and size > self.most:
            raise RefusedEntry("the list of what it holds is too long", remedy="Send fewer files, or larger ones")
        return super().read(size)


def _zip_members(path: Path, limits: Limits) -> Iterator[Member]:
    with _Directory(io.FileIO(path)) as file:
        file.most = limits.entries * _ENTRY_BYTES + CHUNK
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_overlap(entries, archive.start_dir)
            for entry in entries:
                yield Member(*_facts(entry), content=_parts(archive, entry))


def _check_overlap(entries: list[zipfile.ZipInfo], end: int) -> None:
    """Raise `RefusedEntry` where two members share bytes of the archive: so a small one holds more than it could."""
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        name = len(entry.orig_filename.encode("cp437" if not entry.flag_bits & 0x800 else "utf-8", "replace"))
        if entry.header_offset < 0 or entry.header_offset + _ZIP_HEADER + name + entry.compress_size > end:
            raise RefusedEntry("entries of it overlap", remedy="Make the archive again")
        end = entry.header_offset


def _facts(entry: zipfile.ZipInfo) -> tuple[str, bool, bool]:
    """Return name, whether it is a folder, and whether it can be run."""
    name, mode = entry.orig_filename, entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if "\0" in name or name != entry.filename:
        raise _refused(name, "has a name that programs read in two ways")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(name, "is a link or a device")
    if kind and (kind == stat.S_IFDIR) != name.endswith("/"):
        raise _refused(name, "is a folder by its kind, and a file by its name, or the other way round")
    if name.endswith("/") and entry.file_size:
        raise _refused(name, "is a folder that has a content")
    if entry.flag_bits & _ENCRYPTED:
        raise _refused(name, "is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(name, "is compressed in a way that few programs know (only stored and deflated are read)")
    return name, name.endswith("/"), bool(mode & 0o100)


def _parts(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as file:
        while part := file.read(CHUNK):
            yield part


# tar ------------------------------------------------------------------------------------------------------


class _StrictInfo(tarfile.TarInfo):
    """A header of a tar; a damaged one is an error, and not the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictInfo:
        """Return the header in a block."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error}") from None


class _Metered:
    """What comes out of a decompressor, as long as it is no more than an archive can rightly hold."""

    def __init__(self, source: Readable, most: int) -> None:
        self._source = source
        self._left = most
        #: Most bytes that may still be read for headers; None: it is not headers that are read.
        self.headers: int | None = None

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self.headers is not None:
            self.headers -= len(data)
        if self._left < 0 or (self.headers is not None and self.headers < 0):
            raise too_much()
        return data


class _Xz:
    """Decompresses xz with little memory, whatever the file asks for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        while True:
            if self._decompressor.eof:  # another stream may follow, behind zeros
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(CHUNK).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = self._new()
            else:
                rest = self._file.read(CHUNK) if self._decompressor.needs_input else b""
                if self._decompressor.needs_input and not rest:
                    raise EOFError("it ends too early")
            data = self._decompressor.decompress(rest, size)
            if data:
                return data


def _tar_members(path: Path, format: Format, limits: Limits) -> Iterator[Member]:
    most = limits.bytes_of(path.stat().st_size) + limits.entries * _ENTRY_BYTES
    with path.open("rb") as file:
        stream = _Metered(_decompressed(file, format), most)
        source: Any = stream  # reading is all that it is asked for
        stream.headers = _HEADER_BYTES
        with tarfile.open(fileobj=source, mode="r|", tarinfo=_StrictInfo, errorlevel=2) as archive:
            while True:
                stream.headers = _HEADER_BYTES
                entry = archive.next()
                stream.headers = None
                if entry is None:
                    break
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                yield _member(archive, entry)
        while stream.read(CHUNK):  # the checksum of the whole comes last
            pass


def _member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Member:
    if entry.issparse():
        raise _refused(entry.name, "has holes")
    if not entry.isreg() and not entry.isdir():
        raise _refused(entry.name, "is a link or a device")
    return Member(entry.name, entry.isdir(), bool(entry.mode & 0o100), _content(archive, entry))


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(entry)
    while file is not None and (part := file.read(CHUNK)):
        yield part


def _decompressed(file: IO[bytes], format: Format) -> Readable:
    if format == "tar.gz":
        return gzip.GzipFile(fileobj=file)
    if format == "tar.bz2":
        return bz2.BZ2File(file)
    return _Xz(file) if format == "tar.xz" else file


def _refused(name: str, what: str) -> RefusedEntry:
    return RefusedEntry(f"the entry {shown(name)} {what}", remedy="Make the archive without it")
