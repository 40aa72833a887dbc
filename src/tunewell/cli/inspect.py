"""Commands that look at experiments, and the one that stops them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunewell.cli.labels import unknown_labels
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
from tunewell.display.fitting import Column, fitted
from tunewell.display.wording import JOB_SIGNS, SIGNS, conditions_text, parameters_text, searched
from tunewell.service.paging import every
from tunewell.service.types import ExperimentSummary, Network, Range, Report, Task, Trial, TrialFilter
from tunewell.service.verbs import Verbs
from tunewell.spec.epochs import share_text
from tunewell.spec.errors import DataError, NotFoundError, count
from tunewell.spec.format import duration, moment, number, scalar
from tunewell.spec.names import ExperimentOrder
from tunewell.spec.states import ExperimentState, TrialState

#: Experiments that `list` lists, and trials that `show` does.
_LISTED_EXPERIMENTS, _LISTED = 100, 50
#: Of a name, of a metric, and of projects and tags, in a list on a narrow terminal.
_LEAST_NAME, _MOST_OF_A_METRIC, _MOST_OF_A_LABEL = 24, 18, 24
#: Reports of a trial that `show` lists, and the time between two looks of `logs --follow`.
_REPORTS, _FOLLOW_SECONDS = 20, 0.5
#: Of the parameters, in a list on a narrow terminal.
_LEAST_ROOM = 20

TrialArgument = Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial.")]


class Format(StrEnum):
    """File formats of `export`."""

    CSV = "csv"
    JSON = "json"


def list_(
    state: Annotated[
        list[ExperimentState] | None, typer.Option("--state", help="Only those in this state; repeat it for more.")
    ] = None,
    search: Annotated[str, typer.Option("--search", help="Only those with this in their names.")] = "",
    owner: Annotated[str | None, typer.Option("--owner", help="Only those of this user.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Only those of this project.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="Only those with this tag; several: with them all.")
    ] = None,
    in_bin: Annotated[bool, typer.Option("--bin", help="Those in the bin.")] = False,
    sort: Annotated[
        ExperimentOrder, typer.Option("--sort", help="Order of the list; with a - the other way round.")
    ] = "-created",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="List so many; default: 100, all with --json.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """List the experiments of a home."""
    chosen = dict[str, Any](search=search, owner=owner, project=project, tags=tags or (), deleted=in_bin)
    most = _most(limit if limit or json_ else _LISTED_EXPERIMENTS)
    with existing(home, database, server) as service:
        listed = every(lambda at: service.experiments(**chosen, states=state or None, sort=sort, cursor=at))
        known = list(islice(listed, most))
        more = next(listed, None) is not None
        are_in_bin = not known and not in_bin and bool(service.experiments(deleted=True, limit=1).items)
        unknown = [] if known or json_ else unknown_labels(service, project, tags or (), in_bin)
        if json_:
            print_json([one.to_json() for one in known])
            return
    console = terminal()
    if not known:
        first = "No experiments yet. Start one: tunewell search SPEC.yaml"
        if are_in_bin:
            first = "No experiments but those in the bin. Look there: tunewell list --bin"
        found_none = "There is none of these." if state or any(chosen.values()) else first
        console.print("\n".join(unknown) or found_none, soft_wrap=True, markup=False, highlight=False)
        return
    states = [_state_text(one) + _waiting_text(one) for one in known]
    failed = [str(one.trials.get(TrialState.FAILED, 0)) for one in known]
    bests = [number(one.best.value if one.best else None) for one in known]
    columns = [
        Column("experiment", [one.name for one in known], least=_LEAST_NAME, folds=True),
        Column("state", states, least=len(ExperimentState.COMPLETED), folds=True),
        Column("trials", [str(sum(one.trials.values())) for one in known], is_right=True, rank=1),
        Column("failed", failed, is_right=True, rank=3),
        Column("metric", [one.objective.metric for one in known], rank=2, most=_MOST_OF_A_METRIC),
        Column("best", bests, is_right=True),
        Column("time", [duration(one.elapsed_seconds) for one in known], is_right=True, rank=1),
        *_label_columns(known),
    ]
    console.print(fitted(columns, console.width))
    if more:
        more_than = f"There are more than {count(len(known), 'experiment')}"
        console.print(f"{more_than}: --limit {10 * len(known)} lists more of them, --search and --sort others.")


def _label_columns(known: Sequence[ExperimentSummary]) -> list[Column]:
    """Return columns of the projects and the tags, where there are any."""
    labels = {"project": [one.project for one in known], "tags": [", ".join(one.tags) for one in known]}
    return [
        Column(title, [Text(cell, style="dim") for cell in cells], rank=2, most=_MOST_OF_A_LABEL)
        for title, cells in labels.items()
        if any(cells)
    ]


def show(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Argument(metavar="[TRIAL]", help="Show this trial only.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
    after: Annotated[int, typer.Option("--after", help="List trials after this number.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="List so many trials; default: 50, all with --json.")
    ] = None,
) -> None:
    """Show an experiment with its trials, or one trial."""
    from tunewell.cli.summary import print_summary

    with existing(home, database, server) as service:
        if trial is not None:
            _show_trial(service, experiment, trial, json_)
            return
        result, known = service.result(experiment), service.experiment(experiment)
        behind = TrialFilter(within={"number": Range(low=after + 1)})
        if json_:
            exported = every(lambda cursor: service.export_trials(experiment, filter=behind, cursor=cursor))
            trials = [one.to_json() for one in islice(exported, _most(limit))]
            print_json({**result.to_json(), "running": known.running, "trial_list": trials})
            return
        listed = every(lambda cursor: service.trials(experiment, filter=behind, cursor=cursor))
        rows = list(islice(listed, _most(limit or _LISTED)))
        console = terminal()
        print_summary(service, result, console)
        if known.waits_for is not None and known.waits_for.code not in ("max_concurrency", "paused"):
            console.print(Text(f"Starts nothing more just now: {known.waits_for.detail}", style="dim"), soft_wrap=True)
        console.print()
        console.print(_trial_table(console.width, result.objective.metric, rows, searched(known)))
        last = rows[-1].number if rows else after
        if sum(result.trials.values()) > last:
            address = getattr(service, "server", "")
            there = f" --server {address}" if address else ""
            console.print(f"More: tunewell show {experiment} --after {last}{there}", style="dim")


def _most(limit: int | None) -> int | None:
    """Return a limit that iterators take."""
    return limit and min(limit, sys.maxsize)


def _state_text(one: ExperimentSummary) -> str:
    if one.state.final or one.state in (ExperimentState.PAUSED, ExperimentState.CREATED):
        return str(one.state)
    code = one.waits_for.code if one.waits_for is not None else ""
    if not one.running:
        return "waiting" if code == "no_cluster" else str(ExperimentState.PAUSED)
    return "pausing" if code == "paused" else str(one.state)


def _waiting_text(one: ExperimentSummary) -> str:
    """Return why nothing of an experiment runs, in a word; empty if something does, or the state says it.

    Of what runs on a cluster that is away, nobody knows whether it does.
    """
    code = one.waits_for.code if one.waits_for is not None else ""
    if code in ("", "paused", "no_controller") or (one.trials.get(TrialState.RUNNING) and code != "no_cluster"):
        return ""
    return f" ({code.replace('_', ' ')})"


def _trial_table(width: int, metric: str, rows: list[Trial], names: list[str]) -> Table:
    """Leave attempts, and why each was proposed, out where they don't fit: else values would be cut off."""
    states, attempts = [], [str(row.attempts) if row.attempts > 1 else "" for row in rows]
    times = [duration(row.latest_seconds) if row.end and row.attempts else "" for row in rows]
    for row in rows:
        sign, style = SIGNS[row.state]
        state = f"{sign} {row.cause}" if row.state is TrialState.FAILED else f"{sign} {row.state}"
        states.append(Text(state + (f" {row.epochs}/{row.planned_epochs}" if row.training else ""), style=style))
    columns = [
        Column("trial", [str(row.number) for row in rows], is_right=True),
        Column("state", states),
        Column(metric, [number(row.value) for row in rows], is_right=True),
        Column("time", times, is_right=True, rank=1),
        Column("attempt", attempts, is_right=True, rank=2),
        Column("why proposed", [row.origin for row in rows], rank=3),
        Column("parameters", [parameters_text(row.parameters, names) for row in rows], least=_LEAST_ROOM, folds=True),
    ]
    return fitted([one for one in columns if one.title != "attempt" or any(attempts)], width)


