"""What a report is made of: plain data, filled in from the store, and the figures that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunewell.reports.table import CAUSES, STATES, Floats, Goal, SearchView, TrialTable
from tunewell.spec.epochs import share_text, training_text
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.spec.states import Cause, Cut, ExperimentState, TrialState


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial, as its last attempt left it."""

    number: int
    state: TrialState
    #: Active parameters only.
    parameters: Configuration
    #: Why it was tried: `default`, `random`, `model`, …
    origin: str
    #: Why it failed, and one line about it; None and empty otherwise.
    cause: Cause | None = None
    detail: str = ""
    #: Sentences on what it reported and does not count, or counts in another way.
    notes: tuple[str, ...] = ()
    #: Share of the full training, in (0, 1].
    fidelity: float = 1.0
    #: Number of the trial whose checkpoint it went on from.
    resume_from: int | None = None
    #: The finite objective; None if there is none.
    value: float | None = None
    #: Step → objective, of those trials whose curves are drawn.
    curve: Mapping[int, float] = field(default_factory=dict)
    attempts: int = 1
    #: Seconds since the epoch.
    started_at: float | None = None
    ended_at: float | None = None
    #: For how many seconds the search had been running when it ended; None: that is not known.
    ended_after: float | None = None
    #: Wall time that all attempts took.
    cost_seconds: float = 0.0
    #: Epochs that its training has done, those of a full training, and what cut it off; None: that is not known.
    epochs: int | None = None
    planned_epochs: int | None = None
    cut_by: Cut | None = None

    @property
    def training(self) -> str:
        """How far its training came, and why no further; empty if all was done, or that is not known."""
        return training_text(self.epochs, self.planned_epochs, self.cut_by)

    @property
    def share(self) -> str:
        """How much of its training was done, in epochs where these are known."""
        return share_text(self.epochs, self.planned_epochs) or f"{self.fidelity:.0%}"


@dataclass(frozen=True, slots=True)
class FinalistView:
    """One of the best trials of a search on a sample, trained on all data."""

    number: int
    sample_value: float
    #: None if that training failed, which `detail` explains.
    value: float | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RepeatedView:
    """One of the best trials, trained again with other seeds."""

    number: int
    #: Mean and spread of what it reached, for people, and with how many seeds.
    text: str
    seeds: int
    #: What became of other trainings, for people.
    rest: str


@dataclass(frozen=True, slots=True)
class StandingView:
    """How far chance moves what the models of the best trials have reached."""

    #: Trial number → interval of 95 % of its objective on the validation data, and on the test data.
    intervals: Mapping[int, tuple[float, float]]
    test_intervals: Mapping[int, tuple[float, float]]
    #: The trials that can't be told apart from the one that ranks first.
    ties: tuple[int, ...]
    #: What the comparisons with the default and with the first say; empty: there were none.
    text: str


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """One experiment with all of its trials."""

    name: str
    #: The spec as JSON types, with its defaults, without the values of its environment.
    spec: Mapping[str, Any]
    space: SearchSpace
    metric: str
    goal: Goal
    #: Name of the algorithm for people, with the reason if it was chosen automatically.
    algorithm: str
    state: ExperimentState
    #: Version of Tunewell that writes the report.
    version: str
    #: All trials, by number.
    trials: tuple[TrialView, ...] = ()
    #: Numbers of the best trials, best first; at most five.
    top: tuple[int, ...] = ()
    #: Number of the trial of the default configuration.
    default_trial: int | None = None
    target: float | None = None
    #: Which rule ended it, and one sentence about the end; None and empty while it has not ended.
    stop_rule: str | None = None
    stop_detail: str = ""
    #: Whether a controller runs it at this moment.
    running: bool = False
    #: The command of the best trial, ready to be run by hand; empty if it is no command, or began from a checkpoint.
    best_command: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    #: What people group it by, find it by and say of it; empty: nothing.
    project: str = ""
    tags: tuple[str, ...] = ()
    description: str = ""
    #: Sentences on how much more time to give, where time limits have cut trials off.
    advice: tuple[str, ...] = ()
    #: The `max_duration` that is advised for a search that has ended; None: none is.
    more_time: str | None = None
    #: Seconds since the epoch.
    created_at: float | None = None
    #: Time that the search ran, pauses left out.
    elapsed_seconds: float = 0.0
    #: Trial number → detailed evaluation: split (`val`, `test`) → its measures, None without such a split.
    evaluations: Mapping[int, Mapping[str, Mapping[str, Any] | None]] = field(default_factory=dict)

    #: How far chance moves the values of the best trials.
    standing: StandingView = field(default_factory=lambda: StandingView({}, {}, (), ""))
    #: Best first.
    finalists: tuple[FinalistView, ...] = ()
    #: The best mean first.
    repeats: tuple[RepeatedView, ...] = ()
    #: Spearman's correlation of their values on the sample and on all data.
    rank_agreement: float | None = None

    def trial(self, number: int) -> TrialView:
        """Return the trial with this number; raises KeyError."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise KeyError(number)

    def lineage(self, number: int) -> list[int]:
        """Return the trials that went on from one another up to this one, the first one first."""
        numbers = [number]
        while (parent := self.trial(numbers[0]).resume_from) is not None:
            numbers.insert(0, parent)
        return numbers

    @property
    def best(self) -> TrialView | None:
        """The best trial, None if no trial has a result."""
        return self.trial(self.top[0]) if self.top else None

    @property
    def default(self) -> TrialView | None:
        """The trial of the default configuration, None if there is none."""
        return self.trial(self.default_trial) if self.default_trial is not None else None


@dataclass(frozen=True, slots=True)
class Gain:
    """What the search gained over the default configuration; positive is better, whatever the goal."""

    absolute: float
    #: As a share of the default's size; None if that is 0.
    relative: float | None


def gain(view: ExperimentView) -> Gain | None:
    """Return the gain of the best trial over the default's; None if one of them has no value."""
    if view.best is None or view.best.value is None or view.default is None or view.default.value is None:
        return None
    difference = view.best.value - view.default.value
    absolute = difference if view.goal == "maximize" else -difference
    return Gain(absolute, absolute / abs(view.default.value) if view.default.value else None)


