"""Files as the parts of a tar, of which a few are held at once."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a tar."""

    path: str
    size_bytes: int
    #: Seconds since the epoch.
    modified_at: float
    #: Gives its content.
    read: Callable[[], Iterator[bytes]]


def tar(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a tar.

    Raises:
        OSError: a file became shorter while it was read: who reads must not take this for the whole.
    """
    for member in members:
        header = tarfile.TarInfo(member.path)
        header.size, header.mode, header.mtime = member.size_bytes, 0o644, int(member.modified_at)
        yield header.tobuf(tarfile.PAX_FORMAT)
        left = header.size
        for part in member.read():
            yield part[:left]
            left -= len(part[:left])
            if not left:
                break
        if left:
            raise OSError(f"{member.path} has changed while it was read")
        yield bytes(-header.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
