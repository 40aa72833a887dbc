"""Where the service of a home is found, for commands on its machine: in a file that it holds locked while it serves."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

#: The file in the home.
ADDRESS = "serve.url"


def note(home: Path, address: str) -> TextIO | None:
    """Note the address of a service, as long as the file stays open; None: another service's is, or none can be."""
    with suppress(OSError):
        file = os.fdopen(os.open(home / ADDRESS, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(address)
            file.flush()
        except OSError:
            file.close()
        else:
            return file
    return None


def forget(home: Path, file: TextIO) -> None:
    """Take back what was noted."""
    with suppress(OSError):
        (home / ADDRESS).unlink()
    file.close()