def _show_trial(service: Verbs, experiment: str, number_: int, json_: bool) -> None:
    row = service.trial(experiment, number_)
    if json_:
        (exported,) = service.export_trials(experiment, filter=TrialFilter(within={"number": (number_,)})).items
        print_json(exported.to_json())
        return
    console = terminal(soft_wrap=True)
    sign, style = SIGNS[row.state]
    console.print(
        Text(f"Trial {row.number} of {experiment}: ", style="bold") + Text(f"{sign} {row.state}", style=style)
    )
    facts: list[tuple[str, Any]] = [
        ("cause", f"{row.cause}: {row.detail}" if row.cause else row.detail),
        (
            service.experiment(experiment).objective.metric,
            number(row.value) if row.value is not None else "",
        ),
        ("why proposed", row.reason),
        ("lineage", " → ".join(map(str, row.lineage)) if len(row.lineage) > 1 else ""),
        ("trained", _trained(row)),
        ("started", moment(row.start.timestamp()) if row.start else ""),
        ("time", _time_text(row)),
        ("attempts", row.attempts),
        ("parameters", parameters_text(row.parameters)),
    ]
    for name, value in facts:
        if value not in ("", None):
            _print_beside(console, f"  {name:<13} ", str(value))
    for note in row.notes:
        if note not in row.detail:
            _print_beside(console, "  note          ", note)
    reports = _last_reports(service, experiment, number_)
    if reports:
        console.print("  reports")
        for report in reports:
            # A name stays with its number where the line is broken.
            values = {name: number(_or_nan(value)) for name, value in report.metrics.items()}
            metrics = "  ".join(f"{name}\N{NO-BREAK SPACE}{value}" for name, value in values.items())
            _print_beside(console, f"    step {report.step:<6} ", metrics)
    if row.log is not None:
        address = getattr(service, "server", "")
        place = f"tunewell logs {experiment} {row.number} --server {address}" if address else row.log
        console.print(f"  log           {place}")


