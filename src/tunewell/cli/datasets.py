"""Commands on data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    carried_out,
    existing,
    made,
    print_json,
    terminal,
)
from tunewell.service.paging import every
from tunewell.service.service import Service
from tunewell.service.types import DataSet, Job
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, DataError, NotFoundError, count
from tunewell.spec.format import moment, size
from tunewell.spec.names import Visibility

app = typer.Typer(
    help="List, add, check and delete data sets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the data set.")]


@app.command("list")
def list_(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List those in the bin.")] = False,
) -> None:
    """List the data sets, the newest first."""
    with existing(home, database, server) as service:
        found = list(every(lambda cursor: service.datasets(deleted=deleted, cursor=cursor)))
        in_bin = not found and not deleted and service.datasets(deleted=True, limit=1).items
    if json_:
        print_json([one.to_json() for one in found])
        return
    console = terminal()
    if not found:
        none = "No data sets yet. Add one: tunewell datasets add NAME FOLDER"
        if deleted:
            none = "No data sets in the bin."
        elif in_bin:
            none = "No data sets but those in the bin. Look there: tunewell datasets --deleted"
        console.print(none)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("data set", "files", "size", "seen by", "from", "added"):
        table.add_column(column, justify="right" if column in ("files", "size") else "left")
    for one in found:
        added = moment(one.created_at.timestamp())
        table.add_row(one.name, str(one.files), size(one.size_bytes), _seers(one), one.folder or "upload", added)
    console.print(table)


@app.command("show")
def show(
    name: NameArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a data set, and what was found in it."""
    with existing(home, database, server) as service:
        _print(service.dataset(name), json_)


@app.command("add")
def add(
    name: NameArgument,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A folder, or an archive (zip, tar, tar.gz, …).")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Leave the folder where it is; it must be allowed.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Only its owner and administrators see it.")] = False,
) -> None:
    """Add a data set, from a folder or an archive.

    It is copied into the home, or sent to the server, once by content, unless the folder is to stay where it is.
    """
    visibility: Visibility = "private" if private else "team"
    if not source.exists() and not (in_place and server is not None):
        raise NotFoundError("there is no such file or folder", field=str(source))
    with made(home, database, server) as service:
        if in_place:
            folder = source if server is not None else source.resolve()
            added = service.add_dataset(name, folder=str(folder), visibility=visibility)
        else:
            added = _send(service, name, source, visibility)
    _print(added, json_)


@app.command("check")
def check(
    name: NameArgument,
    task: Annotated[
        str | None, typer.Option("--task", help="The built-in task that reads it; default: the one that fits.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Open every item of a data set, and show what was found."""
    with existing(home, database, server, "write") as service:
        carried_out(service, service.check_dataset(name, task) if task else _check_as_fits(service, name))
        _print(service.dataset(name), json_)


def _check_as_fits(service: Verbs, name: str) -> Job:
    """Have a data set checked as it was read last, or else as the task that reads such data."""
    known = service.dataset(name)
    try:
        return service.check_dataset(name, known.suggested_task or known.job_task or "image-classification")
    except DataError:
        suggested = service.dataset(name).suggested_task
        if suggested is None:
            raise
        return service.check_dataset(name, suggested)


@app.command("delete")
def delete(
    name: NameArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    forever: Annotated[bool, typer.Option("--forever", help="Remove it at once, even from the bin.")] = False,
) -> None:
    """Put a data set into the bin, where it stays for 30 days."""
    with existing(home, database, server, "write") as service:
        service.delete_dataset(name, forever=forever)
    what = "It is gone." if forever else f"It is in the bin. Restore it: tunewell datasets restore {name}"
    terminal(soft_wrap=True).print(what)


@app.command("restore")
def restore(
    name: NameArgument, home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None
) -> None:
    """Take a data set out of the bin."""
    with existing(home, database, server, "write") as service:
        _print(service.restore_dataset(name), json_=False)


@app.command("allow")
def allow(
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="Default: list those allowed.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Allow it no longer.")] = False,
) -> None:
    """Let data sets be made of a folder, and of those in it."""
    if folder is None and withdraw:
        raise ArgumentError("folder", "it is missing", "Name the folder that is no longer allowed")
    with Service(home, database) as service:
        if folder is not None:
            (service.withdraw_folder if withdraw else service.allow_folder)(folder)
        allowed = service.allowed_folders()
    console = terminal(soft_wrap=True)
    console.print("Data sets may be made of: " + ", ".join(allowed) if allowed else "No folder is allowed.")


def _send(verbs: Verbs, name: str, source: Path, visibility: Visibility) -> DataSet:
    """Add a copy of a folder or of an archive; a content that is there already is not sent again."""
    from tunewell.client.shipping import send_data, send_file

    if not source.is_file():
        return send_data(verbs, name, source, visibility)
    with source.open("rb") as file:
        upload = send_file(verbs, source.name, file, "dataset")
    return verbs.add_dataset(name, upload=upload, visibility=visibility)


def _seers(one: DataSet) -> str:
    return "everybody" if one.visibility == "team" else "its owner"


def _print(one: DataSet, json_: bool) -> None:
    if json_:
        print_json(one.to_json())
        return
    console = terminal(soft_wrap=True)
    console.print(f"{one.name}: {count(one.files, 'file')}, {size(one.size_bytes)}, seen by {_seers(one)}")
    console.print(f"  from      {one.folder or 'an upload'}")
    console.print(f"  content   {one.sha256}")
    if one.job_task is not None:
        console.print(f"  read as   {one.job_task}")
    for line in one.findings or ():
        console.print(f"  found     {line}")
    if one.unusable:
        console.print(f"  unusable  {one.unusable}")
    console.print(f"  in a spec data: dataset:{one.name}", style="dim")
