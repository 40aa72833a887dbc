"""Options and arguments that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from tunewell.service.service import DEFAULT_HOME, Service
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


def terminal(stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints text as it is: names and messages of users may look like markup."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2, allow_nan=False, default=str))
