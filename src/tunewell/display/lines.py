"""A search as plain lines: for files, pipes, notebooks and logs."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TextIO

from tunewell.display.wording import (
    best_text,
    counts_text,
    failures_text,
    parameters_text,
    searched,
    subject_text,
)
from tunewell.service.runs import Situation
from tunewell.service.types import Overview, Trial
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import DataError, count
from tunewell.spec.format import duration, number
from tunewell.spec.states import ExperimentState, TrialState

#: Least time between two looks; a look prints a line for each trial that has ended since the last one, …
UPDATE_SECONDS = 0.5
#: … or one line for all of them, if there are more than this.
MOST_LINES = 10
#: Said after an outage of the database.
REACHED_AGAIN = "The database is reached again."


class ProgressLines:
    """Prints what happens in one experiment: its notes, then a line a trial."""

    def __init__(self, service: Verbs, name: str, stream: TextIO | None = None) -> None:
        """Print what happens from now on in experiment `name` (default: on standard output)."""
        self._service = service
        self._name = name
        self._stream = stream
        self._last = 0.0
        self._problem = self._doing = ""
        self._absent = False
        self._told: set[str] = set()
        self._told_of_trials = False
        #: Place of the latest end that was told, among all ends on record.
        self._place = max(service.overview(name, recent=1).ended_places, default=0)

    def update(self, run: Situation) -> None:
        """Print what is new, if the last look is long enough ago. For `Service.run(on_step=…)`."""
        now = time.monotonic()
        if run.problem != self._problem:
            if self._absent and not run.absent:
                self._print(REACHED_AGAIN)
            self._problem, self._absent = run.problem, run.absent
            if self._problem:
                self._print(f"waiting: {self._problem}")
        doing = run.doing.partition(":")[0].removesuffix(" …")
        if now - self._last >= UPDATE_SECONDS or doing != self._doing:
            self._last = now
            with suppress(DataError):  # what can't be read now is read later
                self._look()
        if doing != self._doing:
            self._doing = doing
            if doing:
                self._print(f"{doing} …")

    def tell(self, sentence: str) -> None:
        """Print a sentence. For `Service.run(tell=…)`."""
        self._print(sentence)

    def close(self) -> None:
        """Print what is new, if that can be read."""
        with suppress(DataError):
            self._look()

    def conclude(self) -> None:
        """Print what is new, and how the search ended."""
        self._look()
        result = self._service.result(self._name)
        self._print(f"{result.state}: {result.detail} {_capital(best_text(result))}. {_capital(counts_text(result))}.")
        if result.failures and (result.best is None or result.state is ExperimentState.FAILED):
            self._print(failures_text(result))
        for advice in result.advice:
            self._print(f"Advice: {advice.detail}")

    def _look(self) -> None:
        overview = self._service.overview(self._name, recent=MOST_LINES + 1)
        self._tell_notes(overview)
        ended = zip(overview.ended_places, overview.ended, strict=True)
        new = [trial for place, trial in ended if place > self._place]
        self._place = max((self._place, *overview.ended_places))
        if len(new) > MOST_LINES:
            self._print(
                f"{overview.ended_count}/{overview.experiment.max_trials} trials ended, {best_text(overview.result)}, "
                f"{duration(overview.result.elapsed_seconds)}"
            )
            return
        for trial in reversed(new):
            self._print(trial_line(overview, trial))

    def _tell_notes(self, overview: Overview) -> None:
        """Print what is to be known of the search, and the first that is to be known of one of its trials."""
        notes = overview.experiment.notes
        of_trials = () if self._told_of_trials else overview.result.notes[len(notes) :]
        self._told_of_trials |= bool(of_trials)
        for note in (*notes, *of_trials):
            if note not in self._told:
                self._told.add(note)
                self._print(note_line(note))

    def _print(self, text: str) -> None:
        # Whoever read the lines may be gone: no reason to end a search.
        with suppress(BrokenPipeError):
            print(text, file=self._stream or sys.stdout, flush=True)


def note_line(note: str) -> str:
    """Return one line about what is to be known of the whole search."""
    return f"Note: {note}"


def trial_line(overview: Overview, trial: Trial) -> str:
    """Return one line about a trial that has ended."""
    what = f"{overview.result.objective.metric} {number(trial.value)}" if trial.value is not None else ""
    if trial.state is TrialState.FAILED:
        what = f"({trial.cause}) {trial.detail}".strip()
    parts = [
        f"trial {trial.number}/{overview.experiment.max_trials} {trial.state}",
        what,
        f"({trial.training})" if trial.training else "",
        f"in {duration(trial.latest_seconds)}" if trial.attempts else "",
        f"(attempt {trial.attempts})" if trial.attempts > 1 else "",
        parameters_text(trial.parameters, searched(overview.experiment)),
    ]
    return "  ".join(part for part in parts if part)


def started_line(overview: Overview) -> str:
    """Return one line about what begins."""
    experiment, objective = overview.experiment, overview.experiment.objective
    return (
        f"{experiment.name}: {subject_text(experiment, '{task} ({network})')}; "
        f"{objective.goal} {objective.metric}, {experiment.algorithm} search, "
        f"{count(experiment.max_trials, 'trial')}"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
