"""Where SQLite and PostgreSQL differ: opening, durability, locks, backup, error messages. Nothing else may differ."""

from __future__ import annotations

import json
import logging
import os
import socket
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from tunewell.spec.errors import ArgumentError, NotFoundError, UserError, closest
from tunewell.spec.secrets import passwords, without_password
from tunewell.spec.text import is_text
from tunewell.store import postgresql_errors
from tunewell.store.errors import Busy as Busy
from tunewell.store.errors import Moved as Moved
from tunewell.store.errors import StoreError as StoreError
from tunewell.store.errors import Unreachable as Unreachable
from tunewell.store.nudges import CHANNEL
from tunewell.store.patience import CONNECT_SECONDS, Patience

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

    InsertFunction = Callable[[Table], sqlite.Insert | postgresql.Insert]

#: How long a writer waits for another process to finish its transaction.
LOCK_SECONDS = 30.0
#: What the server knows our connections by, before process and machine.
PROGRAM = "tunewell"
#: How long a thread waits for one of the connections of its process.
POOL_SECONDS = 10.0
#: When a server ends a transaction whose process has fallen silent, so that it does not keep others waiting.
SILENT_SECONDS = 5
#: The oldest PostgreSQL that can be used.
OLDEST_SERVER = 15
#: Any number that no other program on the same PostgreSQL server is likely to use.
_UPGRADE_LOCK = 7_489_113_250_771

_NEXT_NUMBER = "UPDATE change SET number = number + 1 WHERE moved_to IS NULL RETURNING number"
_NEXT_NUMBER_TOLD = f"WITH next AS ({_NEXT_NUMBER}) SELECT number, pg_notify('{CHANNEL}', '') FROM next"

_write_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class _Pool(QueuePool):
    """The connections of a process."""

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except sqlalchemy.exc.TimeoutError:
            raise Busy("all connections of this process to the database are in use") from None


