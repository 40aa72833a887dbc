"""The live table of a search in a terminal."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunewell.display.fitting import Column, fitted, parameter_columns
from tunewell.display.lines import note_line
from tunewell.display.wording import SIGNS, arrow, best_text, counts_text, searched, subject_text
from tunewell.service.runs import Situation
from tunewell.service.types import Overview, Trial
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import DataError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.format import duration, number
from tunewell.spec.quantities import format_duration
from tunewell.spec.states import TrialState

#: How often the table is made again.
UPDATE_SECONDS = 0.25
#: Lines that the table's surroundings take.
_SURROUNDINGS = 10
#: Longest duration of a search where the user gives none, as specs on record have it.
_USUAL_DURATION = format_duration(ExperimentSpec.model_fields["max_duration"].default)
#: What is left of the state of a trial where there is no room for it: its sign.
_LEAST_STATE = 3
CALM = Situation(problem="", interrupted=False)


class LiveTable:
    """Shows one experiment until it is closed. Use as a context manager and call `update` often."""

    def __init__(self, service: Verbs, name: str, console: Console) -> None:
        """Show experiment `name` on `console`."""
        self._service = service
        self._name = name
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last = 0.0
        self._told: set[str] = set()
        #: How it stood when it could be read last.
        self._overview: Overview | None = None

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, run: Situation) -> None:
        """Show the present state, if the last update is long enough ago. For `Service.run(on_step=…)`."""
        now = time.monotonic()
        if now - self._last < UPDATE_SECONDS:
            return
        self._last = now
        rows = max(3, self._console.height - _SURROUNDINGS)
        try:
            overview = self._overview = self._service.overview(self._name, rows)
        except DataError as error:
            if self._overview is None:
                raise
            overview, run = self._overview, replace(run, problem=str(error))
        for note in overview.experiment.notes:
            if note not in self._told:
                self._told.add(note)
                self._console.print(Text(note_line(note), style="dim"), soft_wrap=True)
        self._live.update(render(overview, self._console.width, rows, run), refresh=True)


def render(overview: Overview, width: int, rows: int, run: Situation = CALM) -> RenderableType:
    """Return the whole view of a search, at most `rows` trials, for a terminal `width` characters wide.

    Before its first trial that is only what is being prepared.
    """
    if not overview.experiment.state.final and not overview.ended and not overview.unfinished:
        return Group(Text(run.doing or "Preparing …", no_wrap=True, overflow="ellipsis"), *_situation(run))
    parts: list[RenderableType] = [_title(overview), _progress(overview, width), Text(), _trials(overview, width, rows)]
    failure = next((trial for trial in overview.ended if trial.state is TrialState.FAILED), None)
    if failure is not None:
        why = f"trial {failure.number} failed ({failure.cause}): {failure.detail}"
        parts.append(Text(why, style="red", no_wrap=True, overflow="ellipsis"))
    if run.doing:
        parts.append(Text(run.doing, no_wrap=True, overflow="ellipsis"))
    return Group(*parts, *_situation(run))


def _situation(run: Situation) -> list[Text]:
    parts = [Text(f"Waiting: {run.problem}", style="bold red")] if run.problem else []
    if run.interrupted:
        return [*parts, Text("Stopping what runs; Ctrl-C again kills it.", style="yellow")]
    return [*parts, Text(run.hint or "Ctrl-C stops in order; the same command goes on later.", style="dim")]


def _title(overview: Overview) -> Text:
    experiment = overview.experiment
    text = Text(experiment.name, style="bold", no_wrap=True, overflow="ellipsis")
    text.append(f"  {subject_text(experiment, '{task} · {network}')} · {experiment.algorithm}\n", style="dim")
    text.append(f"{arrow(experiment.objective)} ", style="default not bold")
    return text.append(best_text(overview.result), style="green not bold")


def _progress(overview: Overview, width: int) -> RenderableType:
    result, max_trials = overview.result, overview.experiment.max_trials
    max_duration = overview.experiment.spec["max_duration"]
    bar = ProgressBar(total=max_trials, completed=overview.ended_count, width=min(32, width // 4))
    text = f" {overview.ended_count}/{max_trials} trials · {duration(result.elapsed_seconds)}"
    if max_duration != _USUAL_DURATION:
        text += f" of {max_duration}"
    if overview.remaining_seconds is not None:
        text += f" · about {duration(overview.remaining_seconds)} left"
    grid = Table.grid(padding=0)
    grid.add_row(bar, Text(text, no_wrap=True, overflow="ellipsis"))
    return Group(grid, Text(counts_text(result), style="dim"))


def _trials(overview: Overview, width: int, rows: int) -> Table:
    unfinished = sorted(overview.unfinished, key=lambda trial: -trial.number)[: max(1, rows - 2)]
    trials = [*unfinished, *overview.ended][:rows]
    names, facts = searched(overview.experiment), [_row(overview, trial) for trial in trials]
    number_, state, value, step, time_ = zip(*facts, strict=True) if facts else ((),) * 5
    columns = [
        Column("trial", number_, is_right=True),
        Column("", state, least=_LEAST_STATE),
        Column(overview.result.objective.metric, value, is_right=True),
        Column("step", step, is_right=True, rank=1),
        Column("time", time_, is_right=True, rank=1),
        *parameter_columns([trial.parameters for trial in trials], names, width),
    ]
    return fitted(columns, width, len(names))


def _epoch_text(trial: Trial) -> str:
    """Return how many epochs a trial has done that has ended."""
    return "" if trial.epochs is None or trial.planned_epochs is None else f"{trial.epochs}/{trial.planned_epochs}"


def _row(overview: Overview, trial: Trial) -> tuple[Text, ...]:
    sign, style = SIGNS[trial.state]
    latest = overview.latest.get(trial.number)
    step, value = (latest.step, latest.value) if latest else (None, trial.value)
    planned = trial.planned_epochs
    best = overview.result.best
    emphasis = "bold green" if best and best.number == trial.number else ""
    what = f"{sign} {trial.cause}" if trial.cause and trial.state is TrialState.FAILED else f"{sign} {trial.state}"
    spent = trial.latest_seconds
    if trial.state is TrialState.RUNNING and trial.start is not None:
        spent = max(0.0, (datetime.now(UTC) - trial.start).total_seconds())
    return (
        Text(str(trial.number)),
        Text(what, style=style),
        Text(number(value), style=emphasis),
        Text(_epoch_text(trial) if step is None else str(step) + (f"/{planned}" if planned else "")),
        Text("" if trial.state is TrialState.WAITING or not trial.attempts else duration(spent)),
    )
