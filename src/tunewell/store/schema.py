"""Bringing a database's tables up to date when it is opened."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, make_url
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from tunewell.spec.errors import DataError, NotFoundError
from tunewell.store.dialect import Dialect, damaged, moved, moved_to

#: The newest migration in `SCRIPTS`.
HEAD = "0001"
SCRIPTS = Path(__file__).parent / "migrations"
#: Not Alembic's usual name, so that a database of another program is not taken for ours.
VERSION_TABLE = "tunewell_version"
#: What makes that table, as Alembic does.
_VERSION = f"""CREATE TABLE {VERSION_TABLE} (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num)
)"""
#: Tables in which there is something from the beginning on.
_NEVER_EMPTY = (VERSION_TABLE, "change")


def prepare(engine: Engine, dialect: Dialect, create: bool) -> None:
    """Upgrade the tables if need be, make them if `create` says so; safe while other processes do the same.

    Raises `DataError` if the database can't be used, was moved away, is of a newer version, belongs to another program,
    or must be upgraded without a copy of ours; `NotFoundError` if there are no tables and none are to be made. An
    upgrade that fails leaves the database as it was.
    """
    if bring_up_to_date(engine, dialect, create):
        check_here(engine, dialect)


def bring_up_to_date(engine: Engine, dialect: Dialect, create: bool, backed_up: bool = False) -> str | None:
    """Do what `prepare` does, wherever the rows are; return the version that was found, None if there were no tables.

    With `backed_up`, somebody else has a copy.
    """
    with engine.connect() as connection:
        dialect.check(connection)
        found = version_of(connection, dialect)
    if found == HEAD:
        return found
    if found is None and not create:
        raise NotFoundError(
            "there is nothing of Tunewell in this database yet",
            field=dialect.place,
            remedy="Name the one that the search was started with",
        )
    if dialect.read_only:
        raise DataError(
            f"this database is not of this version of Tunewell (its tables are at {found}, this version reads "
            f"{HEAD}), and can't be written to change that",
            field=dialect.place,
            remedy="Open it once as its owner",
        )
    with engine.connect() as connection:
        dialect.begin_upgrade(connection)
        found = version_of(connection, dialect)
        if found is None:
            _make(connection)
        elif found != HEAD:
            _upgrade(connection, dialect, found, backed_up)
        connection.commit()
    return found


def check_here(engine: Engine, dialect: Dialect) -> None:
    """Raise `DataError` if the rows of a database are elsewhere now."""
    with engine.connect() as connection:
        target = moved_to(connection, dialect.place)
    if target is not None:
        raise moved(dialect.place, target)


def version_of(connection: Connection, dialect: Dialect) -> str | None:
    """Return the migration that the tables are at, None if there are no tables."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
        if found is None:
            raise damaged(dialect.place, VERSION_TABLE)
        return str(found)
    if tables:
        raise DataError(
            f"this database holds the tables of another program ({', '.join(sorted(tables)[:3])}, …)",
            field=dialect.place,
            remedy="Give Tunewell one of its own",
            kind="foreign-database",
        )
    return None


def known_versions() -> frozenset[str]:
    """Return all migrations."""
    return frozenset(script.stem.partition("_")[0] for script in (SCRIPTS / "versions").glob("[0-9]*.py"))


def unknown_version(place: str, found: str) -> DataError:
    """Return what is told of tables that are at a migration which this version does not know."""
    if found.isdecimal() and found > HEAD:
        return DataError(
            f"this database was written by a newer version of Tunewell (its tables are at {found}, this version knows "
            f"up to {HEAD})",
            field=place,
            remedy="Upgrade Tunewell, or use another home",
            kind="newer-database",
        )
    return DataError(
        f"no version of Tunewell has written this database (its tables are at '{found}')",
        field=place,
        remedy="Put a backup in its place, or use another home",
    )


def holds_rows(connection: Connection) -> bool:
    """Whether anything is on record, whatever version the tables are at."""
    tables = set(inspect(connection).get_table_names()) - set(_NEVER_EMPTY)
    return any(connection.exec_driver_sql(f'SELECT 1 FROM "{table}" LIMIT 1').first() for table in sorted(tables))


def _make(connection: Connection) -> None:
    for statement in _statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("INSERT INTO change (id, number) VALUES (1, 0)")
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{HEAD}')")


@cache
def _statements(kind: str) -> tuple[str, ...]:
    """Return what makes in an empty database of a kind all at once what migrations make one after the other."""
    # Not at the top: with the indexes comes much that only who makes tables needs.
    from tunewell.store.indexes import metadata

    dialect = make_url(f"{kind}://").get_dialect()()
    tables = metadata.sorted_tables
    indexes = [index for table in tables for index in table.indexes]
    made: list[ExecutableDDLElement] = [*map(CreateTable, tables), *map(CreateIndex, indexes)]
    return (_VERSION, *(str(one.compile(dialect=dialect)) for one in made))


def _upgrade(connection: Connection, dialect: Dialect, found: str, backed_up: bool) -> None:
    # Alembic takes a fifth of a second to import, and is needed only once per version.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    if found not in known_versions():
        raise unknown_version(dialect.place, found)
    if not dialect.back_up(found) and not backed_up and holds_rows(connection):
        raise DataError(
            f"this database must be upgraded (its tables are at {found}, this version needs {HEAD}), and nobody "
            "has said that there is a backup",
            field=dialect.place,
            remedy="Make one (pg_dump), then have it upgraded",
            kind="backup-needed",
        )
    command.upgrade(config, HEAD)
