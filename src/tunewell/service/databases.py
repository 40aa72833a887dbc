"""What is done with whole databases: upgrading one, and moving a home from one to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunewell.home.home import Home
from tunewell.schedulers.records import identity_of
from tunewell.spec.errors import ArgumentError, ConflictError, NotFoundError
from tunewell.store import schema
from tunewell.store.copying import Database, move
from tunewell.store.dialect import dialect_of, moved
from tunewell.store.patience import again_if_cut
from tunewell.store.rows import HomeRow
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

    def upgrade() -> str | None:
        found = schema.bring_up_to_date(engine, dialect, create=False, backed_up=True)
        schema.check_here(engine, dialect)
        return found

    try:
        return Upgraded(dialect.place, str(again_if_cut(upgrade)), schema.HEAD)
    finally:
        engine.dispose()


def set_home(database: str, folder: Path, force: bool = False) -> str:
    """Give a database on a server another home, because its own is gone for good; return what people call it.

    Raises:
        ConflictError: a process is at work on what it holds; or its home is still there, and not given up by `force`.
        UserError: it can't be opened, or the folder not be written.
    """
    url = url_of(database)
    with closing(Database(url, create=False)) as opened:
        check_idle(opened)
        known = opened.home()
    if known is not None and not force and _is_there(known) and Path(known.folder) != folder.absolute():
        raise ConflictError(
            f"its home {known.folder} is still there; the logs, checkpoints and models in it would be given up, and "
            "trials that run would begin again",
            field=opened.place,
            remedy="Name that one, or say that it is to be given up",
            kind="home-still-there",
            home=known.folder,
        )
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
        with _called("source"):
            old = stack.enter_context(closing(Database(url_of(source), create=False)))
        check_idle(old)
        with _called("target"):
            new = stack.enter_context(closing(_open_target(url_of(target), old)))
        own = [home.database_url.removeprefix("sqlite:///") for home in _homes(old)]
        rows = move(old, new, tell, lambda: check_idle(old))
        return Copied(old.place, new.place, rows, new.place in own)


def _open_target(url: str, source: Database) -> Database:
    """Open what is copied into; what a copy would be refused for anyway is not made."""
    gone = source.moved_to
    try:
        return Database(url, create=gone is None)
    except NotFoundError:
        assert gone is not None
        raise moved(source.place, gone) from None


def _is_there(home: HomeRow) -> bool:
    return identity_of(Path(home.folder)) == home.identity


@contextmanager
def _called(name: str) -> Iterator[None]:
    """Have an error that is about an argument name this one, by which the database was given."""
    try:
        yield
    except ArgumentError as error:
        raise ArgumentError(name, error.what, error.remedy) from None


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
