"""Errors in the words of the command line: its options instead of arguments, its commands as remedies."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewell.spec.errors import MOST_ERRORS, ArgumentError, SpecErrors, UserError, sentence

#: Kind of an error → what to do about it here; facts of the error stand in braces.
REMEDIES = {
    "backup-needed": "Make one (pg_dump), then run `tunewell database upgrade`",
    "cache-not-writable": "Choose another home with --home or TUNEWELL_HOME",
    "cache-too-small": "Make room, choose another home with --home, or search fewer and smaller values of `image_size`",
    "current-version": "Make another one current first: tunewell models use {model} VERSION; or delete the whole "
    "model: tunewell models delete {model}",
    "data-changed": "Restore it, or start over with --new",
    "database-moved": "Name that one with --database {database}, or in TUNEWELL_DATABASE, or move it back: tunewell "
    "database copy",
    "database-not-usable": "Choose another folder with --home or TUNEWELL_HOME",
    "database-of-another-home": "Name that one with --home, or use another database",
    "disk-full": "Free some space and try again, or choose another folder with --home or TUNEWELL_HOME",
    "experiment-differs": "Give the new one another `name`, start over with --new, or undo the change",
    "experiment-running": "Watch it with `tunewell show {experiment}`, or stop it with `tunewell stop {experiment}`",
    "folder-busy": "Wait for its end, or choose another `name` or --home",
    "foreign-database": "Give Tunewell one of its own with --home or --database",
    "functions-not-allowed": "Give the `command` that trains, or have the service started with --allow-functions",
    "host-not-allowed": "An administrator allows it: tunewell notify allow {host}",
    "home-gone": "Name that one with --home, or, if it is gone for good, give the database this one: tunewell database "
    "set-home",
    "home-still-there": "Name that one with --home, or give it up with --force",
    "home-not-writable": "Choose another with --home or TUNEWELL_HOME",
    "has-ended": "To have it go on, raise the limit that ended it (tunewell set {experiment} --help), then: tunewell "
    "resume {experiment}",
    "in-bin": "Take it out again: tunewell restore {experiment}",
    "not-in-bin": "It is there as ever. To remove it for good, put it into the bin first: tunewell delete {experiment}",
    "newer-database": "Upgrade Tunewell, or use another --home or --database",
    "no-allowed-host": "Say by which names it is addressed, with --allowed-host",
    "no-cluster-named": "Name its address with --ray or TUNEWELL_RAY, here or to `tunewell serve`; or have trials run "
    "here: scheduler: local",
    "no-mail-server": "Whoever runs it names one with `tunewell serve --smtp URL --mail-from ADDRESS`",
    "plain-http-not-allowed": "Write https://, or have it allowed: tunewell notify allow {host} --plain-http",
    "no-result": "Name one with --trial",
    "private-experiment": "Let everybody see it with --team, or choose another --name",
    "private-name": "Name it with --name, so that everybody may see the name",
    "program-moved": "Give `tunewell search` the spec where it is now, which puts that on record",
    "record-damaged": "Restore it, or start over with `tunewell search SPEC.yaml --new`",
    "seen-by-others": "Choose another --name, or first change who sees it: tunewell models share {model}",
    "several-studies": "Name one of them with --study: {studies}",
    "weights-changed": "Restore them, or start over with --new",
    "work-elsewhere": "Start a controller there or, if that machine is gone for good, one with --lost-host {host}",
}


#: Argument → where its value comes from if the option is not given.
_VARIABLES = {"database": "TUNEWELL_DATABASE", "home": "TUNEWELL_HOME"}


def worded(error: UserError) -> str:
    """Return an error as text; several errors of a spec as a list."""
    if isinstance(error, SpecErrors):
        return "\n".join([f"{error.what}:", *error.lines(worded)])
    return sentence(_field(error), error.what, _remedy(error))


def print_error(console: Console, error: UserError) -> None:
    """Print an error; on a terminal with its lines broken between words, several errors as a list."""
    if not console.is_terminal:  # lines of a log, or of what a program reads, are not broken
        console.print(_headed(Text(worded(error))), soft_wrap=True)
        return
    if not isinstance(error, SpecErrors):
        console.print(_headed(_styled(error)))
        return
    console.print(_headed(Text(f"{error.what}:")))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    for part in error.errors[:MOST_ERRORS]:
        table.add_row("-", _styled(part))
    more = len(error.errors) - MOST_ERRORS
    if more > 0:
        table.add_row("-", f"and {more} more")
    console.print(table)


def in_json(error: UserError) -> dict[str, Any]:
    """Return the parts of an error as JSON types, field and remedy in the words of the command line."""
    parts = [in_json(part) for part in error.parts] if isinstance(error, SpecErrors) else []
    return {**error.to_json(), "field": _field(error), "remedy": _remedy(error), "errors": parts}


def _headed(text: Text) -> Text:
    return Text.assemble(("error: ", "bold red"), text)


def _styled(error: UserError) -> Text:
    """Return an error as text, its field standing out."""
    field, text = _field(error), Text(worded(error))
    if field:
        text.stylize("bold", 0, len(field))
    return text


def _field(error: UserError) -> str:
    """Return what the user knows the field by: an argument's option, or the variable that it came from instead."""
    if not isinstance(error, ArgumentError):
        return error.field
    name = error.field.partition(".")[0]  # of several that an option was given, a server names the place, too
    option, variable = "--" + error.field.replace("_", "-"), _VARIABLES.get(name, "")
    for one in _parameters():
        if one.param_type_name == "argument" and one.name == name:
            return name_of(one)
        if one.param_type_name == "option" and {f"--{name}", f"--{name.removesuffix('s')}"} & {*one.opts}:
            option = name_of(one)
    is_given = any(argument.partition("=")[0] == option for argument in sys.argv[1:])
    return variable if variable in os.environ and not is_given else option


def name_of(parameter: Any) -> str:
    """Return what an option or argument of a command is called in its help."""
    if parameter.param_type_name == "option":
        return str(parameter.opts[0])
    return str(parameter.metavar or parameter.name.upper()).rstrip(".").strip("[]")


def _parameters() -> list[Any]:
    """Return the options and arguments of the command that was called."""
    from typer.core import TyperGroup
    from typer.main import get_command

    from tunewell.cli.app import app

    command: Any = get_command(app)
    for argument in sys.argv[1:]:
        found = command.get_command(cast(Any, None), argument) if isinstance(command, TyperGroup) else None
        if found is None:
            break
        command = found
    return list(command.params)


def _remedy(error: UserError) -> str:
    return REMEDIES[error.kind].format(**error.facts) if error.kind in REMEDIES else error.remedy
