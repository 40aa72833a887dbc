"""Options and arguments that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from tunewell.service.following import result_of
from tunewell.service.service import DEFAULT_HOME, Service
from tunewell.service.types import Job
from tunewell.spec.errors import NotFoundError

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="TUNEWELL_HOME", help="Folder of database, trials and caches.", show_default=True),
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", envvar="TUNEWELL_DATABASE", help="URL of the database, if not in the home.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Name of the experiment.")]

HOME = DEFAULT_HOME


def existing(home: Path, database: str | None = None, access: Literal["read", "write"] = "read") -> Service:
    """Open a home that is there already; raise `NotFoundError` otherwise, so that a typo makes no new one."""
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


def carried_out(
    service: Service,
    job: Job,
    tell: Callable[[str], None] = lambda line: None,
    leave: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Have a job carried out here, and return its result.

    `tell` is told what it is doing; `leave` is asked at an interruption whether it is to go on without this process.

    Raises:
        JobFailed: it failed.
    """
    return result_of(service.carry_out(job.id, tell, leave))


def terminal(stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints text as it is: names and messages of users may look like markup."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2, allow_nan=False, default=str))
