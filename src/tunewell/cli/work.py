"""The ready-made worker."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from tunewell.cli import INTERRUPTED
from tunewell.cli.options import ExperimentArgument, terminal

#: How long a service is waited for at the start, which may be about to start, too.
START_SECONDS = 30.0


def worker(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the service; `last`: that of the last login.")],
    experiment: ExperimentArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="-- COMMAND",
            help="What to run for each trial, with placeholders as in a spec; default: the command in the spec.",
        ),
    ] = None,
    id: Annotated[
        str, typer.Option("--id", help="Its name; default: the name of this machine.", show_default=False)
    ] = "",
    slots: Annotated[int, typer.Option("--slots", metavar="N", help="How many trials it runs at once.")] = 1,
    folder: Annotated[Path, typer.Option("--folder", help="Where it keeps its trials.")] = Path("tunewell-worker"),
) -> None:
    """Train trials here that a service gives to workers.

    The search has `scheduler: workers`; the worker goes on until that has ended. It asks the service for one trial
    after the other, runs the command for it, and tells what it reports and prints. Ctrl-C hands back what it has; a
    second one does so at once. Started again under the same name, it goes on with the trial that it had.
    """
    from tunewell.client.client import Client
    from tunewell.client.connection import Connection
    from tunewell.client.servers import server_and_token
    from tunewell.worker.planning import make_plan
    from tunewell.worker.slot import PATIENCE_SECONDS
    from tunewell.worker.worker import work

    console = terminal(soft_wrap=True)
    place = server_and_token(url)
    with Client.over(Connection(*place, patience=START_SECONDS)) as client:
        plan = make_plan(client, experiment, id or socket.gethostname(), slots, folder, command or [])
    with Client.over(Connection(*place, patience=PATIENCE_SECONDS)) as client:
        names = plan.slots[0] if slots == 1 else f"{plan.slots[0]} to {plan.slots[-1]}"
        console.print(f"{names} asks {client.server} for trials of {plan.spec.name}, until Ctrl-C.")
        if not work(client, plan, console.print):
            raise typer.Exit(INTERRUPTED)
