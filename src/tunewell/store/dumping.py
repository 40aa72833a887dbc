"""All that is on record as lines of JSON, a table after the other: the same from either kind of database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, delete, insert, select, update

from tunewell.spec.errors import DataError
from tunewell.store import schema
from tunewell.store.copying import BATCH, Database, batches, clear, go_on_counting, tables
from tunewell.store.postgresql_errors import reason_of
from tunewell.store.rows import HomeRow
from tunewell.store.tables import change, home

TABLES = tuple(table.name for table in tables())
#: The migration that the tables of a dump are at.
VERSION = schema.HEAD
Row = dict[str, Any]


def read_rows(connection: Connection, name: str) -> Iterator[Row]:
    """Yield the rows of a table, whose values are JSON types, in the order of its key."""
    (table,) = (table for table in tables() if table.name == name)
    for batch in batches(table, connection):
        for row in batch:
            yield dict(row._mapping)


def read_number(connection: Connection) -> int:
    """Return the number of the latest transaction."""
    return int(connection.execute(select(change.c.number)).scalar_one())


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return a row as a line."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def write_rows(
    target: Database, rows: Callable[[str], Iterable[Row]], number: int, home_row: HomeRow, tell: Callable[[str], None]
) -> int:
    """Fill an empty database, in one transaction; return how many rows there are.

    Args:
        target: where they go.
        rows: gives those of a table.
        number: that of the latest transaction.
        home_row: the home whose folders belong to it from now on.
        tell: told in lines how far it is.

    Raises:
        ConflictError: there is something in it.
        DataError: a row can't be written to it; nothing was.
    """

    with target.engine.connect() as connection:
        target.dialect.begin_upgrade(connection)
        target.dialect.linger(connection)
        known = connection.execute(select(home.c.identity)).scalar_one_or_none()
        if known == home_row.identity:  # an earlier try was killed just before its end
            for table in reversed(tables()):
                connection.execute(delete(table))
        clear(connection, target)
        total = sum(_write(connection, target.place, table, iter(rows(table.name)), tell) for table in tables())
        connection.execute(insert(home).values(identity=home_row.identity, folder=home_row.folder))
        connection.execute(update(change).values(number=number, moved_to=None))
        connection.commit()
    return total


def _write(
    connection: Connection, place: str, table: sqlalchemy.Table, rows: Iterator[Row], tell: Callable[[str], None]
) -> int:
    done = 0
    while batch := list(islice(rows, BATCH)):
        try:
            connection.execute(insert(table), batch)
        except sqlalchemy.exc.DataError as error:
            problem = f"a row of '{table.name}' can't be written there ({reason_of(error.orig)}), so nothing was"
            raise DataError(problem, field=place) from None
        done += len(batch)
        tell(f"{table.name}: {done:,} rows")
    if done:
        go_on_counting(table, connection)
    return done
