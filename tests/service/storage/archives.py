"""Makes archives, decent ones and others."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

#: What a decent archive holds.
FILES: Mapping[str, bytes] = {"train/a/1.png": b"one", "train/b/2.png": b"two" * 1000, "labels.csv": b"a,b\n"}

COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}


def zip_entry(name: str, mode: int = stat.S_IFREG | 0o644, **facts: Any) -> zipfile.ZipInfo:
    """Return a zip's header."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    for fact, value in facts.items():
        setattr(entry, fact, value)
    return entry


def zip_of(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """Return a zip with these entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return file.getvalue()


def tar_entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    """Return a tar's header."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, link, mode
    return entry


def tar_of(*entries: tuple[str | tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar with these entries."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for entry, content in entries:
            header = tar_entry(entry) if isinstance(entry, str) else entry
            header.size = len(content) if header.isreg() else 0
            archive.addfile(header, io.BytesIO(content))
    return file.getvalue()


def decent(format: str) -> bytes:
    """Return an archive of FILES."""
    if format == "zip":
        return zip_of(*FILES.items())
    return COMPRESSIONS[format](tar_of(*FILES.items()))


def overlapping_zip(size: int = 1 << 20, entries: int = 20) -> bytes:
    """Return a zip whose entries all have the same content, which is there once."""
    one = zip_of(("a", bytes(size)))
    start = one.index(b"PK\x01\x02")
    content, directory, end = one[:start], one[start : one.index(b"PK\x05\x06")], one[one.index(b"PK\x05\x06") :]
    names = [bytes([ord("a") + number]) for number in range(entries)]
    records = [directory[:46] + name + directory[47:] for name in names]
    whole = b"".join(records)
    tail = end[:8] + struct.pack("<HHLL", entries, entries, len(whole), len(content)) + end[20:]
    return content + whole + tail


def quilted_zip(size: int = 100_000) -> bytes:
    """Return a zip in whose first entry, which is stored, the second one lies as a whole."""
    inner = zip_of(("b", bytes(size)))
    local = inner[: inner.index(b"PK\x01\x02")]
    outer = zip_of((zip_entry("a", compress_type=zipfile.ZIP_STORED), local))
    start = outer.index(b"PK\x01\x02", len(local))
    end = outer.index(b"PK\x05\x06", start)
    offset = outer.index(local)
    record = inner[inner.index(b"PK\x01\x02") : inner.index(b"PK\x05\x06")]
    directory = outer[start:end] + record[:42] + struct.pack("<L", offset) + record[46:]
    tail = outer[end : end + 8] + struct.pack("<HHLL", 2, 2, len(directory), start) + outer[end + 20 :]
    return outer[:start] + directory + tail


def encrypted_zip() -> bytes:
    """Return a zip whose entry says that it is encrypted."""
    data = bytearray(zip_of(("a", b"secret")))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    return bytes(data)


def renamed_zip(name: bytes) -> bytes:
    """Return a zip whose entry has just these bytes as its name."""
    return zip_of(("x" * len(name), b"content")).replace(b"x" * len(name), name)


def sparse_tar() -> bytes:
    """Return a tar whose file claims to hold 8 TB, of which nothing is there."""
    header = tar_entry("holes")
    header.type = tarfile.GNUTYPE_SPARSE
    data = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    data[386:410] = b"00000000000\000000000000\0"
    data[483:495] = b"77777777777\0"
    return _with_checksum(data) + bytes(1024)


def long_header_tar(size: int) -> bytes:
    """Return a tar with a name of so many bytes, which a reader takes into memory."""
    header = tar_entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = size
    return header.tobuf(tarfile.GNU_FORMAT) + b"a" * size + bytes(-size % 512) + tar_of(("a", b"content"))


def nested_header_tar(depth: int) -> bytes:
    """Return a tar with so many headers before one file, each about the next one."""
    header = tar_entry("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 2
    return (header.tobuf(tarfile.GNU_FORMAT) + b"a\0" + bytes(510)) * depth + tar_of(("a", b"content"))


def damaged_tar() -> bytes:
    """Return a tar whose second header is damaged."""
    data = bytearray(tar_of(("a", b"one"), ("b", b"two")))
    data[1024] ^= 0xFF
    return bytes(data)


def unfinished_tar() -> bytes:
    """Return a tar that was cut off between two files."""
    return tar_of(("a", b"one"), ("b", b"two"))[:1024]


def _with_checksum(data: bytearray) -> bytes:
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)
