"""What keeps files of a home in their places: a backup that copies them.

Whoever removes what may be on record has the lock shared for as long as that takes; a backup has it alone. Nobody waits
for a backup, which may take hours: what can't be removed now is removed later, by whoever finds it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tunewell.home.disk import remove
from tunewell.spec.errors import ConflictError, DataError

#: The lock in the home.
KEEPING = "keep.lock"
#: How long a backup waits for those who remove something.
PATIENCE_SECONDS = 5.0


@contextmanager
def keeping(home: Path) -> Iterator[None]:
    """Have nothing removed that is on record, as long as the block lasts.

    Raises:
        ConflictError: a backup is being made already, or something is being removed for too long.
        DataError: the home can't be written.
    """
    with _opened(home) as file:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                problem = "another backup of it is being made, or files are being removed from it"
                raise ConflictError(problem, field=str(home), remedy="Try again later", kind="home-busy")
            time.sleep(0.05)
        yield


@contextmanager
def removing(home: Path) -> Iterator[bool]:
    """Give whether something on record may be removed now, as long as the block lasts; False: a backup is made."""
    try:
        file = _opened(home)
    except DataError:  # on a full disk no file can be made, and no backup either
        yield True
        return
    with file:
        yield _locked(file, fcntl.LOCK_SH)


def remove_now(home: Path, folder: Path) -> bool:
    """Remove a folder that nobody needs any more; return whether that could be done now."""
    with removing(home) as may:
        if may:
            remove(folder)
        return may


def _opened(home: Path) -> TextIO:
    try:
        return (home / KEEPING).open("a+")
    except OSError as error:
        raise DataError(f"it can't be written ({error.strerror})", field=str(home / KEEPING)) from None


def _locked(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
