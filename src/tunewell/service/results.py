"""What a search brought: the answer to every front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunewell.home.home import Home
from tunewell.reports.evaluations import measure_in
from tunewell.service.evaluations import read_evaluations
from tunewell.service.finalists import Finalist, rank_agreement, read_finalists
from tunewell.spec.experiment import Objective
from tunewell.spec.space import Configuration
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.store.rows import TrialRow
from tunewell.store.store import Store

TOP = 5


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial with a value."""

    number: int
    parameters: Configuration
    value: float
    origin: str
    #: Share of the full training that it had, in (0, 1].
    fidelity: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return number, parameters and value, and the share of the training if it is not the full one."""
        part = {} if self.fidelity == 1 else {"fidelity": self.fidelity}
        return {"number": self.number, "parameters": self.parameters, "value": self.value, **part}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """State of an experiment, and its best trials."""

    experiment: str
    state: ExperimentState
    #: Which rule ended it (see `tunewell.controller.stop_rules`); None while it has not ended.
    stop_rule: str | None
    #: One sentence about the end.
    detail: str
    objective: Objective
    #: The best trials, best first; at most five.
    top: tuple[TrialResult, ...]
    #: The trial that trained the default configuration in full, if it has a value.
    default: TrialResult | None
    counts: Mapping[TrialState, int]
    elapsed_seconds: float
    notes: tuple[str, ...]
    #: Trial number → objective on the test data, of the best trials and the default one, where it was measured.
    test_values: Mapping[int, float] = field(default_factory=dict)
    #: The best trials of a search on a sample, trained on all data, best first.
    finalists: tuple[Finalist, ...] = ()

    @property
    def best(self) -> TrialResult | None:
        """The best trial, None if no trial has a value."""
        return self.top[0] if self.top else None

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the default configuration (never negative by goal)."""
        if self.best is None or self.default is None:
            return None
        difference = self.best.value - self.default.value
        return difference if self.objective.goal == "maximize" else -difference

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "experiment": self.experiment,
            "state": str(self.state),
            "stop_rule": self.stop_rule,
            "detail": self.detail,
            "objective": {"metric": self.objective.metric, "goal": self.objective.goal},
            "best": self.best.to_json() if self.best else None,
            "default": self.default.to_json() if self.default else None,
            "top": [trial.to_json() for trial in self.top],
            "trials": {str(state): self.counts.get(state, 0) for state in TrialState},
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "notes": list(self.notes),
            "test": dict(self.test_values),
            "finalists": [one.to_json() for one in self.finalists],
            "rank_agreement": rank_agreement(self.finalists),
        }


def search_result(store: Store, home: Home, name: str) -> SearchResult:
    """Return what an experiment has brought so far; raises `NotFoundError`."""
    row = store.experiment(name)
    objective = Objective.model_validate(row.spec["objective"])
    top = best_trials(store, name, TOP)
    default = default_trial(store, name)
    return SearchResult(
        experiment=name,
        state=row.state,
        stop_rule=row.stop_rule,
        detail=row.detail or "",
        objective=objective,
        top=tuple(top),
        default=_trial_result(default) if default else None,
        counts=store.counts(name),
        elapsed_seconds=row.elapsed_seconds,
        notes=(*row.notes, *_notes_on_trials(store, name)),
        test_values=_test_values(store, home, name, objective.metric),
        finalists=tuple(read_finalists(store, home, name)),
    )


def _notes_on_trials(store: Store, name: str) -> list[str]:
    number, first = store.noted(name)
    if first is None:
        return []
    more = f" There are notes on {number - 1} more: tunewell show {name} TRIAL." if number > 1 else ""
    return [f"Trial {first.number}: {first.notes[0]}{more}"]


def _test_values(store: Store, home: Home, name: str, metric: str) -> dict[int, float]:
    evaluations = read_evaluations(store, home, name)
    measured = {number: measure_in(found, "test", metric) for number, found in evaluations.items()}
    return {number: value for number, value in measured.items() if value is not None}


def default_trial(store: Store, name: str) -> TrialRow | None:
    """Return the trial that trained the default configuration in full; None if there is none with a value.

    In a population that is the last of the trials that went on from the default one without a change.
    """
    number = store.experiment(name).default_trial
    if number is None:
        return None
    trial = store.trial(name, number)
    ended_well = trial.state in (TrialState.SUCCEEDED, TrialState.STOPPED)
    return trial if ended_well and trial.fidelity == 1 and trial.value is not None else None


def best_trials(store: Store, name: str, number: int) -> list[TrialResult]:
    """Return the best `number` trials of an experiment, best first; raises `NotFoundError`."""
    return [_trial_result(trial) for trial in store.top(name, number)]


def _trial_result(row: TrialRow) -> TrialResult:
    assert row.value is not None
    return TrialResult(row.number, row.parameters, row.value, row.origin, row.fidelity)
