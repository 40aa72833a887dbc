"""Messages over a socket: a JSON object, and contents that follow it as they are.

::

    length of the object, 4 bytes, the most significant first
    the object; its `sizes` are those of the contents
    the contents, one after the other
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

_LENGTH = struct.Struct(">I")
#: Bytes of an object, and of all contents, at most: whoever sends more is none of ours.
_LARGEST_OBJECT, _LARGEST_CONTENTS = 64 << 20, 256 << 20


class Cut(Exception):
    """The other end is gone, or says something else."""


def send(
    connection: socket.socket,
    message: Mapping[str, Any],
    contents: Sequence[bytes] = (),
    deadline: float | None = None,
) -> None:
    """Send a message; raise `Cut` if nobody takes it, `TimeoutError` if nobody has by the deadline (monotonic)."""
    head = json.dumps({**message, "sizes": [len(content) for content in contents]}).encode()
    try:
        _limit(connection, deadline)
        connection.sendall(_LENGTH.pack(len(head)) + head)
        for content in contents:
            _limit(connection, deadline)
            connection.sendall(content)
    except TimeoutError:
        raise
    except OSError as error:
        raise Cut from error


def receive(connection: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], list[bytes]]:
    """Return the next message and its contents; raises as `send` does."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, deadline))
    if length > _LARGEST_OBJECT:
        raise Cut
    try:
        message = json.loads(_exactly(connection, length, deadline))
        sizes = message.pop("sizes")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Cut from error
    if sum(sizes) > _LARGEST_CONTENTS:
        raise Cut
    return message, [_exactly(connection, size, deadline) for size in sizes]


def _exactly(connection: socket.socket, size: int, deadline: float | None) -> bytes:
    content = bytearray(size)
    view, done = memoryview(content), 0
    try:
        while done < size:
            _limit(connection, deadline)
            got = connection.recv_into(view[done:])
            if not got:
                raise Cut
            done += got
    except TimeoutError:
        raise
    except OSError as error:
        raise Cut from error
    return bytes(content)


def _limit(connection: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        connection.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)
