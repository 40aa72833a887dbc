"""What is done with whole databases: upgrading one, and moving a home from one to another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from tunewell.home.home import Home
from tunewell.spec.errors import ConflictError
from tunewell.store import schema
from tunewell.store.copying import Database, move
from tunewell.store.dialect import dialect_of
from tunewell.store.store import Store


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade found."""

    #: What people call the database.
    place: str
    #: Versions of its tables, before and after.
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Copied:
    """What a move has brought about."""

    #: What people call the two databases.
    source: str
    target: str
    #: Number of rows in all tables.
    rows: int
    #: Whether the target is the one that is used where none is named.
    is_default: bool


def url_of(database: str) -> str:
    """Return the URL of a database that is named by it, by its file, or by the home folder that it lies in."""
    if "://" in database:
        return database
    path = Path(database)
    return f"sqlite:///{path.absolute()}" if path.suffix == ".db" or path.is_file() else Home(path).database_url


def upgrade_database(database: str) -> Upgraded:
    """Bring the tables of a database up to date, of which there is a backup.

    Raises:
        UserError: it can't be opened, or is no database of Tunewell.
    """
    dialect = dialect_of(url_of(database), create=False)
    engine = dialect.engine()
    try:
        found = schema.bring_up_to_date(engine, dialect, create=False, backed_up=True)
    finally:
        engine.dispose()
    return Upgraded(dialect.place, str(found), schema.HEAD)


def set_home(database: str, folder: Path) -> str:
    """Give a database on a server another home, because its own is gone for good; return what people call it.

    Raises:
        ConflictError: a process is at work on what it holds.
        UserError: it can't be opened, or the folder not be written.
    """
    url = url_of(database)
    with closing(Database(url, create=False)) as opened:
        check_idle(opened)
    with Store(url, create=False) as store:
        home = Home(folder, store)
        home.create()
        home.adopt()
        return store.place


def copy_database(source: str, target: str, tell: Callable[[str], None] = lambda line: None) -> Copied:
    """Move all that is on record from one database to another, which is used from then on, with the same home.

    Args:
        source: URL, file, or home folder; it is kept, and refused where it is opened later.
        target: likewise; it is made if need be, and must be empty, or have been moved away before.
        tell: told in lines how far it is.

    Raises:
        ConflictError: something is at work in the home, or the target holds something else.
        UserError: one of them can't be opened.
    """
    with ExitStack() as stack:
        old = stack.enter_context(closing(Database(url_of(source), create=False)))
        check_idle(old)
        new = stack.enter_context(closing(Database(url_of(target), create=True)))
        own = [home.database_url.removeprefix("sqlite:///") for home in _homes(old)]
        rows = move(old, new, tell)
        return Copied(old.place, new.place, rows, new.place in own)


def check_idle(database: Database) -> None:
    """Raise `ConflictError` if a process is at work on what a database holds."""
    for busy in (database.at_work, *(home.at_work for home in _homes(database))):
        if busy:
            problem, remedy = f"it is in use: {busy}", "End that first; trials may live on"
            raise ConflictError(problem, field=database.place, remedy=remedy)


def _homes(database: Database) -> list[Home]:
    """Return the home of a database: where it was when it was last written to, and around a file."""
    row, file = database.home(), Path(database.place)
    folders = [*([Path(row.folder)] if row is not None else []), *([file.parent] if file.is_file() else [])]
    return [Home(folder) for folder in dict.fromkeys(folders)]
