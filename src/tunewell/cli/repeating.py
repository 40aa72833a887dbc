"""The command that trains the best trials again with other seeds."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.status import Status
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    ServerOption,
    carried_out,
    existing,
    print_json,
    terminal,
)
from tunewell.cli.summary import home_text, print_repeats
from tunewell.service.paging import every
from tunewell.service.service import Service
from tunewell.spec.errors import ConflictError, JobFailed, count
from tunewell.spec.states import OPEN_JOB_STATES

if TYPE_CHECKING:
    from tunewell.cli.options import Place
    from tunewell.service.types import Job, JobKind, Page

#: What asks for the trainings, and the trainings.
_KINDS: tuple[JobKind, ...] = ("repeats", "repeat")


def repeat(
    experiment: ExperimentArgument,
    seeds: Annotated[int, typer.Option("--seeds", help="With how many other seeds, 1 to 100.")] = 3,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Train the five best trials again with other seeds.

    It shows how much of their values is luck. The report is written again.
    """
    with existing(home, database, server, "write") as service:
        console = terminal(stderr=json_)
        with console.status("Training …") as status:
            asked, answers = service.repeat_finalists(experiment, seeds), list[bool]()

            def leave() -> bool:
                answers.append(_leave(service, experiment, status))
                return answers[0]

            try:
                carried_out(service, asked, lambda line: status.update(Text(line)), leave)
                while unfinished := _unfinished(service, experiment):
                    for job in unfinished:
                        with suppress(JobFailed):  # what failed is told with the others
                            carried_out(service, job, lambda line: status.update(Text(line)), leave)
            except KeyboardInterrupt:
                goes_on = answers[0] if answers else leave()
                there = f" --server {server}" if server is not None else home_text(home)
                again = f"tunewell repeat {experiment} --seeds {seeds}{there}"
                console.print(_left(service, experiment, again, goes_on=goes_on), soft_wrap=True)
                raise
            service.write_report(experiment)
        result = service.result(experiment)
    if json_:
        print_json([one.to_json() for one in result.repeats])
        return
    print_repeats(result, console)
    for one in result.repeats:
        for seed, detail in one.failed.items():
            console.print(Text(f"Trial {one.number} failed with seed {seed}: {detail}", style="yellow"), soft_wrap=True)
    if not result.repeats:
        console.print("Nothing to train again: no trial has a result.")


def _unfinished(service: Place, experiment: str) -> list[Job]:
    """Return what is left to do, the trainings that are made next first."""
    found: list[Job] = []
    for kind in _KINDS:
        found += every(partial(_page, service, experiment, kind))
    return sorted(found, key=lambda job: job.id)


def _page(service: Place, experiment: str, kind: JobKind, cursor: str | None) -> Page[Job]:
    return service.jobs(experiment=experiment, kind=kind, states=tuple(OPEN_JOB_STATES), cursor=cursor)


def _leave(service: Place, experiment: str, status: Status) -> bool:
    """Ask whether interrupted trainings are to be made without this terminal.

    Where nobody can answer, those go on that another process makes, and the others end.
    """
    status.stop()
    if not sys.stdin.isatty():
        return not _makes_them(service)
    how = "Let {} go on without this terminal?"
    if _makes_them(service):
        how = "Keep {}? Those under way go on without this terminal, the others wait for `tunewell serve`."
    try:
        question = how.format(count(len(_unfinished(service, experiment)), "training"))
        return typer.confirm(question, default=True, err=True)
    except typer.Abort:  # a second interruption
        return False


def _left(service: Place, experiment: str, again: str, *, goes_on: bool) -> str:
    """Say what becomes of the trainings that are left; end them where they are not to go on."""
    unfinished = _unfinished(service, experiment)
    amount = count(len(unfinished), "training")
    if not goes_on:
        for job in reversed(unfinished):
            with suppress(ConflictError):  # it has just ended
                service.stop_job(job.id)
        return f"{amount} stopped. To make what is missing: {again}"
    if _makes_them(service):
        return f"{amount} left. `tunewell serve` goes on with them, and so does: {again}"
    return f"{amount} left, which go on without this terminal. To wait for them: {again}"


def _makes_them(service: Place) -> bool:
    """Whether this process makes the trainings, and no other one of a server or of the home."""
    return isinstance(service, Service) and not service.readiness().controller
