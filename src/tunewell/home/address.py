"""Where the service of a home is found, for commands on its machine: in a file that it holds locked while it serves."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

#: The file in the home.
ADDRESS = "serve.url"
_TRIES = 10


def note(home: Path, address: str) -> TextIO | None:
    """Note the address of a service, as long as the file stays open; None: another service's is, or none can be."""
    with suppress(OSError):
        file = os.fdopen(os.open(home / ADDRESS, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            _lock(file)
            file.truncate(0)
            file.write(address)
            file.flush()
        except OSError:
            file.close()
        else:
            return file
    return None


def _lock(file: TextIO) -> None:
    """Lock it, past those who only look whether it is locked, and have it for a moment."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.02)
    raise BlockingIOError


def forget(home: Path, file: TextIO) -> None:
    """Take back what was noted."""
    with suppress(OSError):
        (home / ADDRESS).unlink()
    file.close()
