"""The store: the only truth about experiments, trials, reports and jobs."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Concatenate, Literal, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, event, select
from sqlalchemy.pool import ConnectionPoolEntry

from tunewell.store import schema
from tunewell.store.dialect import LOCK_SECONDS, Busy, dialect_of, end_transaction
from tunewell.store.nudges import Nudges
from tunewell.store.patience import again_if_cut
from tunewell.store.queries.experiments import ExperimentQueries
from tunewell.store.queries.jobs import JobQueries
from tunewell.store.queries.models import ModelQueries
from tunewell.store.queries.notifications import NotificationQueries
from tunewell.store.queries.people import PeopleQueries
from tunewell.store.queries.reports import ReportQueries
from tunewell.store.queries.storage import StorageQueries
from tunewell.store.queries.trial_columns import TrialColumnQueries
from tunewell.store.queries.trials import TrialQueries
from tunewell.store.queries.upkeep import UpkeepQueries
from tunewell.store.rows import HomeRow
from tunewell.store.session import Owned, Session
from tunewell.store.tables import home
from tunewell.store.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")


def _alone(write: Callable[Concatenate[Transaction, P], R]) -> Callable[Concatenate[Store, P], R]:
    """Return the method that does one write in a transaction of its own."""

    @functools.wraps(write)
    def written(store: Store, /, *arguments: P.args, **named: P.kwargs) -> R:
        with store.transaction() as transaction:
            return write(transaction, *arguments, **named)

    return written


class Store(
    ExperimentQueries,
    TrialQueries,
    TrialColumnQueries,
    ReportQueries,
    JobQueries,
    PeopleQueries,
    StorageQueries,
    NotificationQueries,
    ModelQueries,
    UpkeepQueries,
):
    """One database. Any thread may read; one thread at a time writes; several processes may have it open.

    Reads see what has been committed, not what a transaction of the same thread holds open. Where nothing else is
    said, an unknown experiment raises `NotFoundError`, and a database that can't be read or written `DataError`.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        """Open the database at `url`, such as `sqlite:////folder/tunewell.db`; make or upgrade it if need be.

        Without `create`, there must be one. One that we may only read is read, and nothing else.

        Raises `SpecError` for a URL that can't be used, `DataError` for a database that can't be, `NotFoundError` for
        one that is not there.
        """
        self._dialect = dialect_of(url, create)
        super().__init__(self._dialect.engine(), self._dialect.patience)
        self._writing = threading.Lock()
        #: For a database that several processes write to by turns, perhaps from several machines.
        self._session = Session(self._engine, self._writing, self._patience) if self._dialect.shared else None
        self._nudges = Nudges(self._engine) if self._dialect.shared else None
        self._closed = False
        event.listen(self._engine, "checkin", self._give_back)
        try:
            again_if_cut(lambda: schema.prepare(self._engine, self._dialect, create))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections, those that another thread still uses once it is done; twice is once."""
        if self._session is not None and self._nudges is not None:
            self._session.close()
            self._nudges.close()
        self._closed = True
        self._engine.dispose()

    def hurry(self) -> None:
        """Have less patience with a server that is silent or gone; at a second call, hardly any. For signal handlers.

        For good: whoever calls it is about to close the store.
        """
        self._patience.hurry()

    def _give_back(self, connection: object, record: ConnectionPoolEntry) -> None:
        del connection
        if self._closed:
            record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""
        return "sqlite" if self._dialect.url.get_backend_name() == "sqlite" else "postgresql"

    @property
    def url(self) -> str:
        """URL of the database, with its password if there is one."""
        return self._dialect.url.render_as_string(hide_password=False)

    @property
    def place(self) -> str:
        """What people call the database: its file, or its URL without the password."""
        return self._dialect.place

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give a transaction that is committed when the block ends, and undone if it raises.

        Raises `ConflictError` if another writer keeps it waiting for too long. Not to be nested.
        """
        if not self._writing.acquire(timeout=LOCK_SECONDS):
            raise Busy("another thread has been writing for too long", field=self._dialect.place)
        try:
            with self._connection() as connection:
                transaction = Transaction(connection, self._dialect, self._bound)
                yield transaction
                transaction.flush()
                connection.commit()
                for name in transaction.removed:
                    self._known.pop(name, None)
        finally:
            self._writing.release()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection whose reads all see the database as it is now, and which keeps no writer waiting."""
        with self._patience.insist(self._connect) as connection:
            self._dialect.begin_snapshot(connection)
            try:
                yield connection
            finally:
                end_transaction(connection)

    def check_writable(self) -> None:
        """Raise `DataError` if nothing can be written: for want of a right, say, or as the server is a standby."""
        with self.transaction() as transaction:
            transaction.begin()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Give the connection to write on: where this process owns something, that by which it does."""
        if self._session is not None and self._session.active:
            with self._session.connection() as connection:
                yield connection
        else:
            with self._patience.insist(self._connect) as connection:
                yield connection

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        if self._dialect.shared:  # one that was idle may have been cut, which the first statement finds out
            try:
                connection.exec_driver_sql("SELECT 1")
            except BaseException:
                connection.close()
                raise
        return connection

    # Ownership --------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """What proves ownership; None: the database is a file, and files beside it prove that."""
        return self._session

    def owned(self, kind: Owned) -> frozenset[int]:
        """Return the ids of what any process owns of a kind, where the database tells."""
        return self._session.owned(kind) if self._session is not None else frozenset()

    def nudged(self) -> bool:
        """Whether something may have changed since the last call; `version` tells."""
        return self._nudges is None or self._nudges.pending()

    create_experiment = _alone(Transaction.create_experiment)
    request = _alone(Transaction.add_request)
    add_notes = _alone(Transaction.add_notes)
    set_wait = _alone(Transaction.set_wait)
    set_job_wait = _alone(Transaction.set_job_wait)
    set_user = _alone(Transaction.set_user)
    set_home = _alone(Transaction.set_home)

    def home(self) -> HomeRow | None:
        """Return the home whose folders belong to this database; None: it has had none yet."""
        rows = self._read(select(home))
        return HomeRow(rows[0].identity, rows[0].folder) if rows else None
