"""Connections to a web worker: how many there may be, and how long one may take to say what it wants.

All of this needs no proof, so it is what keeps strangers from holding a connection for nothing.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

#: Most connections of a web worker, event streams and followed logs among them: some fifty users have ten each.
MOST_CONNECTIONS = 1000
#: Of the files that a process may have open, how many it needs for everything else.
_OTHER_FILES = 128


def most_connections() -> int:
    """Return how many connections this process can have: as many as it should, or as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - _OTHER_FILES))


class Connection(H11Protocol):
    """A connection that is ended where it is one too many, or its client too slow.

    An answer may take as long as the work does, and where nothing is asked, a connection is kept for a while.
    """

    #: How many there may be.
    most: ClassVar[int] = MOST_CONNECTIONS
    #: How long the head of a request may take from its first byte on, that of the first one from the connection on; and
    #: the rest of one that has been answered.
    head_seconds: ClassVar[float] = 10.0
    #: How long nothing may be taken of an answer.
    stuck_seconds: ClassVar[float] = 300.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*arguments, **named)
        self._head: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or end at once."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._await_head(is_due=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._await_head(is_due=False)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        self._await_head(is_due=self._is_owing)

    def on_response_complete(self) -> None:
        """Go on after an answer: what has begun of the next request, or is left of this one, must come soon."""
        super().on_response_complete()
        self._await_head(is_due=self._is_owing)

    def pause_writing(self) -> None:
        """Wait until what was answered is taken."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self.stuck_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on to answer."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    @property
    def _is_owing(self) -> bool:
        """Whether a request has come in part, and no other is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        return not is_answering and (self.conn.their_state is not h11.IDLE or bool(self.conn.trailing_data[0]))

    def _await_head(self, is_due: bool) -> None:
        """Have the connection end unless the head of a request comes in time, or have it go on."""
        if is_due and self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self.transport.close)
        elif not is_due and self._head is not None:
            self._head.cancel()
            self._head = None
