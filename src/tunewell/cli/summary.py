"""What a search brought, at the end of the command that ran it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewell.display.fitting import Column, fitted, parameter_columns
from tunewell.display.lines import note_line
from tunewell.display.wording import (
    agreement_text,
    best_text,
    counts_text,
    failures_text,
    searched,
    standing_lines,
    test_text,
)
from tunewell.service.types import Experiment, SearchResult
from tunewell.service.verbs import Verbs
from tunewell.spec.epochs import share_text
from tunewell.spec.experiment import needs_its_program
from tunewell.spec.format import duration, number, shortened, within
from tunewell.spec.names import DEFAULT_HOME, IMPORTED
from tunewell.spec.standing import REPEATS_NOTE, rank_text, rest_text, spread_text
from tunewell.spec.states import CUTS_BY_DESIGN, Cause, Cut

#: Kind of model, and the report → what it is called.
_PLACES = {"best": "Best model", "retrained": "Trained on all data", "report": "Report"}
#: What a model of one's own command is called that was trained once more: nobody knows on which data.
_AGAIN = "Trained again"


def print_summary(service: Verbs, result: SearchResult, console: Console) -> None:
    """Print state, best values, the five best, where the model and the report lie, and what to do next."""
    experiment = service.experiment(result.experiment)
    models: dict[str, str] = {model.kind: model.folder for model in service.trained_models(result.experiment)}
    console.print()
    console.print(_headline(result), soft_wrap=True)
    for line in _labels(result):
        console.print(Text(line, style="dim"), soft_wrap=True)
    for note in result.notes:
        console.print(Text(note_line(note), style="dim"), soft_wrap=True)
    if result.top:
        console.print(_best_table(experiment, result, console.width))
        for trial in result.top:
            if trial.training and trial.cut_by not in CUTS_BY_DESIGN:
                console.print(Text(f"Trial {trial.number}: {trial.training}.", style="yellow"), soft_wrap=True)
        for sentence in standing_lines(result):
            console.print(Text(sentence, style="dim"), soft_wrap=True)
    if tested := test_text(result):
        console.print(Text(tested), soft_wrap=True)
    _print_finalists(result, console)
    print_repeats(result, console)
    address = getattr(service, "server", "")
    there = f" --server {address}" if address else ""
    _print_places(experiment, models, console, there)
    _print_failures(result, console, there)
    _print_advice(result, console, there)
    _print_next(service, experiment, result, "retrained" in models, console, there)


def _headline(result: SearchResult) -> Text:
    style = "bold green" if result.best else "bold red"
    text = Text(f"{result.experiment}: ", style="bold")
    text.append(best_text(result) if result.best else "no trial has a result", style=style)
    facts = f"{counts_text(result).capitalize()}; {duration(result.elapsed_seconds)}."
    text.append("\n" + " ".join(part for part in (result.detail, facts) if part))
    return text


def _labels(result: SearchResult) -> list[str]:
    """Return lines of what people say of an experiment."""
    tags = f"Tags: {', '.join(result.tags)}" if result.tags else ""
    project = f"Project: {result.project}" if result.project else ""
    return [line for line in (" · ".join(filter(None, (project, tags))), result.description) if line]


def _best_table(experiment: Experiment, result: SearchResult, width: int) -> Table:
    known, is_first = result.uncertainty, not result.finalists  # then the trials' own models stand here
    compared = known is not None and is_first and bool(known.compared)
    intervals = known.intervals if known is not None and is_first else {}
    top = result.top
    columns = [
        Column("trial", [str(trial.number) for trial in top], is_right=True),
        Column(
            result.objective.metric,
            [within(trial.value, intervals.get(trial.number)) for trial in top],
            is_right=True,
        ),
    ]
    if compared and known is not None:
        ranks = [rank_text(place, trial.number in known.ties) for place, trial in enumerate(top, start=1)]
        columns.insert(0, Column("rank", ranks))
    if any(trial.fidelity < 1 or trial.training for trial in top):
        counted = any(trial.planned_epochs is not None for trial in top)
        parts = [share_text(trial.epochs, trial.planned_epochs) or f"{trial.fidelity:.0%}" for trial in top]
        columns.append(Column("epochs" if counted else "trained", parts, is_right=True, rank=1))
    names = searched(experiment)
    return fitted([*columns, *parameter_columns([trial.parameters for trial in top], names, width)], width, len(names))


def _print_finalists(result: SearchResult, console: Console) -> None:
    if not result.finalists:
        return
    console.print(Text("\nTrained on all data:"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=None)
    for column in ("trial", "on the sample", "on all data"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", style="dim", no_wrap=True)
    known = result.uncertainty
    intervals = known.intervals if known is not None else {}
    for one in result.finalists:
        full = within(one.value, intervals.get(one.number)) if one.value is not None else "failed"
        tie = "tie with the first" if known is not None and one.number in known.ties else ""
        table.add_row(str(one.number), number(one.sample_value), full, tie)
    console.print(table)
    console.print(Text(agreement_text(result.rank_agreement), style="dim"), soft_wrap=True)


def print_repeats(result: SearchResult, console: Console) -> None:
    """Print what the best trials have reached with other seeds; nothing if they were not trained again."""
    if not result.repeats:
        return
    console.print(Text("\nTrained again with other seeds:"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=None)
    for column in ("rank", "trial", "mean", "seeds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", style="dim", no_wrap=True)
    for place, one in enumerate(result.repeats, start=1):
        spread = spread_text(one.mean, one.deviation)
        table.add_row(str(place), str(one.number), spread, str(len(one.values)), rest_text(one.failed, one.unfinished))
    console.print(table)
    console.print(Text(REPEATS_NOTE, style="dim"), soft_wrap=True)


def _print_places(experiment: Experiment, models: Mapping[str, str], console: Console, there: str) -> None:
    """Print where models and report lie; those of a server are had by commands."""
    if there:
        if experiment.report:
            console.print(f"Report: tunewell report {experiment.name}{there}", soft_wrap=True)
        return
    report = {"report": experiment.report.path} if experiment.report else {}
    for kind, path in {**models, **report}.items():
        is_own = kind == "retrained" and not experiment.spec.get("task")
        console.print(f"{_AGAIN if is_own else _PLACES[kind]}:", Text(path, style="cyan"), soft_wrap=True)


def _print_failures(result: SearchResult, console: Console, there: str) -> None:
    if not result.failures:
        return
    name, number_ = result.experiment, result.failures[0].number
    told, colon, detail = failures_text(result).partition(": ")
    console.print(Text(told + colon, style="red").append(shortened(detail, 200), style=""), soft_wrap=True)
    hint = f"See: tunewell logs {name} {number_}{there}   Again, once fixed: tunewell retry {name}{there}"
    if result.failures[0].cause is Cause.NO_METRIC:  # which a retry does not fix if the spec names the wrong one
        hint += f"   With another objective: tunewell search SPEC.yaml --new{there}"
    console.print(Text(hint, style="dim"), soft_wrap=True)


def _print_advice(result: SearchResult, console: Console, there: str) -> None:
    """Print what would have kept trials from being cut off, and how to go on with that where a search can."""
    for advice in result.advice:
        text = Text("Advice: ", style="bold yellow").append(advice.detail, style="default not bold")
        console.print(text, soft_wrap=True)
        if advice.field == "max_duration" and result.state.final:
            cut = next((trial.number for trial in result.top if trial.cut_by is Cut.MAX_DURATION), None)
            hint = f"Go on: tunewell set {result.experiment} --max-duration {advice.value}{there}"
            if cut is not None:
                hint += f"   Trial {cut} to its end: tunewell retry {result.experiment} {cut}{there}"
            console.print(Text(hint, style="dim"), soft_wrap=True)


def on_all_data(experiment: Experiment) -> str:
    """Return what is to be said of a training in full: nothing where there are no data that we know of."""
    return ", on all data" if experiment.spec["data"] or experiment.spec["sampling"] < 1 else ""


def again_text(service: Verbs, experiment: Experiment) -> str:
    """Return what goes on with a search that nothing runs: a home may have been served, restored or moved."""
    if getattr(service, "server", ""):
        return "whoever runs the service starts its controller"
    if needs_its_program(experiment.spec):
        return "run the program that calls tunewell.search again"
    home: Path = service.home.folder  # type: ignore[attr-defined]
    return f"tunewell resume {experiment.name}{home_text(home)}, or {serve_text(home)}"


def serve_text(home: Path) -> str:
    """Return the command that serves a home and runs what is on record there."""
    return f"tunewell serve{home_text(home)}"


def home_text(home: Path) -> str:
    """Return the option that names a home, as a shell takes it; empty for the one that commands take by themselves."""
    usual = Path(os.environ.get("TUNEWELL_HOME") or DEFAULT_HOME)
    return "" if home.absolute() == usual.absolute() else f" --home {shlex.quote(str(home))}"


def _print_next(
    service: Verbs, experiment: Experiment, result: SearchResult, retrained: bool, console: Console, there: str
) -> None:
    name = result.experiment
    waits = experiment.waits_for
    if waits is not None and waits.code == "paused":
        hint = f"{waits.detail} Go on: tunewell resume {name}{there}"
    elif waits is not None and waits.code == "no_cluster":
        hint = f"It goes on by itself once the cluster can be used. Stop it: tunewell stop {name}{there}"
    elif experiment.running:
        hint = f"It is running. Stop it: tunewell stop {name}{there}"
    elif not result.state.final:
        hint = f"Go on: {again_text(service, experiment)}."
    elif result.best is None:
        hint = ""
    elif result.command:
        hint = f"The best by hand: {shlex.join(result.command)}"
    elif not experiment.spec.get("task") or experiment.algorithm == IMPORTED:
        hint = ""
    elif retrained:
        hint = f"Next: tunewell predict {name} PICTURES{there}"
        hint += f"   To hand it over: tunewell export-model {name} -o FOLDER{there}"
    else:
        hint = f"Next: tunewell retrain {name}{there}"
    if hint:
        console.print(Text(hint, style="dim"), soft_wrap=True)
