"""Bringing a database's tables up to date when it is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect

from tunewell.spec.errors import DataError, NotFoundError
from tunewell.store.dialect import Dialect

#: The newest migration in `SCRIPTS`.
HEAD = "0001"
SCRIPTS = Path(__file__).parent / "migrations"
#: Not Alembic's usual name, so that a database of another program is not taken for ours.
VERSION_TABLE = "tunewell_version"


def prepare(engine: Engine, dialect: Dialect, create: bool) -> None:
    """Upgrade the tables if need be, make them if `create` says so; safe while other processes do the same.

    Raises `DataError` if the database can't be used, is of a newer version, or belongs to another program, and
    `NotFoundError` if there are no tables and none are to be made. An upgrade that fails leaves the database as it was.
    """
    with engine.connect() as connection:
        dialect.check(connection)
        version = _version(connection, dialect)
    if version == HEAD:
        return
    if version is None and not create:
        raise NotFoundError(
            "there is nothing of Tunewell in this database yet",
            field=dialect.place,
            remedy="Name the one that the search was started with",
        )
    if dialect.read_only:
        raise DataError(
            f"this database is not of this version of Tunewell (its tables are at {version}, this version reads "
            f"{HEAD}), and can't be written to change that",
            field=dialect.place,
            remedy="Open it once as its owner",
        )
    with engine.connect() as connection:
        dialect.begin_upgrade(connection)
        version = _version(connection, dialect)
        if version != HEAD:
            _upgrade(connection, dialect, version)
        connection.commit()


def _version(connection: Connection, dialect: Dialect) -> str | None:
    """Return the migration that the tables are at, None if there are no tables."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        return str(connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one())
    if tables:
        raise DataError(
            f"this database holds the tables of another program ({', '.join(sorted(tables)[:3])}, …)",
            field=dialect.place,
            remedy="Give Tunewell one of its own",
            kind="foreign-database",
        )
    return None


def _upgrade(connection: Connection, dialect: Dialect, version: str | None) -> None:
    # Alembic takes a fifth of a second to import, and is needed only once per version.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None:
        if version not in known:
            raise DataError(
                f"this database was written by a newer version of Tunewell (its tables are at {version}, this version "
                f"knows up to {HEAD})",
                field=dialect.place,
                remedy="Upgrade Tunewell, or use another home",
                kind="newer-database",
            )
        dialect.back_up(version)
    command.upgrade(config, HEAD)
