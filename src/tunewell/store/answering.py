"""Connections to PostgreSQL on which nobody waits for ever for a server that does not answer.

The system tells of a connection that is broken, not of a server, or a machine on the way, that takes what is sent and
says nothing. A server may also be long at something: wait for a lock, or for a standby. So where no answer comes, it is
asked on another connection whether it is at it. If it is not, or does not answer there either, the connection is cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import waiting

from tunewell.store.patience import Patience

Given = TypeVar("Given")
#: What psycopg consumes while it waits: gives what is waited for, is sent what has come, returns the answer.
Steps = Generator[Any, Any, Given]

#: How often it is looked whether patience is at an end.
INTERVAL_SECONDS = 0.1
#: Whether the server's process works for a client, neither idle nor waiting for the client itself.
_WORKS = (
    "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND coalesce(state, '') NOT LIKE 'idle%%'"
    " AND wait_event_type IS DISTINCT FROM 'Client'"
)


class Way:
    """How connections to one server are made: as `psycopg.connect` makes them from arguments and options."""

    def __init__(self, arguments: Sequence[Any], options: Mapping[str, Any], patience: Patience) -> None:
        """Connect to nothing yet."""
        self._arguments, self._options, self.patience = arguments, options, patience

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection. One that the server leaves without an answer closes itself: `OperationalError`."""
        try:
            connection = _watched_class(self.patience, self._is_at_it).connect(*self._arguments, **self._options)
        except psycopg.errors.ConnectionTimeout:
            self.patience.lose()
            raise
        self.patience.regain()
        return connection

    def _is_at_it(self, process: int) -> bool:
        """Ask the server, on a connection of its own, whether its process works for a client."""
        seconds = max(2, int(self.patience.connect_limit() / 2))
        options = {**self._options, "autocommit": True, "connect_timeout": seconds}
        try:
            with _watched_class(self.patience, lambda process: False).connect(*self._arguments, **options) as asking:
                return asking.execute(_WORKS, (process,)).fetchone() is not None
        except (psycopg.errors.ConnectionTimeout, NoAnswer):
            return False
        except psycopg.OperationalError:  # it answers, if only that it has no room for one more
            return True


class NoAnswer(psycopg.OperationalError):
    """The server has said nothing for so long that the connection was cut."""


def _watched_class(patience: Patience, is_at_it: Callable[[int], bool]) -> type[psycopg.Connection[Any]]:
    class Watched(psycopg.Connection[Any]):
        @classmethod
        def _connect_gen(cls, *of_connection: Any, **more: Any) -> Any:
            return _bounded(super()._connect_gen(*of_connection, **more), patience)

        def wait(self, gen: Steps[Given], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> Given:
            more = {} if timeout is None else {"timeout": timeout}
            try:
                return waiting.wait(_watched(gen, self, patience, is_at_it), self.pgconn.socket, interval, **more)
            except KeyboardInterrupt:  # psycopg would ask the server to stop, and wait for that
                self.pgconn.finish()
                raise

    return Watched


def _bounded(making: Steps[Given], patience: Patience) -> Steps[Given]:
    """Make a connection, no longer than patience lasts."""
    begun, limit = time.monotonic(), patience.connect_limit()
    try:
        wanted = next(making)
        while True:
            ready = yield wanted
            if time.monotonic() - begun > min(limit, patience.connect_seconds):
                raise psycopg.errors.ConnectionTimeout("connection timeout expired")
            wanted = making.send(ready)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def _watched(
    waited: Steps[Given], connection: psycopg.Connection[Any], patience: Patience, is_at_it: Callable[[int], bool]
) -> Steps[Given]:
    """Wait for something on a connection, and cut it where nothing has come for longer than patience lasts."""
    heard, is_lost = time.monotonic(), False
    try:
        wanted = next(waited)
        while True:
            ready = yield wanted
            if ready != waiting.READY_NONE:
                heard, is_lost = time.monotonic(), False
            elif time.monotonic() - heard > patience.answer_seconds:
                if is_lost or not patience.asks:
                    connection.pgconn.finish()
                    patience.lose()
                    raise NoAnswer(f"no answer for {time.monotonic() - heard:.0f} s")
                # If not, its answer comes while that is asked, or never.
                is_lost = not is_at_it(connection.info.backend_pid)
                if not is_lost:
                    heard = time.monotonic()
            wanted = waited.send(ready)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
