"""Locks of a home: files that a process holds until it ends, with its number in them.

The system lets go of them whatever ends the process. A lock lies in the folder that it is for, and may be set aside
with it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tunewell.spec.errors import ConflictError, DataError

#: How long a lock is waited for: whoever only looks whether it is held has it for a moment.
LOCK_SECONDS = 1.0


@contextmanager
def held(
    path: Path, explain: Callable[[str], ConflictError], patience: float = LOCK_SECONDS, *, shared: bool = False
) -> Iterator[TextIO]:
    """Hold a lock, alone or shared with others, and give its open file; the folder is made if there is none.

    Args:
        path: the lock.
        explain: from who holds it (the number of a process, mostly) to the error that says so.
        patience: how many seconds it is waited for.
        shared: whether others may hold it at the same time, if they share it, too.

    Raises:
        ConflictError: somebody else holds it.
        DataError: it can't be written.
    """
    while True:
        with _opened(path) as file:
            holder = lock(file, patience, shared=shared)
            if holder is not None:
                raise explain(holder)
            if not _is_at(file, path):  # its folder was set aside meanwhile
                continue
            if not shared:
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield file
            return


def is_held(path: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # others who look, or may only read, do the same
    except (FileNotFoundError, PermissionError):
        return False
    except BlockingIOError:
        return True
    return False


def lock(file: TextIO, patience: float = LOCK_SECONDS, *, shared: bool = False) -> str | None:
    """Lock an open file, as `held` does; return None, or what its holder wrote into it if it stays locked."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            if time.monotonic() >= deadline:
                return holder or "unknown"
            time.sleep(0.02)
        else:
            return None


def _opened(path: Path) -> TextIO:
    """Open a lock, in a folder that is closed to all but its owner where it has to be made."""
    try:
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise DataError(
            f"it can't be written ({error.strerror}), and must be to run anything", field=str(path)
        ) from None


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
