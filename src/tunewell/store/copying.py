"""Moving all that is on record into another database, of either kind.

Both databases have a mark that says where the rows are: `change.moved_to`. The target has it while it is not certain
that the source knows of the move, so at no moment two databases can be worked on, and whatever is interrupted can be
begun again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, Select, String, Table, delete, func, insert, select, update

from tunewell.spec.errors import ConflictError, DataError, NotFoundError
from tunewell.store import schema
from tunewell.store.dialect import Dialect, dialect_of, moved, moved_to
from tunewell.store.patience import again_if_cut
from tunewell.store.postgresql_errors import reason_of
from tunewell.store.rows import HomeRow
from tunewell.store.session import Session
from tunewell.store.tables import change, home, metadata

#: Rows that are held in memory at once.
BATCH = 1000
Tell = Callable[[str], None]


class Database:
    """One of the two databases; its tables are of this version, and it may have been moved away."""

    def __init__(self, url: str, create: bool) -> None:
        """Open it; make its tables if there are none and `create` says so. Raises what `Store` does."""
        self.dialect: Dialect = dialect_of(url, create)
        self.engine = self.dialect.engine()
        try:
            again_if_cut(self._make if create else self._check_version)
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        schema.bring_up_to_date(self.engine, self.dialect, create=True)

    def _check_version(self) -> None:
        with self.engine.connect() as connection:
            self.dialect.check(connection)
            found = schema.version_of(connection, self.dialect)
        if found is None:
            raise NotFoundError("there is nothing of Tunewell in this database", field=self.place)
        if found not in schema.known_versions():
            raise schema.unknown_version(self.place, found)
        if found != schema.HEAD:
            raise DataError(
                f"its tables are at {found}, this version of Tunewell copies {schema.HEAD} alone",
                field=self.place,
                remedy="Upgrade it first, or use the version that it is of",
            )

    @property
    def place(self) -> str:
        """What people call it."""
        return self.dialect.place

    @property
    def moved_to(self) -> str | None:
        """Where its rows are now; None: in it."""
        with self.engine.connect() as connection:
            return moved_to(connection, self.place)

    def home(self) -> HomeRow | None:
        """Return the home whose folders belong to it."""
        with self.engine.connect() as connection:
            row = connection.execute(select(home)).first()
        return HomeRow(**row._mapping) if row is not None else None

    @property
    def at_work(self) -> str:
        """What a process does with what is on record in it now, for people; empty: nothing that the database knows."""
        return Session(self.engine, threading.Lock(), self.dialect.patience).at_work() if self.dialect.shared else ""

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def move(source: Database, target: Database, tell: Tell, check: Callable[[], None] = lambda: None) -> int:
    """Move all rows, and return how many there were.

    Nobody can write to either database meanwhile. An error or a kill leaves the source whole and the target as it was.

    Args:
        source: where they are.
        target: where they are to be.
        tell: told in lines how far it is.
        check: raises if something is at work on the source; called once nothing can begin to be.

    Raises:
        ConflictError: the target has rows of its own, or is the source.
        DataError: the source was moved away, or a row can't be written to the target as it is.
    """
    if _are_one(source, target):
        raise ConflictError("it would be copied onto itself", field=target.place, remedy="Name another one")
    gone = source.moved_to
    if gone is not None:
        if gone != target.place or target.moved_to != source.place:
            raise moved(source.place, gone)
        _mark(target, None)  # an earlier move was ended after its last row
        return 0
    with source.engine.connect() as reading, target.engine.connect() as writing:
        number = source.dialect.begin(reading, durable=True)
        source.dialect.linger(reading)
        check()
        target.dialect.begin_upgrade(writing)
        target.dialect.linger(writing)
        clear(writing, target)
        rows = sum(_copy(table, reading, writing, target.place, tell) for table in tables())
        for table in tables():
            _verify(table, reading, writing, target.place, tell)
        writing.execute(update(change).values(number=number, moved_to=source.place))
        writing.commit()
        reading.execute(update(change).values(moved_to=target.place))
        reading.commit()
    _mark(target, None)
    return rows


def tables() -> list[Table]:
    """Return the tables that hold rows, each behind those that it refers to."""
    return [table for table in metadata.sorted_tables if table is not change]


def _mark(database: Database, place: str | None) -> None:
    with database.engine.connect() as connection:
        database.dialect.begin_upgrade(connection)
        connection.execute(update(change).values(moved_to=place))
        connection.commit()


def _are_one(source: Database, target: Database) -> bool:
    """Whether two databases are the same one, whatever they are called."""
    if source.dialect.shared != target.dialect.shared:
        return False
    if not source.dialect.shared:
        return Path(source.place).samefile(target.place)
    schema_of, number = "SELECT current_schema()", secrets.randbits(62)
    with source.engine.connect() as one, target.engine.connect() as other:
        if one.exec_driver_sql(schema_of).scalar_one() != other.exec_driver_sql(schema_of).scalar_one():
            return False
        one.detach()  # what it locks is free once it is closed
        one.exec_driver_sql(f"SELECT pg_advisory_lock({number})")
        other.detach()
        return not other.exec_driver_sql(f"SELECT pg_try_advisory_lock({number})").scalar_one()


def clear(connection: Connection, target: Database) -> None:
    """Make sure that the target is empty, and stays so until the transaction ends; one that was moved away becomes so.

    Raises:
        ConflictError: it has rows.
    """
    gone = connection.execute(update(change).values(number=change.c.number).returning(change.c.moved_to)).scalar_one()
    if gone is not None:
        for table in reversed(tables()):
            connection.execute(delete(table))
    elif schema.holds_rows(connection):
        raise ConflictError(
            "there is something in this database already",
            field=target.place,
            remedy="Name an empty one, or one that was moved away",
        )


def _copy(table: Table, reading: Connection, writing: Connection, place: str, tell: Tell) -> int:
    total, done = reading.execute(select(func.count()).select_from(table)).scalar_one(), 0
    for batch in batches(table, reading):
        try:
            writing.execute(insert(table), [dict(row._mapping) for row in batch])
        except sqlalchemy.exc.DataError as error:
            problem = f"a row of '{table.name}' can't be written there ({reason_of(error.orig)}), so nothing was copied"
            raise DataError(problem, field=place) from None
        done += len(batch)
        tell(f"{table.name}: {done:,} of {total:,} copied")
    if done:
        go_on_counting(table, writing)
    return done


def go_on_counting(table: Table, connection: Connection) -> None:
    """Have new rows of a table that holds some get numbers which none of these has."""
    column = table.autoincrement_column
    if column is not None and connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        connection.execute(select(func.setval(sequence, select(func.max(column)).scalar_subquery())))


def _verify(table: Table, reading: Connection, writing: Connection, place: str, tell: Tell) -> None:
    """Raise `DataError` unless both databases have the same rows in a table."""
    done = 0
    for expected, found in zip_longest(batches(table, reading), batches(table, writing), fillvalue=()):
        # As text: 1, 1.0 and True are equal otherwise, and so are objects with other orders of keys.
        if repr([tuple(row) for row in expected]) != repr([tuple(row) for row in found]):
            raise DataError(
                f"rows of '{table.name}' were not the same in it as before, so nothing was copied",
                field=place,
                remedy="Report this, please",
            )
        done += len(expected)
        tell(f"{table.name}: {done:,} compared")


def batches(table: Table, connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    """Give the rows of a table in the order of its key, which is the same in both databases."""
    keys = [
        column.collate("C") if isinstance(column.type, String) and connection.dialect.name == "postgresql" else column
        for column in table.primary_key
    ]
    query: Select[Any] = select(table).order_by(*keys)
    with connection.execute(query, execution_options={"yield_per": BATCH}) as found:
        yield from found.partitions()