def _time_text(trial: Trial) -> str:
    """Return how long a trial took that has ended: its latest attempt, and all of them."""
    if trial.end is None or not trial.attempts:
        return ""
    latest, all_ = duration(trial.latest_seconds), duration(trial.cost_seconds)
    return latest if trial.attempts == 1 else f"{latest} for the latest attempt, {all_} for all"


def _trained(trial: Trial) -> str:
    """Return how much of its training a trial has had, and why no more; empty where nothing is to be said of it."""
    done = share_text(trial.epochs, trial.planned_epochs)
    usual = f"{trial.fidelity:.3g} of the full training" if trial.fidelity < 1 else ""
    return trial.training or (f"{done} epochs" if done else usual)


def _last_reports(service: Verbs, experiment: str, number_: int) -> tuple[Report, ...]:
    last: tuple[Report, ...] = ()
    while part := service.reports(experiment, number_, after=last[-1].step if last else None):
        last = (*last, *part)[-_REPORTS:]
    return last


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _print_beside(console: Console, name: str, text: str) -> None:
    """Print text behind its name; lines that the terminal is too narrow for go on below the text."""
    table = Table.grid()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(name, Text(text))
    console.print(table)


def logs(
    experiment: ExperimentArgument,
    trial: TrialArgument,
    attempt: Annotated[int | None, typer.Option("--attempt", help="Of this attempt; default: the latest.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the trial has ended.")] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Print the output of a trial."""
    with existing(home, database, server) as service:
        chosen = attempt if attempt is not None else service.trial(experiment, trial).attempts or None
        part = service.log(experiment, trial, attempt=chosen)
        if not part.exists and not follow:
            where = "" if server is not None else f" ({part.path})"
            raise NotFoundError(f"Trial {trial} of '{experiment}' has left no log{where}")
        if not part.data and not follow:
            print("The trial has printed nothing.", file=sys.stderr)
        while part.data or (follow and not part.ended):
            sys.stdout.buffer.write(part.data)
            sys.stdout.buffer.flush()
            if not part.data:
                time.sleep(_FOLLOW_SECONDS)
            part = service.log(experiment, trial, attempt=chosen, offset=part.next)


def stop(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Argument(metavar="[TRIAL]", help="Stop this trial only.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Stop a running experiment for good, or one of its trials. What was reached stays."""
    with existing(home, database, server, "write") as service:
        if trial is None:
            service.stop(experiment)
        else:
            service.stop_trial(experiment, trial)
    what = f"Trial {trial} of '{experiment}'" if trial else f"Experiment '{experiment}'"
    print(f"{what} is being stopped.")


def pause(
    experiment: ExperimentArgument,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Pause a running experiment; it goes on with resume.

    Trials that leave checkpoints end and go on from them later; the others run to their end.
    """
    with existing(home, database, server, "write") as service:
        service.pause(experiment)
    print(f"Experiment '{experiment}' is being paused. It goes on with: tunewell resume {experiment}")


def jobs(
    experiment: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="Of this one only.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """List jobs, newest first: evaluations, trainings, reports."""
    with existing(home, database, server) as service:
        page = service.jobs(experiment=experiment)
    if json_:
        print_json([job.model_dump(mode="json") for job in page.items])
        return
    if not page.items:
        print("There are no jobs.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("job", "kind", "experiment", "state", "time"):
        table.add_column(
            title,
            no_wrap=title != "experiment",
            overflow="fold",
            justify="right" if title in ("job", "time") else "left",
        )
    table.add_column("detail", overflow="fold")
    for job in page.items:
        sign, style = JOB_SIGNS[job.state]
        waits = job.waits_for.detail if job.waits_for is not None else ""
        table.add_row(
            str(job.id), job.kind, Text(job.experiment or ""), Text(f"{sign} {job.state}", style=style),
            duration(job.cost_seconds) if job.state.final else "", Text(job.detail or waits),
        )  # fmt: skip
    terminal().print(table)
    if page.next is not None:
        print("There are older ones, too.")


def export(
    experiment: ExperimentArgument,
    format_: Annotated[Format, typer.Option("--format", help="File format.")] = Format.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Export every trial as CSV or JSON."""
    with existing(home, database, server) as service:
        parts = service.export(experiment, format_.value)
        if output is None:
            for part in parts:
                sys.stdout.write(part)
            return
        try:
            with output.open("w", encoding="utf-8") as file:
                file.writelines(parts)
        except OSError as error:
            raise DataError(f"the file can't be written ({error.strerror})", field=str(output)) from None
        trials = sum(service.experiment(experiment).trials.values())
    print(f"{count(trials, 'trial')} written to {output}.")


def report(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT | NAME=NUMBER ...", help="Experiment; or, inside a trial, metrics to report."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File; default: in the experiment's folder; with a server: here."),
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
) -> None:
    """Write the HTML report of an experiment. Inside a trial: report metrics (accuracy=0.9 step=3)."""
    from tunewell.service.views import save_report

    with existing(home, database, server) as service:
        if output is None and server is None:
            print(service.write_report(experiment).path)
        else:
            default = Path(f"{experiment.replace('/', '-')}-report.html")
            print(save_report(service.report(experiment), output or default))


def tasks(
    name: Annotated[
        str | None, typer.Argument(metavar="[TASK | NETWORK]", help="A task, or one of its networks.")
    ] = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """List the tasks and networks, or a network's parameters."""
    if server is not None:
        from tunewell.client.client import Client

        with Client(server) as client:
            _print_tasks(name, client.tasks, client.network, json_)
    else:
        from tunewell.service.networks import find_network, list_tasks

        _print_tasks(name, list_tasks, find_network, json_)


def _print_tasks(
    name: str | None, list_: Callable[[], Iterable[Task]], find: Callable[[str], Network], json_: bool
) -> None:
    known = {task.name: task for task in list_()}
    console = terminal()
    if name is None or name in known:
        chosen = [known[name]] if name else list(known.values())
        if json_:
            print_json({task.name: dict(task.networks) for task in chosen})
            return
        for alike in _with_equal_networks(chosen):
            console.print(Text(", ".join(task.name for task in alike), style="bold"))
            table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
            for network, description in alike[0].networks.items():
                table.add_row(Text(network, style="cyan"), description)
            console.print(table)
            console.print(Padding(f"Where none is named: {alike[0].default_network}", (0, 0, 1, 2), expand=False))
        console.print("Parameters of a network: tunewell tasks NETWORK", style="dim")
        return
    found = find(name)
    if json_:
        parameters = {
            one.name: {"domain": one.domain, "default": one.default, "source": one.source} for one in found.parameters
        }
        facts = found.model_dump(mode="json", include={"tasks", "weights", "on_gpus"})
        print_json({**facts, "network": name, "parameters": parameters})
        return
    _print_network(found, console)


def _print_network(network: Network, console: Console) -> None:
    console.print(Text(f"{network.name} ", style="bold") + Text(f"({', '.join(network.tasks)})", style="dim"))
    console.print(network.description)
    if network.weights:
        console.print(f"Weights: {network.weights}")
    if network.on_gpus:
        console.print(f"On GPUs, as far as the estimated memory of a step allows: {network.on_gpus}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    sources = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("parameter", "default", "range", "only with"):
        table.add_column(column, overflow="fold")
    for column in ("parameter", "where default and range come from"):
        sources.add_column(column, overflow="fold")
    for one in network.parameters:
        domain = "fixed" if one.fixed else one.domain
        table.add_row(one.name, scalar(one.default), domain, conditions_text(one.when))
        sources.add_row(one.name, Text(one.source))
    console.print(table)
    console.print()
    console.print(sources)


def _with_equal_networks(tasks: list[Task]) -> list[list[Task]]:
    """Return the tasks in groups that have the same networks."""
    groups: list[list[Task]] = []
    for task in tasks:
        same = next((group for group in groups if group[0].networks == task.networks), None)
        if same is None:
            groups.append([task])
        else:
            same.append(task)
    return groups
