"""The disk that a home lies on, and how much of it is kept free."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Where nothing else is said, so much is kept free: the smaller of a number of bytes and a share of the disk.
RESERVE_BYTES, RESERVE_SHARE = 1 << 30, 0.02


@dataclass(frozen=True, slots=True)
class DiskUse:
    """How large a disk is, and what of it is free, in bytes."""

    total_bytes: int
    free_bytes: int


def disk_use(folder: Path) -> DiskUse:
    """Return how it stands with the disk that a folder lies on; raise `OSError`."""
    found = shutil.disk_usage(folder)
    return DiskUse(found.total, found.free)


def reserve_of(use: DiskUse, reserve_bytes: int | None) -> int:
    """Return how many bytes are kept free; None: nobody has said how many."""
    if reserve_bytes is not None:
        return reserve_bytes
    return min(RESERVE_BYTES, int(RESERVE_SHARE * use.total_bytes))


def remove(folder: Path) -> None:
    """Remove a folder in which some may be closed to whoever owns them; links in it are not followed.

    There may be none; what can't be removed is left.
    """
    for parent, folders, _ in os.walk(_opened(folder)):
        for name in folders:  # before it is looked what is in them
            _opened(Path(parent, name))
    shutil.rmtree(folder, ignore_errors=True)


def _opened(folder: Path) -> Path:
    if not folder.is_symlink():
        with suppress(OSError):
            folder.chmod(0o700)
    return folder


def size_of(folder: Path) -> int:
    """Return what all files below a folder take up on the disk, in bytes; what goes away meanwhile takes up nothing."""
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
