"""Options and arguments that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console

from tunewell.spec.errors import ArgumentError, NotFoundError
from tunewell.spec.names import DEFAULT_HOME

if TYPE_CHECKING:
    from tunewell.client.client import Client
    from tunewell.service.service import Service
    from tunewell.service.types import Job

    #: Where the verbs of a command are carried out.
    Place = Service | Client

#: Options that say where; a home and its database go together.
_PLACES = ("home", "database", "server")
Value = TypeVar("Value")
#: Characters of a line that nobody looks at in a terminal.
_ANY_LENGTH = 1 << 20


def _one_place(ctx: typer.Context, option: typer.CallbackParam, value: Value) -> Value | None:
    """Return what an option about the place has; a home in the arguments counts more than the environment's server.

    Raises:
        ArgumentError: the arguments name both.
    """
    named = [name for name in _PLACES if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if "server" in named and len(named) > 1:
        other = named[0]
        raise ArgumentError("server", f"it is one place, and --{other} another one", "Name one of them")
    return None if option.name == "server" and named and "server" not in named else value


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="TUNEWELL_HOME",
        help="Folder of database, trials and caches.",
        show_default=True,
        callback=_one_place,
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="TUNEWELL_DATABASE",
        help="URL of the database, if not in the home.",
        callback=_one_place,
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="TUNEWELL_SERVER",
        metavar="URL",
        help="Ask this server, instead of a home here; `last`: that of the last login.",
        callback=_one_place,
    ),
]


def _address(value: str | None) -> str | None:
    """Return the address of a cluster; raise `ArgumentError` for what is none, before anything is done with it."""
    if value is not None:
        from tunewell.service.cluster import check_address

        check_address(value)
    return value


RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        envvar="TUNEWELL_RAY",
        metavar="ADDRESS",
        help="Ray cluster that searches with `scheduler: ray` use: HOST:PORT of its head, or `auto` on a node.",
        callback=_address,
    ),
]
SmtpOption = Annotated[
    str,
    typer.Option(
        "--smtp",
        envvar="TUNEWELL_SMTP",
        metavar="URL",
        help="Mail server for notifications: smtp://USER@HOST:587 (STARTTLS) or smtps://USER@HOST; the password is in "
        "TUNEWELL_SMTP_PASSWORD.",
    ),
]
MailFromOption = Annotated[
    str,
    typer.Option("--mail-from", envvar="TUNEWELL_MAIL_FROM", metavar="ADDRESS", help="Address that mails are from."),
]
SmtpPasswordFileOption = Annotated[
    Path | None,
    typer.Option("--smtp-password-file", metavar="FILE", help="File with the password for the mail server."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Name of the experiment.")]

HOME = DEFAULT_HOME


def existing(home: Path, database: str | None, server: str | None, access: Literal["read", "write"] = "read") -> Place:
    """Open the server that is named, or else a home that is there already, so that a typo makes no new one.

    Raises:
        NotFoundError: there is no such home.
        ArgumentError: the server is none.
    """
    if server is not None:
        from tunewell.client.client import Client

        return Client(server)
    from tunewell.service.service import Service

    try:
        return Service(home, database, access)
    except NotFoundError:
        if database is not None:
            raise
        raise NotFoundError(
            "there is no Tunewell home here",
            field=str(home),
            remedy="Go to the folder where you started the search, or name it with --home or TUNEWELL_HOME",
            kind="no-home",
        ) from None


def made(home: Path, database: str | None, server: str | None) -> Place:
    """Open the server that is named, or else a home, which is made if there is none; raises as `existing` does."""
    if server is not None:
        return existing(home, database, server)
    from tunewell.service.service import Service

    return Service(home, database)


def carried_out(
    place: Place,
    job: Job,
    tell: Callable[[str], None] = lambda line: None,
    leave: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Have a job carried out, here or where the server has it done, and return its result.

    `tell` is told what it is doing; `leave` is asked at an interruption whether it is to go on without this process,
    as it does on a server.

    Raises:
        JobFailed: it failed.
    """
    from tunewell.service.following import follow, result_of
    from tunewell.service.service import Service
    from tunewell.service.wire import progress_line

    if isinstance(place, Service):
        return result_of(place.carry_out(job.id, tell, leave))
    return follow(place, job, lambda changed: tell(progress_line(changed)))


def terminal(stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints text as it is: names and messages of users may look like markup.

    What is no terminal gets lines of any length, and nothing is cut.
    """
    console = Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = _ANY_LENGTH
    return console


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2, allow_nan=False, default=str))
