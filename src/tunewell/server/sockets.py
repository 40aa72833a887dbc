"""Binding what the service listens on, before anything is started."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import ExitStack

from tunewell.spec.errors import ArgumentError

#: How long a port that is taken is tried again: processes of a launcher that was killed leave it once they notice.
BIND_SECONDS = 3.0
BACKLOG = 2048


def bind(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets, one for each address of the host, all on one port.

    Raises `ArgumentError` if there is no such host, or the port can't be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ArgumentError(
            "host", f"'{host}' is no address of this machine ({error})", "Use 127.0.0.1", host
        ) from None
    sockets: list[socket.socket] = []
    with ExitStack() as stack:
        for family, address in dict.fromkeys((entry[0], entry[4][0]) for entry in found):
            one = _bind(family, str(address), sockets[0].getsockname()[1] if sockets else port)
            sockets.append(stack.enter_context(one))
        stack.pop_all()
    return sockets


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            return socket.create_server((address, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise _explain(error, address, port) from None


def _explain(error: OSError, address: str, port: int) -> ArgumentError:
    if error.errno == errno.EADDRINUSE:
        problem = f"another program listens on port {port} of {address}, perhaps another Tunewell"
        return ArgumentError("port", problem, "End it, or choose another port", port)
    if error.errno == errno.EACCES:
        problem = f"this user may not listen on port {port}"
        return ArgumentError("port", problem, "Choose one from 1024 on, behind a reverse proxy if need be", port)
    if error.errno == errno.EADDRNOTAVAIL:
        return ArgumentError("host", f"{address} is no address of this machine", "Use 127.0.0.1", address)
    return ArgumentError("host", f"nothing can listen on {address}, port {port} ({error.strerror})", value=address)
