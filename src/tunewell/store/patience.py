"""How long a database server is waited for that does not answer, or is not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tunewell.store.errors import Cut, Unreachable

Answer = TypeVar("Answer")

#: How long a connection may take to be made.
CONNECT_SECONDS = 10.0
#: How long an answer may take before another connection is made, to ask what the server does about it.
ANSWER_SECONDS = 4.0
#: How long a server that is gone, as while it starts again, is waited for by whoever was connected to it.
ABSENT_SECONDS = 3.0
#: The same for a connection, and for an answer that is asked no more about, where somebody wants to end.
HURRIED_CONNECT_SECONDS, LAST_SECONDS = 3.0, 1.0
#: How long after a silence connections are given as little time, as whoever waits makes several, one after the other.
SOBER_SECONDS = 20.0


def again_if_cut(call: Callable[[], Answer]) -> Answer:
    """Make a call that opens a database; once more if its connection was cut, as while a server ends or is let go."""
    try:
        return call()
    except Cut:
        return call()


class Patience:
    """The patience of all who use one database. Any thread, and any signal handler, may take it from them."""

    def __init__(self) -> None:
        """Have all of it."""
        self.connect_seconds, self.answer_seconds, self.absent_seconds = CONNECT_SECONDS, ANSWER_SECONDS, ABSENT_SECONDS
        #: Whether a server is asked what it does where it does not answer: it may be at it still.
        self.asks = True
        self._sober_until = 0.0

    def connect_limit(self) -> float:
        """Return how long a connection that is begun now may take to be made, in seconds."""
        if time.monotonic() >= self._sober_until:
            return self.connect_seconds
        if not self.asks:
            return 0.0
        return min(self.connect_seconds, HURRIED_CONNECT_SECONDS) if self.absent_seconds else LAST_SECONDS

    def lose(self) -> None:
        """Take note of a server that has kept us waiting in vain, for as long as it may."""
        if time.monotonic() >= self._sober_until:
            self._sober_until = time.monotonic() + SOBER_SECONDS

    def regain(self) -> None:
        """Take note of a server that answers."""
        self._sober_until = 0.0

    def hurry(self) -> None:
        """Wait for no server that is gone, as somebody wants to end; at a second call, hardly for any."""
        if self.absent_seconds:
            self.absent_seconds, self.connect_seconds = 0.0, HURRIED_CONNECT_SECONDS
        else:
            self.connect_seconds = self.answer_seconds = LAST_SECONDS
            self.asks = False

    def insist(self, call: Callable[[], Answer]) -> Answer:
        """Make a call that needs a connection, again and again for a while if the server is not there just now."""
        begun = time.monotonic()
        while True:
            try:
                return call()
            except Unreachable:
                if time.monotonic() - begun >= self.absent_seconds:
                    raise
                time.sleep(0.05)
