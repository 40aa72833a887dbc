"""Unpacking an archive into a new folder: all of it, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.home.manifest import Content, FileEntry, content_of
from tunewell.service.storage.limits import Limits
from tunewell.service.storage.members import Member, format_of, members
from tunewell.service.storage.names import RefusedEntry, Tree, too_much
from tunewell.spec.errors import DataError, UserError

#: What a file in it can be used for: reading; and running, where it could be before and may be.
_READ, _RUN = 0o444, 0o555


def unpack(archive: Path, name: str, target: Path, limits: Limits, executable: bool = False) -> Content:
    """Unpack an archive into the new folder `target`, whose files and folders can't be written; return what it holds.

    Args:
        archive: the file.
        name: what people call it.
        target: where it goes; its parent is there. If anything is wrong, nothing is left of it.
        limits: what may come of it.
        executable: whether files that could be run as programs still can be.

    Raises:
        DataError: it is no archive, damaged, holds what is not taken, or too much.
    """
    format = format_of(archive)
    if format is None:
        raise DataError("it is no archive", field=name, remedy="Send a zip, tar, tar.gz, tar.bz2 or tar.xz")
    target.mkdir(mode=0o700)
    try:
        allowed = limits.bytes_of(archive.stat().st_size)
        entries = list(_write_all(members(archive, format, limits), target, limits, allowed, executable))
        if not entries:
            raise DataError("it is empty: there is no file in it", field=name, remedy="Send one with files in it")
        close(target)
    except BaseException as error:
        remove(target)
        _explain(error, name)
        raise
    return content_of(entries)


def _explain(error: BaseException, name: str) -> None:
    """Raise what a user is told, if it is the archive that is wrong."""
    if isinstance(error, RefusedEntry):
        raise RefusedEntry(error.what, field=name, remedy=error.remedy) from None
    # A disk that refuses has an error number; what is damaged can be anything, down to an endless recursion.
    if isinstance(error, UserError) or not isinstance(error, Exception) or getattr(error, "errno", None) is not None:
        return
    raise DataError("it is damaged, or no archive", field=name, remedy="Make it again, and send it again") from None


def _write_all(
    found: Iterator[Member], target: Path, limits: Limits, allowed: int, executable: bool
) -> Iterator[FileEntry]:
    tree = Tree(limits)
    for member in found:
        parts = tree.add(member.name, member.is_folder)
        path = target.joinpath(*parts)
        if member.is_folder:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        runs = executable and member.executable
        size, sha256 = _write(member, path, allowed, _RUN if runs else _READ)
        allowed -= size
        yield FileEntry("/".join(parts), size, sha256, runs)


def _write(member: Member, path: Path, allowed: int, mode: int) -> tuple[int, str]:
    """Write a file; return its size and checksum."""
    size, checksum = 0, hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in member.content:
            size += len(part)
            if size > allowed:
                raise too_much()
            checksum.update(part)
            file.write(part)
        os.fchmod(descriptor, mode)
    return size, checksum.hexdigest()


def close(folder: Path) -> None:
    """Close all folders to writing."""
    for parent, _, _ in os.walk(folder):
        os.chmod(parent, _RUN)  # noqa: PTH101