def ended_with_value(view: ExperimentView) -> list[TrialView]:
    """Return the ended trials that have a value, pruned ones included, failed ones not, by number."""
    return [
        trial
        for trial in view.trials
        if trial.value is not None and (is_result(trial) or trial.state is TrialState.PRUNED)
    ]


def comparable(view: ExperimentView) -> list[TrialView]:
    """Return those of the ended trials with a value that were given the full training, however early they ended."""
    return [trial for trial in ended_with_value(view) if trial.fidelity == 1]


def is_result(trial: TrialView) -> bool:
    """Whether the trial's value may be the result of the search: pruned trials are never the best."""
    return trial.value is not None and trial.state in (TrialState.SUCCEEDED, TrialState.STOPPED)


def ranked(view: ExperimentView) -> list[TrialView]:
    """Return the trials whose value may be the result, best first, ties by number."""
    sign = -1.0 if view.goal == "maximize" else 1.0
    candidates = [(sign * trial.value, trial) for trial in view.trials if trial.value is not None and is_result(trial)]
    return [trial for _, trial in sorted(candidates, key=lambda pair: (pair[0], pair[1].number))]


def best_so_far(trials: Iterable[TrialView], goal: Goal) -> list[tuple[TrialView, float]]:
    """Return each trial of `trials` that may be the result, with the best value up to and including it."""
    series: list[tuple[TrialView, float]] = []
    better = max if goal == "maximize" else min
    for trial in trials:
        if trial.value is not None and is_result(trial):
            series.append((trial, better(series[-1][1], trial.value) if series else trial.value))
    return series


def counts(view: ExperimentView) -> Counter[TrialState]:
    """Return the number of trials in each state."""
    return Counter(trial.state for trial in view.trials)


def failures_by_cause(view: ExperimentView) -> dict[str, list[TrialView]]:
    """Return the failed trials under each cause, the most frequent cause first."""
    groups: dict[str, list[TrialView]] = {}
    for trial in view.trials:
        if trial.state is TrialState.FAILED:
            groups.setdefault(str(trial.cause or "unknown"), []).append(trial)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def total_cost_seconds(view: ExperimentView) -> float:
    """Return the wall time that all trials took together."""
    return sum(trial.cost_seconds for trial in view.trials)


def search_view(view: ExperimentView) -> SearchView:
    """Return what charts of an experiment are drawn from."""
    return SearchView(
        table=trial_table(view),
        metric=view.metric,
        target=view.target,
        default_trial=view.default_trial,
        top=view.top,
        max_trials=view.spec.get("max_trials"),
        curves={trial.number: trial.curve for trial in view.trials if trial.curve},
    )


def trial_table(view: ExperimentView) -> TrialTable:
    """Return the trials of an experiment as columns."""
    trials = view.trials
    origins = tuple(dict.fromkeys(trial.origin for trial in trials))
    places = {origin: place for place, origin in enumerate(origins)}

    def floats(values: Iterable[float | None]) -> Floats:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    positions = [
        [
            parameter.to_unit(trial.parameters[parameter.name]) if parameter.name in trial.parameters else np.nan
            for parameter in view.space
        ]
        for trial in trials
    ]
    return TrialTable(
        space=view.space,
        goal=view.goal,
        numbers=np.array([trial.number for trial in trials], dtype=np.int64),
        states=np.array([STATES.index(trial.state) for trial in trials], dtype=np.int8),
        causes=np.array([-1 if trial.cause is None else CAUSES.index(trial.cause) for trial in trials], dtype=np.int8),
        origins=np.array([places[trial.origin] for trial in trials], dtype=np.int16),
        origin_names=origins,
        values=floats(trial.value for trial in trials),
        fidelities=floats(trial.fidelity for trial in trials),
        parents=np.array([trial.resume_from or 0 for trial in trials], dtype=np.int64),
        started_at=floats(trial.started_at for trial in trials),
        ended_at=floats(trial.ended_at for trial in trials),
        ended_after=floats(trial.ended_after for trial in trials),
        cost_seconds=floats(trial.cost_seconds for trial in trials),
        positions=np.array(positions, dtype=np.float32).reshape(len(trials), len(view.space)),
    )
