"""Commands that look at experiments, and the one that stops them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    ExperimentArgument,
    HomeOption,
    JsonOption,
    existing,
    print_json,
    terminal,
)
from tunewell.cli.summary import print_summary
from tunewell.display.wording import SIGNS, conditions_text, parameters_text, searched
from tunewell.service.export import to_csv
from tunewell.service.service import Service
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import DataError, NotFoundError, count, nearest
from tunewell.spec.format import duration, moment, number, scalar
from tunewell.spec.space import NO_DEFAULT, Parameter, Value, describe_domain
from tunewell.spec.states import TrialState
from tunewell.store.rows import TrialRow
from tunewell.tasks.catalogue import TASKS, task_for

#: Trials that `show` lists.
_LISTED = 50
#: Columns of a terminal below which the list of trials leaves out attempts, and why each was proposed.
_NARROW = 80

TrialArgument = Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial.")]


class Format(StrEnum):
    """File formats of `export`."""

    CSV = "csv"
    JSON = "json"


def list_(home: HomeOption = HOME, database: DatabaseOption = None, json_: JsonOption = False) -> None:
    """List the experiments of a home, the newest first."""
    with existing(home, database) as service:
        results = [service.result(row.name) for row in service.experiments()]
        running = {result.experiment: service.is_running(result.experiment) for result in results}
    if json_:
        print_json([{**result.to_json(), "running": running[result.experiment]} for result in results])
        return
    console = terminal()
    if not results:
        console.print("No experiments yet. Start one: tunewell search SPEC.yaml")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("experiment", "state", "trials", "failed", "metric", "best", "time"):
        table.add_column(column, justify="right" if column in ("trials", "failed", "best", "time") else "left")
    for result in results:
        state = str(result.state)
        if not result.state.final and not running[result.experiment]:
            state = "interrupted"
        table.add_row(
            result.experiment,
            state,
            str(sum(result.counts.values())),
            str(result.counts.get(TrialState.FAILED, 0)),
            result.objective.metric,
            number(result.best.value if result.best else None),
            duration(result.elapsed_seconds),
        )
    console.print(table)


def show(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Argument(metavar="[TRIAL]", help="Show this trial only.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    json_: JsonOption = False,
    after: Annotated[int, typer.Option("--after", help="List trials behind this number.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="List so many trials; default: 50, all with --json.")
    ] = None,
) -> None:
    """Show an experiment with its trials, or one trial."""
    with existing(home, database) as service:
        if trial is not None:
            _show_trial(service, experiment, trial, json_)
            return
        result = service.result(experiment)
        if json_:
            trials = service.export_trials(experiment, after, limit)
            print_json({**result.to_json(), "running": service.is_running(experiment), "trial_list": trials})
            return
        rows = service.store.trials(experiment, after=after, limit=limit or _LISTED)
        console = terminal()
        print_summary(service, result, console)
        console.print()
        names = searched(parse_space(service.experiment(experiment).space))
        console.print(_trial_table(result.objective.metric, rows, names, narrow=console.width < _NARROW))
        last = rows[-1].number if rows else after
        if sum(result.counts.values()) > last:
            console.print(f"More: tunewell show {experiment} --after {last}", style="dim")


def _trial_table(metric: str, rows: list[TrialRow], names: list[str], *, narrow: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("trial", "state", metric, "time", *(() if narrow else ("why proposed",))):
        table.add_column(column, justify="right" if column in ("trial", metric, "time") else "left", no_wrap=True)
    table.add_column("parameters", min_width=16 if narrow else 26, overflow="fold")
    for row in rows:
        sign, style = SIGNS[row.state]
        state = f"{sign} {row.cause}" if row.state is TrialState.FAILED else f"{sign} {row.state}"
        if row.attempt > 1 and not narrow:
            state += f" (attempt {row.attempt})"
        table.add_row(
            str(row.number),
            Text(state, style=style),
            number(row.value),
            duration(row.cost_seconds) if row.ended_at else "",
            *(() if narrow else (row.origin,)),
            parameters_text(row.parameters, names),
        )
    return table


def _show_trial(service: Service, experiment: str, number_: int, json_: bool) -> None:
    row = service.trial(experiment, number_)
    reports = service.store.reports(experiment, number_)
    lineage = service.lineage(experiment, number_)
    if json_:
        print_json(*service.export_trials(experiment, number_ - 1, 1))
        return
    console = terminal(soft_wrap=True)
    sign, style = SIGNS[row.state]
    console.print(
        Text(f"Trial {row.number} of {experiment}: ", style="bold") + Text(f"{sign} {row.state}", style=style)
    )
    facts: list[tuple[str, Any]] = [
        ("cause", f"{row.cause}: {row.detail}" if row.cause else row.detail),
        (
            service.experiment(experiment).spec["objective"]["metric"],
            number(row.value) if row.value is not None else "",
        ),
        ("why proposed", row.origin),
        ("lineage", " → ".join(str(part.number) for part in lineage) if len(lineage) > 1 else ""),
        ("trained", f"{row.fidelity:.3g} of the full training" if row.fidelity < 1 else ""),
        ("started", moment(row.started_at) if row.started_at else ""),
        ("time", duration(row.cost_seconds) if row.ended_at else ""),
        ("attempts", row.attempt),
        ("parameters", parameters_text(row.parameters)),
    ]
    for name, value in facts:
        if value not in ("", None):
            _print_beside(console, f"  {name:<13} ", str(value))
    for note in row.notes:
        if note not in row.detail:
            _print_beside(console, "  note          ", note)
    if reports:
        console.print("  reports")
        for report in reports[-20:]:
            # A name stays with its number where the line is broken.
            metrics = "  ".join(f"{name}\N{NO-BREAK SPACE}{number(value)}" for name, value in report.metrics.items())
            _print_beside(console, f"    step {report.step:<6} ", metrics)
    if row.attempt and service.log_file(experiment, number_).exists():
        console.print(f"  log           {service.log_file(experiment, number_)}")


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
) -> None:
    """Print the output of a trial."""
    with existing(home, database) as service:
        path = service.log_file(experiment, trial, attempt)
        if not path.exists() and not follow:
            raise NotFoundError(f"Trial {trial} of '{experiment}' has left no log ({path})")
        position = _copy_log(path, 0)
        if position == 0 and not follow:
            print("The trial has printed nothing.", file=sys.stderr)
        while follow:
            ended = service.trial(experiment, trial).state.final
            position = _copy_log(path, position)
            if ended:
                return
            time.sleep(0.5)


def _copy_log(path: Path, position: int) -> int:
    try:
        with path.open("rb") as file:
            file.seek(position)
            while chunk := file.read(1 << 16):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return file.tell()
    except FileNotFoundError:
        return position


def stop(
    experiment: ExperimentArgument,
    trial: Annotated[int | None, typer.Argument(metavar="[TRIAL]", help="Stop this trial only.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
) -> None:
    """Stop a running experiment for good, or one of its trials. What was reached stays."""
    with existing(home, database, "write") as service:
        service.stop(experiment, trial)
    what = f"Trial {trial} of '{experiment}'" if trial else f"Experiment '{experiment}'"
    print(f"{what} is being stopped.")


def export(
    experiment: ExperimentArgument,
    format_: Annotated[Format, typer.Option("--format", help="File format.")] = Format.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
) -> None:
    """Export every trial as CSV or JSON."""
    with existing(home, database) as service:
        exported = service.export(experiment)
    if format_ is Format.JSON and output is None:
        print_json(exported)
        return
    import json

    text = to_csv(exported) if format_ is Format.CSV else json.dumps(exported, indent=2, allow_nan=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"the file can't be written ({error.strerror})", field=str(output)) from None
    print(f"{count(len(exported['trials']), 'trial')} written to {output}.")


def report(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT | NAME=NUMBER ...", help="Experiment; or, inside a trial, metrics to report."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; default: in the experiment's folder.")
    ] = None,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
) -> None:
    """Write the HTML report of an experiment. Inside a trial: report metrics (accuracy=0.9 step=3)."""
    with existing(home, database) as service:
        print(service.report(experiment, output))


def tasks(
    name: Annotated[
        str | None, typer.Argument(metavar="[TASK | NETWORK]", help="A task, or one of its networks.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """List the tasks and networks, or a network's parameters."""
    catalogue = {task: dict(task_for({"task": task}).networks) for task in TASKS}  # type: ignore[attr-defined]
    console = terminal()
    networks: dict[str, Any] = {}
    for task, of_task in catalogue.items():
        for network, entry in of_task.items():
            networks.setdefault(network, ([], entry))[0].append(task)
    if name is None or name in catalogue:
        chosen = [name] if name else list(catalogue)
        if json_:
            print_json({task: {n: e.description for n, e in catalogue[task].items()} for task in chosen})
            return
        for alike in _with_equal_networks(chosen, catalogue):
            console.print(Text(", ".join(alike), style="bold"))
            table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
            for network, entry in catalogue[alike[0]].items():
                table.add_row(Text(network, style="cyan"), entry.description)
            console.print(table)
            default = task_for({"task": alike[0]}).default_network  # type: ignore[attr-defined]
            console.print(Padding(f"Where none is named: {default}", (0, 0, 1, 2)))
        console.print("Parameters of a network: tunewell tasks NETWORK", style="dim")
        return
    if name not in networks:
        raise NotFoundError(f"There is no task or network '{name}'", remedy=nearest(name, [*catalogue, *networks]))
    of_tasks, entry = networks[name]
    if json_:
        parameters = {
            p.name: {"domain": describe_domain(p), "default": _default(p), "source": entry.sources.get(p.name, "")}
            for p in entry.space
        }
        print_json(
            {
                "tasks": of_tasks,
                "network": name,
                "weights": entry.weights,
                "on_gpus": entry.on_gpus,
                "parameters": parameters,
            }
        )
        return
    console.print(Text(f"{name} ", style="bold") + Text(f"({', '.join(of_tasks)})", style="dim"))
    console.print(entry.description)
    if entry.weights:
        console.print(f"Weights: {entry.weights}")
    if entry.on_gpus:
        console.print(f"On GPUs, as far as the estimated memory of a step allows: {entry.on_gpus}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    sources = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("parameter", "default", "range", "only with"):
        table.add_column(column, overflow="fold")
    for column in ("parameter", "where default and range come from"):
        sources.add_column(column, overflow="fold")
    for parameter in entry.space:
        domain = "fixed" if parameter.size == 1 else describe_domain(parameter)
        table.add_row(parameter.name, scalar(_default(parameter)), domain, conditions_text(parameter))
        sources.add_row(parameter.name, Text(entry.sources.get(parameter.name, "")))
    console.print(table)
    console.print()
    console.print(sources)


def _default(parameter: Parameter) -> Value:
    """Return the default of a network's parameter: a constant is its own."""
    return parameter.from_unit(0.5) if parameter.default is NO_DEFAULT else parameter.default


def _with_equal_networks(tasks: list[str], catalogue: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the tasks in groups that have the same networks."""
    groups: list[list[str]] = []
    for task in tasks:
        same = next((group for group in groups if catalogue[group[0]] == catalogue[task]), None)
        if same is None:
            groups.append([task])
        else:
            same.append(task)
    return groups