class Dialect(ABC):
    """One kind of database, and the one database that a URL names."""

    #: Whether processes on several machines may use it at once.
    shared = False
    #: Most connections of a process at once; a thread that finds none free waits.
    connections = 15

    def __init__(self, url: URL) -> None:
        """Take a URL of this kind."""
        self.url = url
        #: Whether nothing can be written, for want of permission.
        self.read_only = False
        #: How long a server is waited for; a file is there or not.
        self.patience = Patience()

    @property
    @abstractmethod
    def place(self) -> str:
        """What error messages call the database: its file, or its URL without the password."""

    def engine(self) -> Engine:
        """Return an engine whose errors are explained to the user where `explain` can."""
        try:
            engine = sqlalchemy.create_engine(
                self.url,
                json_serializer=_write_json,
                hide_parameters=True,  # specs hold secrets
                connect_args=self.connect_arguments(),
                **self._pool(),
            )
        except ImportError:
            remedy = f"Install it: pip install 'tunewell[{self.url.get_backend_name()}]'"
            raise ArgumentError("database", "the driver for it is not installed", remedy) from None
        except sqlalchemy.exc.ArgumentError:
            raise ArgumentError("database", "an option in its URL can't be used", _EXAMPLE) from None

        @event.listens_for(engine, "handle_error")
        def handle_error(context: ExceptionContext) -> None:
            explained = self.explain(context.original_exception)
            if explained is not None:
                raise explained

        return engine

    def _pool(self) -> dict[str, Any]:
        if self.read_only:
            return {"poolclass": NullPool}
        kept = 5
        more = self.connections - kept
        return {"poolclass": _Pool, "pool_size": kept, "max_overflow": more, "pool_timeout": POOL_SECONDS}

    @abstractmethod
    def connect_arguments(self) -> dict[str, Any]:
        """Return arguments for the driver."""

    @property
    @abstractmethod
    def insert(self) -> InsertFunction:
        """The function that makes inserts which know `on_conflict_do_nothing`."""

    def check(self, connection: Connection) -> None:
        """Raise `DataError` if this server, or how it was set up, can't be used."""
        del connection

    @abstractmethod
    def begin(self, connection: Connection, durable: bool) -> int:
        """Begin a writing transaction, and return its number.

        A `durable` one survives the loss of power. Any other survives the death of the process, and is never torn; a
        server that crashes takes none back, since whoever has written goes on and would not write it again.
        """

    def _number(self, row: Sequence[Any] | None, connection: Connection) -> int:
        """Return the number that a transaction got, if it got one."""
        if row is None:
            raise moved(self.place, moved_to(connection, self.place) or "another place")
        return int(row[0])

    @abstractmethod
    def take_stock(self, connection: Connection) -> None:
        """Let the database find out what the tables of trials hold, where its plans go by that."""

    def linger(self, connection: Connection) -> None:  # noqa: B027 - a file waits for ever
        """Let a transaction that has begun be silent for long."""

    @abstractmethod
    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction whose reads all see one moment, and which keeps no writer waiting."""

    @abstractmethod
    def begin_upgrade(self, connection: Connection) -> None:
        """Begin the transaction that makes or changes the tables; only one process at a time gets beyond this."""

    @abstractmethod
    def back_up(self, version: str) -> bool:
        """Keep a copy of the database as it is at schema `version`; False: that is not ours to do."""

    @abstractmethod
    def explain(self, error: BaseException) -> UserError | None:
        """Return what to tell the user about a driver's error, None if it is no user's matter."""


class SQLite(Dialect):
    """A file beside which SQLite keeps a write-ahead log, so that readers and the one writer don't wait.

    It is made for its owner alone; the files beside it get its mode. Who may only read it reads it without a trace.
    """

    #: As many as a web worker has threads: they are files of ours, and cost nobody else anything.
    connections = 45

    def __init__(self, url: URL, create: bool) -> None:
        """Take the URL, and make the file if need be and if it is to be made.

        Raises:
            ArgumentError: it names no file.
            NotFoundError: there is no such file, and none is to be made.
            DataError: it can't be made.
        """
        if not url.database or url.database == ":memory:":
            raise ArgumentError("database", f"'{url}' names no file", _EXAMPLE)
        self.path = Path(url.database).absolute()
        super().__init__(url.set(database=str(self.path)))
        #: Which file it is (device, inode), from the first connection on.
        self._file: tuple[int, int] | None = None
        if create:
            self._create()
        if not _is_there(self.path):
            raise NotFoundError(
                "there is no such database",
                field=str(self.path),
                remedy="Name the one that the search was started with",
            )
        self.read_only = not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK | os.X_OK))

    def _create(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.path.parent, f"the folder of the database can't be made ({error.strerror})") from None
        try:
            if not _is_there(self.path):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise _unusable(self.path, f"the database can't be made ({error.strerror})") from None

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    def connect_arguments(self) -> dict[str, Any]:
        """Leave transactions to `begin`: reads outside of one see the newest commit and hold no lock."""
        return {"timeout": LOCK_SECONDS, "isolation_level": None}

    def engine(self) -> Engine:
        """Return the engine; each connection checks foreign keys, and all are to the same file."""
        engine = super().engine()

        @event.listens_for(engine, "do_connect")
        def before(*arguments: Any) -> sqlite3.Connection | None:
            if self._file is not None:  # else SQLite would make an empty file where one was removed
                self._check_file()
            return self._reader(arguments[-1]) if self.read_only else None

        @event.listens_for(engine, "connect")
        def connect(connection: sqlite3.Connection, record: object) -> None:
            del record
            if self._file is None:
                self._file = _identity(self.path)
            connection.execute("PRAGMA foreign_keys=ON")

        return engine

    def _reader(self, arguments: Mapping[str, Any]) -> sqlite3.Connection:
        """Return a connection that writes nothing, not even the files beside the database.

        Without a log there is no writer, so nothing changes during one look. Where there is one, SQLite needs it.
        """
        quiet = "" if self.path.with_name(f"{self.path.name}-wal").exists() else "&immutable=1"
        reader: sqlite3.Connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro{quiet}", uri=True, **arguments)
        return reader

    def _check_file(self) -> None:
        """Raise `DataError` if the path no longer leads to the file that is open: what is written would be lost."""
        if _identity(self.path) != self._file:
            raise StoreError(
                "the database file was removed or replaced while it was in use",
                field=self.place,
                remedy="Put it back, or start again with what is there now",
            )

    @property
    def insert(self) -> InsertFunction:
        """SQLite's."""
        return sqlite.insert

    def begin(self, connection: Connection, durable: bool) -> int:
        """Take the writer's lock at once: a transaction that has begun can't fail for a lock later on."""
        self._lock(connection, durable)
        driver: Any = connection.connection.driver_connection
        try:  # through SQLAlchemy it would cost four times as much
            number = driver.execute(_NEXT_NUMBER).fetchone()
        except sqlite3.Error as error:
            raise (self.explain(error) or error) from None
        return self._number(number, connection)

    def _lock(self, connection: Connection, durable: bool) -> None:
        if self.read_only:
            raise _refusal(self.place, *_READ_ONLY)
        self._check_file()
        level = "FULL" if durable else "NORMAL"
        if connection.info.get("synchronous") != level:
            connection.exec_driver_sql(f"PRAGMA synchronous={level}")
            connection.info["synchronous"] = level
        _execute_patiently(connection, "BEGIN IMMEDIATE")

    def take_stock(self, connection: Connection) -> None:
        """Do nothing: its plans go by the indexes alone."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin what becomes a snapshot of the write-ahead log with its first read."""
        connection.exec_driver_sql("BEGIN")

    def begin_upgrade(self, connection: Connection) -> None:
        """Switch the file to write-ahead logging for good, and take the writer's lock.

        Foreign keys stay unchecked on this connection, which is not used again: SQLite changes a table by making
        another in its place.
        """
        connection.detach()
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        _execute_patiently(connection, "PRAGMA journal_mode=WAL")
        self._lock(connection, durable=True)

    def back_up(self, version: str) -> bool:
        """Copy the file to `<name>.backup-<version>` beside it."""
        partial_copy = self.path.with_name(f"{self.path.name}.backup-partial")
        os.close(os.open(partial_copy, os.O_RDWR | os.O_CREAT, 0o600))
        source, target = sqlite3.connect(self.path), sqlite3.connect(partial_copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        partial_copy.replace(self.path.with_name(f"{self.path.name}.backup-{version}"))
        return True

    def explain(self, error: BaseException) -> UserError | None:
        """Map SQLite's result codes."""
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith("SQLITE_BUSY"):
            problem = "another process has been writing to the database for too long"
            return Busy(problem, field=self.place, remedy="Try again, or end it")
        for prefix, parts in _SQLITE_ERRORS.items():
            if code.startswith(prefix):
                return _refusal(self.place, *parts)
        if code not in ("", "SQLITE_ERROR") and isinstance(error, sqlite3.OperationalError):
            return _refusal(self.place, f"the database can't be used ({error})", "Try again", _UNUSABLE)
        return None


_EXAMPLE = "Write it like sqlite:////folder/tunewell.db or postgresql://user:password@host:5432/name"
_SEVERAL = "Write several hosts like postgresql://user@/name?host=one:5432&host=two:5432"
_ESCAPES = (
    "In a password write @ as %40, / as %2F, : as %3A, ? as %3F, # as %23 and % as %25, or leave it to PGPASSWORD or "
    "~/.pgpass, which have it as it is"
)
_ELSEWHERE = "Choose another folder for the home"
_RESTORE = "Put a backup in its place, or move it away to start with an empty database"
_UNUSABLE = "database-not-usable"
_READ_ONLY = ("the database can't be written (read-only)", _ELSEWHERE, _UNUSABLE)
#: Error code → what is wrong, remedy, kind.
_SQLITE_ERRORS = {
    "SQLITE_FULL": ("the disk is full", "Free some space and try again", "disk-full"),
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_CANTOPEN": ("the database can't be opened or made (no permission?)", _ELSEWHERE, _UNUSABLE),
    "SQLITE_PERM": ("the database can't be opened (no permission)", _ELSEWHERE, _UNUSABLE),
    "SQLITE_IOERR": ("the disk can't be read or written. Is it sound, has it space?", _ELSEWHERE, _UNUSABLE),
    "SQLITE_NOTADB": ("this is no SQLite database, or a damaged one", _RESTORE, ""),
    "SQLITE_CORRUPT": ("the database is damaged", _RESTORE, ""),
}


def _refusal(place: str, what: str, remedy: str, kind: str) -> StoreError:
    return StoreError(what, field=place, remedy=remedy, kind=kind)


def _unusable(path: Path, what: str) -> StoreError:
    return _refusal(str(path), what, _ELSEWHERE, _UNUSABLE)


def _is_there(path: Path) -> bool:
    """Whether there is a file; raise `DataError` if that can't be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unusable(path, f"the database can't be read ({error.strerror})") from None
    return True


def moved(place: str, target: str) -> Moved:
    """Return what is told of a database whose rows are to be found elsewhere now, at a place; see `Dialect.place`."""
    return Moved(
        f"this database was moved to {target}",
        field=place,
        remedy="Name that one, or copy it back",
        kind="database-moved",
        database=f"sqlite:///{target}" if target.startswith("/") else "URL",
    )


def moved_to(connection: Connection, place: str) -> str | None:
    """Return where the rows of a database are now, None if they are in it; raise `DataError` if that is not in it."""
    row = connection.exec_driver_sql("SELECT moved_to FROM change").first()
    if row is None:
        raise damaged(place, "change")
    return None if row[0] is None else str(row[0])


def damaged(place: str, table: str) -> StoreError:
    """Return what is told of a database in which a table is empty that never is."""
    return StoreError(f"the database is damaged: its table '{table}' is empty", field=place, remedy=_RESTORE)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _execute_patiently(connection: Connection, statement: str) -> None:
    """Execute a statement that takes a lock; not every kind of wait is covered by SQLite's own timeout."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.exec_driver_sql(statement)
            return
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class PostgreSQL(Dialect):
    """A database on a PostgreSQL server, reached through psycopg 3. Backups are its administrator's."""

    shared = True

    @property
    def place(self) -> str:
        """The URL without the password."""
        return without_password(self._plain_url)

    @property
    def _plain_url(self) -> str:
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def connect_arguments(self) -> dict[str, Any]:
        """Bound every wait, leave transactions to `begin`, and say who we are.

        A read is one statement, and holds no snapshot.
        """
        return {
            "autocommit": True,
            "client_encoding": "utf8",  # whatever the environment says
            "connect_timeout": int(CONNECT_SECONDS),
            "keepalives_idle": int(CONNECT_SECONDS),
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": int(1000 * CONNECT_SECONDS),
            "application_name": f"{PROGRAM} {os.getpid()} on {socket.gethostname()}",
        }

    def check(self, connection: Connection) -> None:
        """Refuse an old server, a database that can't hold every text, and a role that may not use its schema."""
        driver: Any = connection.connection.driver_connection
        if driver.info.server_version < OLDEST_SERVER * 10_000:
            raise StoreError(
                f"the server is PostgreSQL {driver.info.server_version // 10_000}",
                field=self.place,
                remedy=f"Use PostgreSQL {OLDEST_SERVER} or newer",
            )
        encoding = driver.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"the database's encoding is {encoding}, which can't hold every text",
                field=self.place,
                remedy="Make another one (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)",
            )
        if connection.exec_driver_sql("SELECT current_schema()").scalar_one() is None:
            raise StoreError(
                "a right is missing (there is no schema that this role may use)",
                field=self.place,
                remedy=postgresql_errors.RIGHTS,
            )

    def engine(self) -> Engine:
        """Return the engine; each connection waits for locks only so long, and for answers."""
        engine = super().engine()
        self._check_options()
        # Only now: the driver may not be installed, which the engine has found out.
        from tunewell.store.answering import Way

        # What it warns of beside its errors is the same once more.
        logging.getLogger("psycopg").addHandler(logging.NullHandler())

        @event.listens_for(engine, "do_connect")
        def make(*given: Any) -> Any:
            *_, arguments, options = given
            return Way(arguments, options, self.patience).connect()

        @event.listens_for(engine, "connect")
        def connect(connection: Any, record: object) -> None:
            del record
            connection.execute(f"SET lock_timeout = '{1000 * LOCK_SECONDS:.0f}ms'")
            connection.execute(f"SET idle_in_transaction_session_timeout = '{SILENT_SECONDS}s'")

        return engine

    def _check_options(self) -> None:
        """Raise `ArgumentError` for an option that libpq does not know."""
        from psycopg.pq import Conninfo

        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        for name in self.url.query.keys() - known:
            near = closest(name, known)
            remedy = f"Did you mean '{near}'" if near else "Leave it out"
            raise ArgumentError("database", f"its URL has an option '{name}', which there is not", remedy)

    @property
    def insert(self) -> InsertFunction:
        """PostgreSQL's."""
        from sqlalchemy.dialects import postgresql  # a home in a file needs none of it

        return postgresql.insert

    def begin(self, connection: Connection, durable: bool) -> int:
        """Wait for another writer to end, and for the disk at commit: every transaction is durable."""
        del durable
        driver: Any = connection.connection.dbapi_connection
        try:  # one round trip for all; what is prepared can't hold several statements
            cursor = driver.execute(f"BEGIN; {_NEXT_NUMBER_TOLD}", prepare=False)
        except connection.dialect.loaded_dbapi.Error as error:
            if driver.closed:
                connection.invalidate(error)
            else:
                end_transaction(connection)
            raise (self.explain(error) or error) from None
        while cursor.nextset():
            pass
        return self._number(cursor.fetchone(), connection)

    def take_stock(self, connection: Connection) -> None:
        """Gather statistics, without which a page is the beginning of all trials, sorted.

        The server does so, too, but late, or never; where it is at it, there is nothing to do.
        """
        connection.exec_driver_sql("ANALYZE (SKIP_LOCKED) trial, report, event")

    def linger(self, connection: Connection) -> None:
        """Have the server not end it."""
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def begin_snapshot(self, connection: Connection) -> None:
        """Have the server keep the rows as they are now."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.linger(connection)

    def begin_upgrade(self, connection: Connection) -> None:
        """Take a lock that ends with the transaction."""
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")

    def back_up(self, version: str) -> bool:
        """Do nothing: who runs the server has a way of his own."""
        return False

    def explain(self, error: BaseException) -> UserError | None:
        """Ask `postgresql_errors`; what is secret in the URL is not in the answer, whatever the driver says."""
        return postgresql_errors.explain(error, self.place, passwords(self._plain_url))


def end_transaction(connection: Connection) -> None:
    """Undo a transaction of PostgreSQL that `begin` has begun, of which SQLAlchemy may know nothing."""
    if connection.invalidated:
        return
    driver: Any = connection.connection.dbapi_connection
    with suppress(connection.dialect.loaded_dbapi.Error):  # one that is gone with its connection needs no end
        driver.rollback()


def dialect_of(url: str, create: bool = True) -> Dialect:
    """Return the dialect for a database URL, whose file is made if need be and `create` says so.

    Raises `ArgumentError` if it is none that the store knows; see also `SQLite`.
    """
    if not is_text(url):
        raise ArgumentError("database", "it is not UTF-8", "Write what is not ASCII like %C3%A4")
    scheme, separator, rest = url.partition("://")
    try:
        parsed = sqlalchemy.make_url(f"{scheme.lower()}{separator}{rest}")
    except (sqlalchemy.exc.ArgumentError, ValueError):  # which may quote a password
        several = "," in rest.rpartition("@")[2].partition("/")[0]
        raise ArgumentError("database", "it is no database URL", _SEVERAL if several else _EXAMPLE) from None
    match parsed.get_backend_name():
        case "sqlite":
            return SQLite(parsed.set(drivername="sqlite+pysqlite"), create)
        case "postgresql" | "postgres":
            if url.count("@") > 1:  # what follows the first would be taken for a host, and shown
                raise ArgumentError("database", "there is more than one '@' in its URL", _ESCAPES)
            elsewhere = {"dbname", "service"} & parsed.query.keys() or {"PGDATABASE", "PGSERVICE"} & os.environ.keys()
            if not parsed.database and not elsewhere:
                raise ArgumentError("database", "its URL names no database", _EXAMPLE)
            return PostgreSQL(parsed.set(drivername="postgresql+psycopg"))
        case other:
            raise ArgumentError("database", f"'{other}' is no kind of database that can be used", _EXAMPLE)
