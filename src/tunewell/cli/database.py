"""Commands for whole databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from tunewell.cli.options import HOME, DatabaseOption, HomeOption, terminal
from tunewell.service.databases import copy_database, set_home, upgrade_database
from tunewell.spec.errors import ArgumentError, UserError, count

app = typer.Typer(help="Move a home to another database, or upgrade one.", no_args_is_help=True, rich_markup_mode=None)
_PLACE = "A database's URL, or a home folder for the database in it."
#: What `copy` calls its arguments, and what to do there about an error of a kind.
_ARGUMENTS = {"source": "FROM", "target": "TO"}
_REMEDIES = {"database-moved": "Give that one as FROM", "database-not-usable": "Give another one"}


@app.command("copy")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=_PLACE)],
    target: Annotated[str, typer.Argument(metavar="TO", help=f"{_PLACE} It must be empty.")],
) -> None:
    """Move all that is on record into another database.

    From SQLite to PostgreSQL, or back. The home folder stays where it is. FROM is kept as it was, and refused from then
    on; TO may be one that was moved away before.
    """
    with terminal(stderr=True).status("Copying …") as status, _in_words_of_copy():
        done = copy_database(source, target, lambda line: status.update(Text(line)))
    console = terminal(soft_wrap=True)
    console.print(f"{count(done.rows, 'row')} copied from {done.source} to {done.target}, and compared.")
    if done.is_default:
        console.print("It is the home's own: from now on, do without --database and TUNEWELL_DATABASE.")
    else:
        console.print(f"From now on, name it with --database or TUNEWELL_DATABASE: {done.target}")


@contextmanager
def _in_words_of_copy() -> Iterator[None]:
    """Word errors for a command that has no --database, and pays no heed to TUNEWELL_DATABASE."""
    try:
        yield
    except UserError as error:
        remedy = _REMEDIES.get(error.kind, error.remedy)
        raise UserError(error.what, field=_ARGUMENTS.get(error.field, error.field), remedy=remedy) from None


@app.command("set-home")
def set_home_(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    force: Annotated[bool, typer.Option("--force", help="Even though its own home is still there.")] = False,
) -> None:
    """Give a database on a server another home.

    Do so only if its own home is gone for good: what lay there is lost, and trials that ran begin again.
    """
    if database is None:
        raise ArgumentError("database", "it must be named", "One that lies in the home has no other")
    place = set_home(database, home, force)
    terminal(soft_wrap=True).print(f"{place}: its home is {home.absolute()} now.")


@app.command("upgrade")
def upgrade(home: HomeOption = HOME, database: DatabaseOption = None) -> None:
    """Upgrade a database of which you have made a backup (pg_dump)."""
    done = upgrade_database(database or str(home))
    same = done.before == done.after
    changed = f"are at {done.after} already" if same else f"were upgraded from {done.before} to {done.after}"
    terminal(soft_wrap=True).print(f"{done.place}: its tables {changed}.")
