"""What launcher and children say to each other, and how a child notices that the launcher is gone.

A socket between the two. First comes the order, from the launcher; then what the child has to tell; each a JSON object,
one a line. The launcher sends nothing more: that the socket ends says that it has died, however it did, and the child
ends at once. A new launcher then finds port and home free.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from tunewell.server.options import Options

#: Exit code of a child that can't do what it was started for, and would not the next time either.
REFUSED = 2
#: Exit code of a child whose launcher is gone.
ORPHANED = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to do."""

    #: What logs and figures call it.
    name: str
    options: Options
    #: Descriptors of the sockets that it listens on.
    sockets: tuple[int, ...]
    #: Whether it was never at work yet: what is wrong is said then, and waited for later.
    first: bool
    #: The port that was bound.
    port: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "name": self.name,
            "options": self.options.to_json(),
            "sockets": self.sockets,
            "first": self.first,
            "port": self.port,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Order:
        """Return what `to_json` was called on."""
        options = Options.from_json(values["options"])
        return cls(values["name"], options, tuple(values["sockets"]), values["first"], values["port"])


class Channel:
    """The child's end."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._lines = self._socket.makefile("rb")

    def order(self) -> Order:
        """Return what is to be done, and watch from then on whether the launcher lives."""
        line = self._lines.readline()
        if not line:
            os._exit(ORPHANED)
        threading.Thread(target=self._watch, name="launcher", daemon=True).start()
        return Order.from_json(json.loads(line))

    def _watch(self) -> NoReturn:
        with suppress(OSError):  # a launcher that dies before it has read what it was told resets the connection
            self._lines.read()
        os._exit(ORPHANED)

    def tell(self, **message: Any) -> None:
        """Tell the launcher something."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")
