"""What tells the content of a folder from any other: one checksum over paths, sizes and checksums of its files.

A client works it out for a folder that it has, a service for what it has unpacked; both get the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file in a folder."""

    #: Relative to the folder, with `/`.
    path: str
    size: int
    #: Checksum of its content, in hexadecimal.
    sha256: str
    #: Whether it can be run as a program; always False in data.
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What a folder holds."""

    #: Checksum over all of it, in hexadecimal.
    sha256: str
    #: Of all files together, in bytes, and how many they are.
    size: int
    files: int


def content_of(entries: Iterable[FileEntry]) -> Content:
    """Return what tells these files from any others, in whatever order they come."""
    ordered = sorted(entries, key=lambda entry: entry.path.encode())
    whole = hashlib.sha256(b"tunewell content 1\n")
    for entry in ordered:
        whole.update(f"{entry.sha256} {'x' if entry.executable else '-'} {entry.size} {entry.path}\n".encode())
    return Content(whole.hexdigest(), sum(entry.size for entry in ordered), len(ordered))


def files_in(folder: Path) -> Iterator[FileEntry]:
    """Yield the files in a folder and its folders, each read once; links are no part of it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                yield FileEntry(path.relative_to(folder).as_posix(), file.tell(), sha256)


def is_sha256(text: object) -> bool:
    """Whether something is a checksum in hexadecimal."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None
