"""Commands on published models."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    print_json,
    terminal,
)
from tunewell.display.model_differences import compare, headline
from tunewell.service.paging import every
from tunewell.service.types import Model, ModelVersion
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ArgumentError, ConflictError, UserError, count
from tunewell.spec.format import moment, number, signed, size, spoken
from tunewell.spec.names import Visibility, parse_model


class _Models(TyperGroup):
    """`tunewell models` lists them, `tunewell models NAME` shows one; all else is a command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        asks_help = bool(args) and args[0] in ctx.help_option_names
        if not asks_help and (not args or args[0].startswith("-")):
            args = ["list", *args]
        elif not asks_help and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Models,
    help="List published models, choose and download versions.",
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the model.")]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", help="Number of the version.")]
NamedArgument = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Name of the model; without a version, the current one.")
]


def publish(
    experiment: ExperimentArgument,
    trial: Annotated[
        int | None, typer.Option("--trial", help="The model of this trial; default: the retrained one, or the best.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the model; default: the experiment's.")] = None,
    note: Annotated[str, typer.Option("--note", help="A note on this version.")] = "",
    private: Annotated[
        bool | None,
        typer.Option("--private/--team", help="Who sees the model; default: as it is, or as the experiment."),
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Publish a model under a name, as its next version.

    It stays whatever becomes of the experiment.
    """
    visibility: Visibility | None = None if private is None else "private" if private else "team"
    with existing(home, database, server, "write") as service:
        made = service.publish(experiment, name, trial=trial, note=note, visibility=visibility)
        seers = _seers(service.model(made.model))
        same = [one.number for one in service.model_versions(made.model).items if one.sha256 == made.sha256]
    if json_:
        print_json(made.to_json())
        return
    console = terminal(soft_wrap=True)
    console.print(f"{made.model}@{made.number} is published, the current version, seen by {seers}.")
    if earlier := [number for number in same if number != made.number]:
        console.print(f"Its files are those of {made.model}@{earlier[0]}: the same model once more.", style="dim")
    console.print(f"Use it: tunewell predict model:{made.model} PICTURE...", style="dim")


@app.command("list")
def list_(
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="List those in the bin.")] = False,
) -> None:
    """List the models with their current versions."""
    with existing(home, database, server) as service:
        found = list(every(lambda cursor: service.models(deleted=deleted, cursor=cursor)))
        in_bin = not found and not deleted and service.models(deleted=True, limit=1).items
    if json_:
        print_json([one.to_json() for one in found])
        return
    console = terminal()
    if not found:
        none = "No models yet. Publish one: tunewell publish EXPERIMENT"
        if deleted:
            none = "No models in the bin."
        elif in_bin:
            none = "No models but those in the bin. Look there: tunewell models --deleted"
        console.print(none)
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("model", "version", "figure", "network", "seen by", "published"):
        table.add_column(column, justify="right" if column == "version" else "left")
    for one in found:
        current = one.current
        of = f"{current.number} of {one.latest}" if one.latest > 1 else str(current.number)
        published = moment(current.created_at.timestamp())
        table.add_row(one.name, of, _reached(current), current.network, _seers(one), published)
    console.print(table)


@app.command("show")
def show(
    name: NameArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a model and its versions, with their figures."""
    with existing(home, database, server) as service:
        model, versions = service.model(name), _versions(service, name)
    if json_:
        print_json({**model.to_json(), "versions": [one.to_json() for one in versions]})
        return
    _print(model, versions, terminal())


@app.command("compare")
def compare_(
    named: Annotated[
        list[str], typer.Argument(metavar="NAME[@VERSION]...", help="Versions, of the same model or of others.")
    ],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show versions side by side, and how they differ."""
    wanted = list(dict.fromkeys(named))
    if len(wanted) < 2:
        raise UserError(
            f"{wanted[0]} alone can't be compared",
            remedy="Name two versions or more, such as signs@1 signs@2",
            kind="nothing-to-compare",
        )
    with existing(home, database, server) as service:
        versions = [_version(service, one) for one in wanted]
    if json_:
        print_json([one.to_json() for one in versions])
        return
    found = compare(versions)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for one in versions:
        table.add_column(f"{one.model}@{one.number}", justify="right", overflow="fold")
    for row in (*found.figures, *found.facts, *found.different):
        cells = (Text(cell.text, style="bold" if cell.is_best else "") for cell in row.cells)
        table.add_row(Text(row.name), *cells)
    terminal().print(table)
    if found.same:
        same = count(len(found.same), "parameter")
        terminal(soft_wrap=True).print(f"{same} {'is' if len(found.same) == 1 else 'are'} the same.", style="dim")


@app.command("use")
def use(
    name: NameArgument,
    version: VersionArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a version the current one, be it newer or older."""
    with existing(home, database, server, "write") as service:
        before = service.model(name).current.number
        model = service.use_model_version(name, version)
    if json_:
        print_json(model.to_json())
        return
    back = "" if before == version else f" Back: tunewell models use {name} {before}"
    terminal(soft_wrap=True).print(f"{model.name}@{version} is the current version.{back}")


@app.command("note")
def note(
    name: NameArgument,
    version: VersionArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The new note.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Change the note on a version."""
    with existing(home, database, server, "write") as service:
        changed = service.change_model_version(name, version, note=text)
    terminal(soft_wrap=True).print(f"{changed.model}@{version}: {changed.note or 'no note'}")


@app.command("share")
def share(
    name: NameArgument,
    private: Annotated[bool, typer.Option("--private/--team", help="Who sees it, with all of its versions.")] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Say who sees a model: all, or its owner alone.

    Administrators see every model.
    """
    with existing(home, database, server, "write") as service:
        model = service.change_model(name, visibility="private" if private else "team")
    terminal(soft_wrap=True).print(f"{model.name} is seen by {_seers(model)}.")


@app.command("download")
def download(
    named: NamedArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make.")],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Write the files of a version into a new folder.

    It is there once they are found to be what was published.
    """
    if folder.exists():
        raise ConflictError("it exists already", field=str(folder), remedy="Name another folder")
    name, version = parse_model(named)
    with existing(home, database, server) as service:
        _unpack(service.model_files(name, version), folder)
    terminal(soft_wrap=True).print(f"{named} is in {folder}.")


@app.command("delete")
def delete(
    named: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="Name of the model; with a version, of that alone.")
    ],
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    forever: Annotated[bool, typer.Option("--forever", help="Remove it at once, even from the bin.")] = False,
) -> None:
    """Put a model with its versions into the bin.

    It stays there for 30 days. A single version, which must not be the current one, is removed with `--forever`.
    """
    name, version = parse_model(named)
    if version is not None and not forever:
        problem = "a single version does not go into the bin: it is removed for good"
        raise ArgumentError("forever", problem, "Say so with --forever")
    with existing(home, database, server, "write") as service:
        if version is not None:
            service.delete_model_version(name, version)
        else:
            service.delete_model(name, forever=forever)
    what = "It is gone." if forever else f"It is in the bin. Restore it: tunewell models restore {name}"
    terminal(soft_wrap=True).print(what)


@app.command("restore")
def restore(
    name: NameArgument, home: HomeOption = HOME, database: DatabaseOption = None, server: ServerOption = None
) -> None:
    """Take a model out of the bin."""
    with existing(home, database, server, "write") as service:
        model, versions = service.restore_model(name), _versions(service, name)
    _print(model, versions, terminal())


def _version(service: Verbs, named: str) -> ModelVersion:
    name, number = parse_model(named)
    return service.model(name).current if number is None else service.model_version(name, number)


def _versions(service: Verbs, name: str) -> list[ModelVersion]:
    return list(every(lambda cursor: service.model_versions(name, cursor=cursor)))


def _print(model: Model, versions: Sequence[ModelVersion], console: Console) -> None:
    console.print(f"{model.name}: seen by {_seers(model)}", soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    metrics = sorted({name for one in versions for name in one.test})[:3]
    tested = [f"{spoken(name)} on test" for name in metrics]
    for column in ("version", "", "trial, on validation", "trial's gain", *tested, "from", "size", "note"):
        table.add_column(column, justify="right" if column == "version" else "left")
    for one in versions:
        table.add_row(
            str(one.number),
            "current" if one.is_current else "",
            f"{spoken(one.objective.metric)} {number(one.value)}",
            signed(one.gain) if one.gain is not None else number(None),
            *(number(one.test.get(name)) for name in metrics),
            _origin(one),
            size(one.size_bytes),
            Text(one.note),
            style="bold" if one.is_current else None,
        )
    console.print(table)


def _reached(one: ModelVersion) -> str:
    """Return the figure that a version is known by: `accuracy on test 0.94 (its trial had 0.95 on validation)`."""
    found = headline(one)
    return f"{found.what} {number(found.value)}" + (f" ({found.more})" if found.more else "")


def _origin(one: ModelVersion) -> str:
    what = f"trial {one.trial}" + (", retrained" if one.retrained else "")
    return f"{one.experiment} ({what})" if one.experiment is not None else what


def _seers(one: Model) -> str:
    return "everybody" if one.visibility == "team" else "its owner"


def _unpack(parts: Iterator[bytes], folder: Path) -> None:
    """Make a folder of a tar, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        with tempfile.TemporaryFile(dir=beside) as archive:
            archive.writelines(parts)
            archive.seek(0)
            with tarfile.open(fileobj=archive) as files:
                files.extractall(Path(beside, "model"), filter="data")
        Path(beside, "model").rename(folder)
