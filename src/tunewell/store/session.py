"""The connection on which a controller writes to PostgreSQL, and which proves by its locks what the controller owns.

An advisory lock lasts as long as its connection. All that a controller writes goes through the connection that has its
locks, so that what it writes is written while it owns what it writes on, or not at all. The server ends the connection
of a process that has fallen silent; there is no clock of our own to go by.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, TextClause, text

from tunewell.spec.errors import UserError
from tunewell.store.dialect import PROGRAM, SILENT_SECONDS, end_transaction
from tunewell.store.patience import Patience

log = logging.getLogger(__name__)

#: How often a connection with locks shows that its process is alive.
ALIVE_SECONDS = 1.0
#: What can be owned. All who serve share one lock; its number is 0.
Owned = Literal["experiment", "job", "serve"]

_SETTINGS = {
    "idle_session_timeout": f"{SILENT_SECONDS}s",
    # A client that the network has lost says nothing, not even that.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{SILENT_SECONDS}s",
}
_HERE = text("SELECT pid, backend_start, current_schema() AS schema FROM pg_stat_activity WHERE pid = pg_backend_pid()")
#: Ends the connection before this one, which may live on at the server for a while after it was cut, and has our locks.
_END = text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :start")
_TAKE = text("SELECT pg_try_advisory_lock(:kind, :number)")
_SHARE = text("SELECT pg_try_advisory_lock_shared(:kind, :number)")
_GIVE = text("SELECT pg_advisory_unlock(:kind, :number)")
_GIVE_SHARED = text("SELECT pg_advisory_unlock_shared(:kind, :number)")
_OF_KIND = (
    "locktype = 'advisory' AND granted AND classid = :kind AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_HELD = text(f"SELECT objid::int AS number FROM pg_locks WHERE {_OF_KIND}")
_HOLDER = text(
    "SELECT coalesce(nullif(application_name, ''), pid || ' of the server, for the role ' || usename)"
    f" FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE {_OF_KIND} AND objid = :number"
)


@dataclass(eq=False, slots=True)
class Lease:
    """The proof that this process owns something."""

    #: False once another process may have it.
    held: bool = True


@dataclass(frozen=True, slots=True)
class _Lock:
    kind: Owned
    number: int

    @property
    def shared(self) -> bool:
        return self.kind == "serve"


class Session:
    """The locks of one process, and the connection that has them; there is one while there are locks."""

    def __init__(self, engine: Engine, writing: threading.Lock, patience: Patience) -> None:
        """Own nothing yet. `writing` is held by whoever uses the connection."""
        self._engine = engine
        self._patience = patience
        self._writing = writing
        self._leases: dict[_Lock, Lease] = {}
        self._connection: Connection | None = None
        #: Process and start of the last connection at the server.
        self._last: tuple[int, object] | None = None
        self._schema: str | None = None
        self._keeper: threading.Thread | None = None
        self._closed = threading.Event()

    # Owning -----------------------------------------------------------------------------------------------

    @contextmanager
    def own(self, kind: Owned, number: int, patience_seconds: float) -> Iterator[Lease | str]:
        """Give the lease of something, or who has it if it is not free within the patience.

        Raises `DataError` if the database can't be reached.
        """
        lock, deadline = _Lock(kind, number), time.monotonic() + patience_seconds
        while (lease := self._patience.insist(lambda: self._take(lock))) is None:
            if time.monotonic() >= deadline:
                yield self._holder(lock)
                return
            time.sleep(0.02)
        try:
            yield lease
        finally:
            self._give_back(lock, lease)

    def owned(self, kind: Owned) -> frozenset[int]:
        """Return the numbers of what any process owns of a kind."""
        return frozenset(self._read(_HELD, {"kind": self._class(kind)}))

    def at_work(self) -> str:
        """Return what a process does with what is on record now, for people; empty: nothing."""
        if self.owned("serve"):
            return "a controller runs what is recorded in it"
        kinds: tuple[Owned, ...] = ("experiment", "job")
        held = ((kind, number) for kind in kinds for number in self.owned(kind))
        return next((f"{kind} {number} is being run" for kind, number in held), "")

    def _take(self, lock: _Lock) -> Lease | None:
        with self._writing:
            if lock in self._leases:  # the server would let the same connection have it twice
                return None
            connection = self._open()
            if not self._lock(connection, lock):
                self._close_unused()
                return None
            lease = self._leases[lock] = Lease()
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, name="tunewell-session", daemon=True)
            self._keeper.start()
        return lease

    def _give_back(self, lock: _Lock, lease: Lease) -> None:
        with self._writing:
            if self._leases.get(lock) is lease:
                del self._leases[lock]
                with suppress(UserError):  # where the connection is gone, the lock is, too
                    if self._connection is not None and _lives(self._connection):
                        self._connection.execute(_GIVE_SHARED if lock.shared else _GIVE, self._names(lock))
                        self._connection.commit()
            lease.held = False
            self._close_unused()

    def _holder(self, lock: _Lock) -> str:
        if lock in self._leases:
            return str(os.getpid())
        return str(next(iter(self._read(_HOLDER, self._names(lock))), "unknown")).removeprefix(f"{PROGRAM} ")

    # The connection ---------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether anything is owned, so that all writes must go through this connection."""
        return bool(self._leases)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give the connection, connected again if need be; `writing` must be held.

        What another process has taken meanwhile is lost: its lease says so from then on.

        Raises `DataError` if the database can't be reached.
        """
        connection = self._open()
        try:
            yield connection
        finally:
            with suppress(UserError):
                connection.rollback()
                end_transaction(connection)

    def close(self) -> None:
        """Let go of everything."""
        self._closed.set()
        if self._leases:
            with self._writing:
                for lease in self._leases.values():
                    lease.held = False
                self._leases.clear()
                self._close_unused()

    def _open(self) -> Connection:
        known = self._connection
        if known is not None and _lives(known):
            return known
        self._close_connection()
        connection = self._engine.connect()
        try:
            connection.detach()
            for name, value in _SETTINGS.items():
                connection.exec_driver_sql(f"SET {name} = '{value}'")
            here = connection.execute(_HERE).one()
            if self._last is not None:
                connection.execute(_END, {"pid": self._last[0], "start": self._last[1]})
            self._last, self._schema = (here.pid, here.backend_start), here.schema
            connection.commit()
            for lock in [lock for lock in self._leases if not self._lock(connection, lock)]:
                self._leases.pop(lock).held = False
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _lock(self, connection: Connection, lock: _Lock) -> bool:
        taken = connection.execute(_SHARE if lock.shared else _TAKE, self._names(lock)).scalar_one()
        connection.commit()
        return bool(taken)

    def _close_unused(self) -> None:
        if not self._leases:
            self._close_connection()

    def _close_connection(self) -> None:
        if self._connection is not None:
            with suppress(UserError):
                self._connection.close()
            self._connection = None

    def _keep(self) -> None:
        """Show the server that this process lives, and connect again where the connection was cut."""
        while not self._closed.wait(ALIVE_SECONDS):
            if not self._writing.acquire(blocking=False):
                continue
            try:
                if self._leases:
                    self._open().exec_driver_sql("SELECT 1")
            except UserError:  # it is tried again
                pass
            except Exception:
                log.exception("the connection that has the locks can't be kept")
                self._close_connection()
            finally:
                self._writing.release()

    def _read(self, query: TextClause, values: Mapping[str, int] | None = None) -> list[Any]:
        """Return the first column of what a query finds, on a connection of its own."""

        def read() -> list[Any]:
            with self._engine.connect() as connection:
                return list(connection.execute(query, values).scalars())

        return self._patience.insist(read)

    # Names of locks ---------------------------------------------------------------------------------------

    def _names(self, lock: _Lock) -> dict[str, int]:
        return {"kind": self._class(lock.kind), "number": lock.number}

    def _class(self, kind: Owned) -> int:
        """Return the number by which the locks of a kind, in our schema, are known in the whole database."""
        if self._schema is None:
            (self._schema,) = self._read(text("SELECT current_schema()"))
        return zlib.crc32(f"tunewell {self._schema} {kind}".encode()) >> 1  # PostgreSQL has it signed


def _lives(connection: Connection) -> bool:
    """Whether a connection was not found to be cut."""
    return not connection.invalidated and not connection.closed
