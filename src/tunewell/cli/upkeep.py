"""Commands that keep a home, or a service, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from tunewell.cli.options import HOME, DatabaseOption, HomeOption, ServerOption, existing, terminal
from tunewell.service.upkeep.files import restore_backup as restore_file
from tunewell.service.upkeep.files import write_backup
from tunewell.spec.errors import count
from tunewell.spec.format import moment, size


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write, .tar or .tar.gz; - is stdout.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Back up all that is on record, and the files of it, while everything is at work.

    The archive holds the secrets of the home: nobody but you can read it. Keep it so.
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
    """Restore a backup into an empty home, and an empty database if that is elsewhere: all of it, or nothing.

    The home is one of its own then, beside the one that was backed up. What ran goes on when something runs it.
    """
    with terminal(stderr=True).status("Reading …") as status:
        done = restore_file(file, home, database, lambda line: status.update(Text(line)))
    console = terminal(soft_wrap=True)
    files = f"{count(done.files, 'file')}, {count(done.rows, 'row')}"
    console.print(f"Restored into {done.home}, as it was on {moment(done.created_at)}: {files}.")
    if done.running:
        console.print(f"Trials and jobs that ran then, {done.running} in all, go on when something runs the home.")
    if not done.is_default:
        console.print(f"From now on, name the database with --database or TUNEWELL_DATABASE: {done.database}")
