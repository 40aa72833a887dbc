"""The socket of the server, in the home: only those who may read the home reach it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Longest path of a socket in bytes that every system takes.
_LONGEST = 100


def path_in(home: Path, port: int) -> Path:
    """Return where the server of the service on a port of this machine listens; others may share the home."""
    return home.absolute() / "run" / f"models-{socket.gethostname()}-{port}.sock"


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give a name of a path that is short enough for a socket, as long as the block lasts."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="tunewell-") as folder:
        link = Path(folder, "run")
        link.symlink_to(path.parent)
        yield str(link / path.name)


def listen(path: Path) -> socket.socket:
    """Return a socket that listens at a path, in place of one that was left there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX)
    try:
        mask = os.umask(0o177)
        try:
            with reachable(path) as name:
                listening.bind(name)
        finally:
            os.umask(mask)
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening
