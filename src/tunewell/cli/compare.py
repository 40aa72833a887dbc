"""The command that shows searches side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tunewell.cli.options import (
    HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    ServerOption,
    existing,
    print_json,
    terminal,
)
from tunewell.display.wording import field_text
from tunewell.service.comparing_searches import LETTERS
from tunewell.service.types import ComparedExperiment, ComparedField, ExperimentComparison
from tunewell.spec.format import NOTHING, duration, number, percent, signed

#: What is said of each search → how.
_FACTS: dict[str, Callable[[ComparedExperiment], str]] = {
    "state": lambda one: str(one.experiment.state),
    "optimises": lambda one: f"{one.experiment.objective.metric} ({one.experiment.objective.goal})",
    "best": lambda one: _best(one),
    "gain over the default": lambda one: NOTHING if one.experiment.gain is None else signed(one.experiment.gain),
    "trials": lambda one: ", ".join(f"{amount} {state}" for state, amount in one.experiment.trials.items() if amount),
    "time": lambda one: duration(one.experiment.elapsed_seconds),
    "CPU hours": lambda one: number(one.experiment.use.cpu_seconds / 3600, 3),
    "GPU hours": lambda one: number(one.experiment.use.gpu_seconds / 3600, 3),
    "algorithm": lambda one: one.experiment.algorithm,
    "ended by": lambda one: (one.experiment.stop_rule or "").replace("_", " "),
    "data": lambda one: one.data.name if one.data else "",
}


def compare(
    names: Annotated[list[str], typer.Argument(metavar="EXPERIMENT", help="Names of two to five experiments.")],
    all_: Annotated[bool, typer.Option("--all", help="Also fields and parameters that do not differ.")] = False,
    home: HomeOption = HOME,
    database: DatabaseOption = None,
    server: ServerOption = None,
    json_: JsonOption = False,
) -> None:
    """Show two to five searches side by side."""
    with existing(home, database, server) as service:
        found = service.compare(names)
    if json_:
        print_json(found.to_json())
        return
    console = terminal()
    for note in found.notes:  # first: what can't be compared is not to be read as if it could
        console.print(note, style="yellow", soft_wrap=True)
    if found.notes:
        console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    for letter, one in zip(LETTERS, found.experiments, strict=False):
        table.add_column(Text(f"{letter} {one.experiment.name}"), overflow="fold")
    for name, told in _FACTS.items():
        table.add_row(name, *(Text(told(one) or NOTHING) for one in found.experiments))
    for title, rows in _sections(found, all_):
        if rows:
            table.add_section()
            table.add_row("")
            table.add_row(Text(title, style="bold"))
            for name, values in rows:
                table.add_row(Text(name), *map(Text, values))
    console.print(table)


def _best(one: ComparedExperiment) -> str:
    value = number(one.experiment.best.value if one.experiment.best else None)
    return f"{value} ({one.best_training})" if one.best_training else value


def _sections(found: ExperimentComparison, all_: bool) -> Iterable[tuple[str, list[tuple[str, Sequence[str]]]]]:
    """Yield what else there is to be told, under its title."""

    def told(fields: Iterable[ComparedField]) -> list[tuple[str, Sequence[str]]]:
        shown = (one for one in fields if all_ or one.differs)
        return [(one.name, [field_text(one.name, value) for value in one.values]) for one in shown]

    which = "" if all_ else ", where they differ"
    yield f"Spec{which}", told(found.fields)
    yield f"Search space{which}", told(found.space)
    yield f"Best parameters{which}", told(found.best)
    shares = [{row.parameter: row.share for row in one.importances} for one in found.experiments]
    names = dict.fromkeys(name for of in shares for name in of)
    yield "Importance", [(name, [percent(of[name]) if name in of else NOTHING for of in shares]) for name in names]
