"""Commands that keep a home, or a service, in order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    print_json,
    terminal,
)
from tunewell.cli.summary import serve_text
from tunewell.display.wording import TIDIED
from tunewell.service.types import GarbageGroup
from tunewell.service.upkeep.files import restore_backup as restore_file
from tunewell.service.upkeep.files import write_backup
from tunewell.spec.errors import ArgumentError, SpecError, count
from tunewell.spec.format import moment, size

#: What is written for "say nothing".
_NO_LIMIT = ("none", "default")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write, .tar or .tar.gz; - is stdout.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Save all of a home in one file, while it is at work.

    That is all that is on record, and the files of it. The archive holds the secrets of the home: nobody but you can
    read it. Keep it so.
    """
    errors = terminal(stderr=True)
    with existing(home, database, server, "write") as service, errors.status("Copying …") as status:
        written = write_backup(service, file, lambda line: status.update(Text(line)))
    terminal(stderr=str(file) == "-", soft_wrap=True).print(f"Backed up to {file}: {size(written)}.")


def restore_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that `tunewell backup` has made.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
) -> None:
    """Make a home from a backup: all of it, or nothing.

    The folder must be empty, and so must the database if that is elsewhere. The home is one of its own then, beside
    the one that was backed up. What ran goes on when something runs it.
    """
    with terminal(stderr=True).status("Reading …") as status:
        done = restore_file(file, home, database, lambda line: status.update(Text(line)))
    console = terminal(soft_wrap=True)
    files = f"{count(done.files, 'file')}, {count(done.rows, 'row')}"
    console.print(f"Restored into {done.home}, as it was on {moment(done.created_at)}: {files}.")
    if done.running:
        console.print(f"Trials and jobs that ran then, {done.running} in all, go on then.")
    console.print(f"Run it: {serve_text(Path(done.home))}", style="dim")
    if not done.is_default:
        console.print(f"From now on, name the database with --database or TUNEWELL_DATABASE: {done.database}")


def gc(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
) -> None:
    """Remove files that are no longer needed.

    It lists them first. All that is on record stays, and so do models, results, and the files of the
    five best trials of each search.
    """
    console = terminal()
    with existing(home, database, server, "write") as service:
        found = service.garbage()
        if json_:
            if dry_run or not yes:
                print_json(found.to_json())
                return
            print_json(service.collect_garbage().to_json())
            return
        if not found.groups:
            console.print("There are no files to remove: all are still needed.")
            console.print(TIDIED, style="dim", soft_wrap=True)
            return
        console.print(_table(found.groups))
        console.print(f"{size(found.size_bytes)} in all.")
        console.print(TIDIED, style="dim", soft_wrap=True)
        if dry_run or not (yes or _agreed()):
            return
        done = service.collect_garbage()
    console.print(f"{size(done.size_bytes)} were removed.")


def disk(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="SIZE", help="What the home may take up (200G); none: no limit.")
    ] = None,
    reserve: Annotated[
        str | None,
        typer.Option("--reserve", metavar="SIZE", help="What is kept free on the disk; default: 1G, at most 2 %."),
    ] = None,
) -> None:
    """Show what takes up the disk, and limit it."""
    given = {"budget_bytes": budget, "reserve_bytes": reserve}
    changes = {name: None if text in _NO_LIMIT else text for name, text in given.items() if text is not None}
    with existing(home, database, server, "write" if changes else "read") as service:
        try:
            found = service.change_disk(changes) if changes else service.disk()
        except SpecError as error:
            raise ArgumentError(error.field.removesuffix("_bytes"), error.what, error.remedy, error.value) from None
    if json_:
        print_json(found.to_json())
        return
    console = terminal(soft_wrap=True)
    console.print(f"The home takes up {size(found.taken_bytes)}. Of its disk, {size(found.free_bytes)} are free.")
    limit = "no budget" if found.budget_bytes is None else f"a budget of {size(found.budget_bytes)}"
    console.print(f"It has {limit}, and keeps {size(found.reserve_bytes)} free.")
    if found.problem:
        console.print(found.problem, style="yellow")
    for title, parts in (("what", found.by_kind), ("whose", found.by_owner)):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column(title)
        table.add_column("size", justify="right")
        for part in parts:
            table.add_row(part.name, size(part.size_bytes))
        console.print(table)
    for one in found.collections[:3]:
        when = moment(one.at.timestamp() if one.at is not None else None)
        console.print(f"{when}: {size(one.size_bytes)} were removed by {one.by}", style="dim")


def _table(groups: Sequence[GarbageGroup]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("what", "number", "size", "why it may go"):
        table.add_column(column, justify="right" if column in ("number", "size") else "left")
    for one in groups:
        table.add_row(one.what, f"{one.count:,}", size(one.size_bytes), one.why)
    return table


def _agreed() -> bool:
    """Whether somebody at a terminal says so; where nobody can be asked, nobody does."""
    if not sys.stdin.isatty():
        raise ArgumentError("yes", "nobody can be asked here", "Give --yes to remove it, or --dry-run to look only")
    return typer.confirm("Remove it?")
