"""What a worker is to do, checked before it asks for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewell.client.client import Client
from tunewell.spec.errors import ArgumentError, ConflictError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.rules import WORKERS
from tunewell.tasks.command import CommandTask
from tunewell.worker.folders import Folders


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker does."""

    #: Of the experiment, by its full name, with the command that is run, and the folder that it is run in.
    spec: ExperimentSpec
    #: What each slot calls itself.
    slots: tuple[str, ...]
    folders: Folders


def make_plan(client: Client, experiment: str, id: str, slots: int, folder: Path, command: Sequence[str]) -> Plan:
    """Check what a worker is to do.

    Args:
        client: of the service.
        experiment: what its caller calls the experiment.
        id: what the worker calls itself; with several slots, a number follows.
        slots: how many trials it runs at once.
        folder: where it keeps them.
        command: what it runs for each; empty: what the experiment's spec says.

    Raises:
        UserError: that can't be done.
    """
    if slots < 1:
        raise ArgumentError("slots", "it is less than one", "Give 1 or more", slots)
    if not id.strip() or len(id) > 150 or not id.isprintable():
        raise ArgumentError("id", "it is no name", "Give 1 to 150 characters that can be printed", id)
    row = client.experiment(experiment)
    if row.spec.get("scheduler") != WORKERS:
        what = f"Experiment '{row.name}' has its trials started by a controller, and gives none to workers"
        remedy = "Write `scheduler: workers` in the spec of a new one"
        raise ConflictError(what, remedy=remedy, kind="not-for-workers")
    spec = parse_spec(row.spec)
    if not command and spec.command is None:
        raise ArgumentError("command", "neither you nor the spec of the experiment says what to run", "Write it last")
    here = spec.model_copy(update={"command": tuple(command) or spec.command, "working_directory": Path.cwd()})
    CommandTask().check(here)
    names = (id,) if slots == 1 else tuple(f"{id}-{number}" for number in range(1, slots + 1))
    return Plan(here, names, Folders(folder, row.name))
