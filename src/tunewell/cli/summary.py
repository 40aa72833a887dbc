"""What a search brought, at the end of the command that ran it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunewell.display.lines import note_line
from tunewell.display.wording import agreement_text, best_text, counts_text, searched, test_text
from tunewell.service.finalists import rank_agreement
from tunewell.service.results import SearchResult
from tunewell.service.service import Service
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import count
from tunewell.spec.format import duration, number, scalar, shortened
from tunewell.spec.states import TrialState


def print_summary(service: Service, result: SearchResult, console: Console) -> None:
    """Print state, best values, the five best, where the model and the report lie, and what to do next."""
    console.print()
    console.print(_headline(result), soft_wrap=True)
    for note in result.notes:
        console.print(Text(note_line(note), style="dim"), soft_wrap=True)
    if result.top:
        console.print(_best_table(service, result, console.width))
    if tested := test_text(result):
        console.print(Text(tested), soft_wrap=True)
    _print_finalists(result, console)
    _print_places(service, result, console)
    _print_failures(service, result, console)
    _print_next(service, result, console)


def _headline(result: SearchResult) -> Text:
    style = "bold green" if result.best else "bold red"
    text = Text(f"{result.experiment}: ", style="bold")
    text.append(best_text(result) if result.best else "no trial has a result", style=style)
    facts = f"{counts_text(result).capitalize()}; {duration(result.elapsed_seconds)}."
    text.append("\n" + " ".join(part for part in (result.detail, facts) if part))
    return text


def _best_table(service: Service, result: SearchResult, width: int) -> Table:
    names = searched(parse_space(service.experiment(result.experiment).space))
    shown = names[: max(1, (width - 32) // 16)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=None)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column(result.objective.metric, justify="right", no_wrap=True)
    parts = any(trial.fidelity < 1 for trial in result.top)
    if parts:
        table.add_column("trained", justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name, no_wrap=True)
    if len(shown) < len(names):
        table.add_column(f"+{len(names) - len(shown)} more", style="dim", no_wrap=True)
    for trial in result.top:
        cells = [scalar(trial.parameters[name]) if name in trial.parameters else "" for name in shown]
        part = [f"{trial.fidelity:.0%}"] if parts else []
        table.add_row(str(trial.number), number(trial.value), *part, *cells)
    return table


def _print_finalists(result: SearchResult, console: Console) -> None:
    if not result.finalists:
        return
    console.print(Text("\nTrained on all data:"))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", title=None)
    for column in ("trial", "on the sample", "on all data"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in result.finalists:
        full = number(one.value) if one.value is not None else "failed"
        table.add_row(str(one.number), number(one.sample_value), full)
    console.print(table)
    console.print(Text(agreement_text(rank_agreement(result.finalists)), style="dim"), soft_wrap=True)


def _print_places(service: Service, result: SearchResult, console: Console) -> None:
    model = service.best_model(result.experiment)
    if model is not None:
        _place(console, "Best model", str(model))
    retrained = service.retrained_model(result.experiment)
    if retrained is not None:
        _place(console, "Trained on all data", str(retrained))
    report = service.home.experiment(result.experiment) / "report.html"
    if report.exists():
        _place(console, "Report", str(report))


def _place(console: Console, what: str, path: str) -> None:
    console.print(f"{what}:", Text(path, style="cyan"), soft_wrap=True)


def _print_failures(service: Service, result: SearchResult, console: Console) -> None:
    failed = result.counts.get(TrialState.FAILED, 0)
    if not failed:
        return
    name = result.experiment
    example = service.store.trials(name, states=(TrialState.FAILED,), limit=1)[0]
    text = Text(f"{count(failed, 'trial')} failed, such as trial {example.number} ({example.cause}): ", style="red")
    text.append(shortened(example.detail, 200), style="")
    console.print(text, soft_wrap=True)
    hint = f"See: tunewell logs {name} {example.number}   Again, once fixed: tunewell retry {name}"
    console.print(Text(hint, style="dim"), soft_wrap=True)


def _print_next(service: Service, result: SearchResult, console: Console) -> None:
    name = result.experiment
    if service.is_running(name):
        hint = f"It is running. Stop it: tunewell stop {name}"
    elif not result.state.final:
        hint = "Go on: the same command."
    elif result.best is None or service.experiment(name).spec.get("function"):
        hint = ""
    elif service.retrained_model(name) is not None:
        hint = f"Next: tunewell predict {name} PICTURES   To hand it over: tunewell export-model {name} -o FOLDER"
    else:
        again = "" if service.experiment(name).spec.get("task") else " (runs the command once more, on all data)"
        hint = f"Next: tunewell retrain {name}{again}"
    if hint:
        console.print(Text(hint, style="dim"), soft_wrap=True)
