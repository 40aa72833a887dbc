"""What a search has brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tunewell.service.types.base import JsonObject, Wire
from tunewell.service.types.experiments import Experiment, Objective
from tunewell.service.types.trials import Trial, TrialResult
from tunewell.spec.states import ExperimentState, TrialState


class Finalist(Wire):
    """One of the best trials of a search on a sample, trained on all data."""

    #: Number of the trial.
    number: int
    #: Its objective on the sample, and on all data; None if that training failed.
    sample_value: float
    value: float | None
    #: Where what the training left lies; None if it failed.
    folder: str | None = None
    #: Why it failed.
    detail: str = ""


class SearchResult(Wire):
    """What a search has brought so far: what `--json` prints."""

    experiment: str
    state: ExperimentState
    stop_rule: str | None
    detail: str
    objective: Objective
    best: TrialResult | None
    #: The trial that trained the default configuration in full, if it has a value.
    default: TrialResult | None
    #: The best trials, best first; at most five.
    top: tuple[TrialResult, ...]
    #: How many trials are in each state.
    trials: Mapping[TrialState, int]
    elapsed_seconds: float
    notes: tuple[str, ...]
    #: Trial number → objective on the test data, of the best trials and the default one, where it was measured.
    test: Mapping[int, float] = Field(default_factory=dict)
    #: The best trials of a search on a sample, trained on all data, best first.
    finalists: tuple[Finalist, ...] = ()
    #: Rank correlation of the finalists' values on the sample and on all data; None for fewer than three.
    rank_agreement: float | None = None

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the default configuration (never negative by goal)."""
        if self.best is None or self.default is None:
            return None
        difference = self.best.value - self.default.value
        return difference if self.objective.goal == "maximize" else -difference


class Evaluation(Wire):
    """The detailed evaluation of one trial."""

    number: int
    #: Figures of each split, and what charts are drawn from; they depend on the task.
    figures: JsonObject


#: `best`: the best trial's; `retrained`: trained on all data afterwards.
ModelKind = Literal["best", "retrained"]


class Model(Wire):
    """A trained model of an experiment."""

    experiment: str
    #: `best`: the best trial's; `retrained`: trained on all data afterwards.
    kind: ModelKind
    #: Where it lies.
    folder: str


class Latest(Wire):
    """The objective of a running trial so far."""

    step: int
    value: float


class Snapshot(Wire):
    """A search at one moment, small enough to be read several times a second."""

    experiment: Experiment
    result: SearchResult
    #: Running and waiting trials by number, 100 at most.
    unfinished: tuple[Trial, ...]
    #: The trials that ended last, the latest first.
    ended: tuple[Trial, ...]
    #: Number of a running trial → its objective so far.
    latest: Mapping[int, Latest]

    @property
    def ended_count(self) -> int:
        """How many trials have ended."""
        return sum(count for state, count in self.result.trials.items() if state.final)

    @property
    def remaining_seconds(self) -> float | None:
        """Estimate of the time to the last trial from the pace so far; None before a trial has ended."""
        if not self.ended_count or self.result.state.final:
            return None
        # A running trial is half done, on average.
        done = self.ended_count + 0.5 * self.result.trials.get(TrialState.RUNNING, 0)
        return self.result.elapsed_seconds / done * (self.experiment.max_trials - done)


class Chart(Wire):
    """A chart of an experiment."""

    title: str
    #: What it shows and how to read it. Without a figure: why there is none.
    caption: str
    #: A Plotly figure: `data` and `layout`.
    figure: JsonObject | None
