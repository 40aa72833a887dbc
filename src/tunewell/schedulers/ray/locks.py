"""Locks of places below the folder of a node: they go with whoever holds them, however that ends.

A lock is a file that is named by a digest of the place, and has a record of it. It may be removed by whoever holds it
alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any


def take(folder: Path, place: str, *, shared: bool = False, wait: bool = False) -> int | None:
    """Return the descriptor of a place's lock, which is held until it is closed; None: another process has it.

    Raises:
        OSError: the lock can't be made.
    """
    path = path_of(folder, place)
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever had it has removed it


@contextmanager
def held(folder: Path, place: str) -> Iterator[None]:
    """Hold a place's lock alone within the block; wait for it."""
    descriptor = take(folder, place, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def path_of(folder: Path, place: str) -> Path:
    """Return the file of a place's lock."""
    return folder / sha256(os.fsencode(place)).hexdigest()[:32]


def write_record(descriptor: int, record: Mapping[str, Any]) -> None:
    """Write the record of a lock, in one piece; raise OSError."""
    content = json.dumps(record).encode()
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the record of a lock; None if it has none, or is gone."""
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record
