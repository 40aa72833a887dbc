from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports import examples
from tunewell.reports.view import (
    ExperimentView,
    TrialView,
    best_so_far,
    comparable,
    counts,
    ended_with_value,
    failures_by_cause,
    gain,
    ranked,
)
from tunewell.spec.states import TrialState

Goal = Literal["maximize", "minimize"]


def trial(number: int, value: float | None, state: TrialState = TrialState.SUCCEEDED) -> TrialView:
    """A trial without parameters."""
    return TrialView(number=number, state=state, parameters={}, origin="random", value=value)


def view_of(values: list[float | None], goal: Goal, best: int | None, default: int | None = 1) -> ExperimentView:
    """An experiment whose trials 1, 2, … have these values; None is a failure."""
    trials = tuple(
        trial(number, value, TrialState.FAILED if value is None else TrialState.SUCCEEDED)
        for number, value in enumerate(values, 1)
    )
    top = (best,) if best is not None else ()
    return replace(examples.empty(), trials=trials, goal=goal, top=top, default_trial=default)


@pytest.mark.parametrize(
    ("values", "goal", "best", "absolute", "relative"),
    [
        ([0.8, 0.9], "maximize", 2, 0.1, 0.125),
        ([0.8, 0.6], "minimize", 2, 0.2, 0.25),
        ([-2.0, -1.0], "maximize", 2, 1.0, 0.5),
        ([0.0, 3.0], "maximize", 2, 3.0, None),
        ([0.8, 0.7], "maximize", 1, 0.0, 0.0),
    ],
)
def test_gain_is_positive_when_better(
    values: list[float | None], goal: Goal, best: int, absolute: float, relative: float | None
) -> None:
    """The gain over the default is positive for the better, whatever the goal, and relative to the default's size."""
    gained = gain(view_of(values, goal, best))
    assert gained is not None
    assert gained.absolute == pytest.approx(absolute)
    assert gained.relative == (None if relative is None else pytest.approx(relative))


@pytest.mark.parametrize(
    "view",
    [
        view_of([None, 0.9], "maximize", 2),
        view_of([0.8, 0.9], "maximize", 2, default=None),
        view_of([None, None], "maximize", None),
    ],
    ids=["default failed", "no default", "no result"],
)
def test_there_is_no_gain_without_both_values(view: ExperimentView) -> None:
    """Nothing is compared when the default failed, is missing, or nothing succeeded."""
    assert gain(view) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from(["maximize", "minimize"]))
def test_best_so_far_never_gets_worse(values: list[float], goal: Goal) -> None:
    """The series of best values is monotone, ends at the best of all, and is one of the values at each place."""
    series = [best for _, best in best_so_far([trial(i, value) for i, value in enumerate(values)], goal)]
    better = max if goal == "maximize" else min
    assert series == [better(values[: i + 1]) for i in range(len(values))]


def test_pruned_and_failed_trials_are_never_the_result() -> None:
    """A pruned trial's value shows in charts, a failed one's does not, and neither is ranked."""
    states = (TrialState.PRUNED, TrialState.FAILED, TrialState.STOPPED, TrialState.SUCCEEDED)
    trials = tuple(trial(number, 1.0 / number, state) for number, state in enumerate(states, 1))
    view = replace(examples.empty(), trials=trials, goal="maximize")
    assert [t.number for t in ranked(view)] == [3, 4]
    assert [t.number for t in ended_with_value(view)] == [1, 3, 4]
    assert [t.number for t, _ in best_so_far(trials, "maximize")] == [3, 4]


def test_ties_are_ranked_by_number() -> None:
    """Of equal values, the earlier trial comes first."""
    assert [t.number for t in ranked(view_of([0.5, 0.7, 0.7], "maximize", 2))] == [2, 3, 1]


def test_failures_are_grouped_by_cause_most_frequent_first() -> None:
    """Every failed trial stands under its cause, and states are counted."""
    view = examples.no_success()
    assert {cause: len(trials) for cause, trials in failures_by_cause(view).items()} == {"gpu_oom": 5, "crashed": 1}
    assert list(failures_by_cause(view)) == ["gpu_oom", "crashed"]
    assert counts(view) == {TrialState.FAILED: 6}


def test_trials_are_found_by_number() -> None:
    """A trial is found by its number, an unknown number is an error."""
    view = examples.single_trial()
    assert view.trial(1) is view.trials[0]
    with pytest.raises(KeyError):
        view.trial(2)


def test_only_trials_of_the_full_training_are_compared() -> None:
    """What had a part of the training says nothing about parameters beside what had all of it."""
    trials = (
        TrialView(1, TrialState.SUCCEEDED, {"x": 1}, "initial", value=0.1, fidelity=0.5),
        TrialView(2, TrialState.SUCCEEDED, {"x": 2}, "initial", value=0.2),
        TrialView(3, TrialState.PRUNED, {"x": 3}, "initial", value=0.3),
    )
    assert [trial.number for trial in comparable(replace(examples.empty(), trials=trials))] == [2, 3]
