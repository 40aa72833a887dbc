"""The files in which each process of a service counts (`tunewell.api.metrics`). Standard library only.

They are mapped into memory, and a process that writes where the disk has no room for that dies (SIGBUS). So each takes
all the room that it may need before it counts anything, and gives back at its end what it did not.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

#: Tells a process the folder of the files.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
#: What kind of figures a file holds → how many bytes it has. There are a few hundred kinds of requests, each of which
#: is counted by its status and by how long it took.
_BYTES = {"counter": 1 << 20, "histogram": 2 << 20, "gauge_livesum": 1 << 16}
#: How a file begins: with the number of its bytes that are used.
_USED = struct.Struct("i")


def take_room() -> bool:
    """Take room for the figures of this process; where there is none, it counts for itself alone, and this is false."""
    folder = Path(os.environ[VARIABLE])
    try:
        for kind, size in _BYTES.items():
            _file(folder, kind, os.getpid()).write_bytes(bytes(size))
    except OSError:
        for kind in _BYTES:
            _file(folder, kind, os.getpid()).unlink(missing_ok=True)
        del os.environ[VARIABLE]
        return False
    return True


def give_back(folder: Path, process: int) -> None:
    """Drop what a process that has ended said of the moment, and the room that it did not need; what it counted stays.

    `process` is its number.
    """
    for kind in _BYTES:
        file = _file(folder, kind, process)
        with suppress(OSError, struct.error):  # it may have been killed before it had its room
            if kind.startswith("gauge_live"):
                file.unlink()
            else:
                with file.open("rb") as opened:
                    (used,) = _USED.unpack(opened.read(_USED.size))
                os.truncate(file, max(used, _USED.size))


def _file(folder: Path, kind: str, process: int) -> Path:
    return folder / f"{kind}_{process}.db"
