"""Every rule that ends a search, in isolation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tunewell.controller.stop_rules import Progress, decide
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.states import ExperimentState, TrialState


def spec(**fields: Any) -> ExperimentSpec:
    """Return a small spec with these fields."""
    base = {"name": "e", "command": ["true"], "parameters": {"x": [1, 2]}, "objective": {"metric": "accuracy"}}
    return parse_spec({**base, **fields})


def progress(*ends: tuple[TrialState, float | None], suggested: int | None = None, **fields: Any) -> Progress:
    """Return the progress after trials that ended like this."""
    result = Progress(max_trials=fields.pop("max_trials", 20), suggested=suggested or len(ends), **fields)
    for state, value in ends:
        result.note_end(spec().objective, state, value)
    return result


GOOD = (TrialState.SUCCEEDED, 0.5)
BAD = (TrialState.FAILED, None)


def test_a_search_in_the_middle_goes_on() -> None:
    """Nothing ends a search that has trials left and no limit reached."""
    assert decide(spec(), progress(GOOD, BAD)) is None


def test_all_trials_done_completes() -> None:
    """The search is complete when the last of max_trials has ended, not before."""
    assert decide(spec(), progress(GOOD, suggested=2, max_trials=2)) is None
    decision = decide(spec(), progress(GOOD, BAD, max_trials=2))
    assert decision is not None
    assert (decision.rule, decision.state) == ("max_trials", ExperimentState.COMPLETED)


@pytest.mark.parametrize(("trials", "detail"), [(1, "The trial has ended."), (2, "All 2 trials have ended.")])
def test_the_end_is_told_in_words(trials: int, detail: str) -> None:
    """One trial is not called all trials."""
    decision = decide(spec(), progress(*[GOOD] * trials, max_trials=trials))
    assert decision is not None
    assert decision.detail == detail


def test_no_result_at_all_is_a_failure() -> None:
    """A search whose trials all ended without a value has failed."""
    decision = decide(spec(max_failed_trials=10), progress(BAD, (TrialState.STOPPED, None), max_trials=2))
    assert decision is not None
    assert decision.state is ExperimentState.FAILED
    assert "None has a result" in decision.detail


def test_exhausted_space_completes() -> None:
    """A search ends when the tuner has nothing left, once its trials have ended."""
    assert decide(spec(), progress(GOOD, suggested=2, exhausted="the space has been searched")) is None
    decision = decide(spec(), progress(GOOD, GOOD, exhausted="the space has been searched"))
    assert decision is not None
    assert (decision.rule, decision.state) == ("exhausted", ExperimentState.COMPLETED)


@pytest.mark.parametrize(("failures", "stops"), [(2, False), (3, True)])
def test_failure_count_is_borne_and_not_more(failures: int, stops: bool) -> None:
    """With a count of 2, two failures are allowed and the third ends the search."""
    decision = decide(spec(max_failed_trials=2), progress(GOOD, *[BAD] * failures))
    assert (decision is not None) is stops
    if decision is not None:
        assert (decision.rule, decision.state) == ("max_failed_trials", ExperimentState.FAILED)


@pytest.mark.parametrize(
    ("ends", "stops"),
    [
        ([BAD] * 4, False),
        ([BAD] * 5, True),
        ([GOOD] + [BAD] * 8, False),
        ([GOOD] * 5 + [BAD] * 5, False),
        ([GOOD] * 4 + [BAD] * 6, True),
    ],
)
def test_failure_share_needs_enough_ended_trials(ends: list[Any], stops: bool) -> None:
    """With a share of one half, more than half of at least ten ended trials end the search, or five without any other.

    Nine trials are no more than a search starts with: most of them may lie where trials fail.
    """
    assert (decide(spec(max_failed_trials="50%"), progress(*ends)) is not None) is stops


def test_trials_that_run_have_not_failed() -> None:
    """Of many trials that begin at once those that fail soon end first, which says nothing about the others."""
    assert decide(spec(), progress(*[BAD] * 50, suggested=1000)) is None
    assert decide(spec(), progress(*[BAD] * 501, suggested=1000)) is not None


def test_duration() -> None:
    """The search times out when its running time has reached the limit."""
    limited = spec(max_duration="1h")
    assert decide(limited, progress(GOOD, elapsed_seconds=3599.0)) is None
    decision = decide(limited, progress(GOOD, elapsed_seconds=3600.0))
    assert decision is not None
    assert decision.state is ExperimentState.TIMED_OUT


def test_default_duration_is_a_day() -> None:
    """Without a limit given, a search runs for 24 hours at most."""
    assert spec().max_duration == timedelta(hours=24)


@pytest.mark.parametrize(("goal", "reached", "short"), [("maximize", 0.95, 0.949), ("minimize", 0.95, 0.951)])
def test_target_by_any_report(goal: str, reached: float, short: float) -> None:
    """A report as good as the target ends the search, in the direction of the goal."""
    aimed = spec(objective={"metric": "m", "goal": goal, "target": 0.95})
    now = progress(GOOD)
    now.note_value(aimed.objective, 3, short)
    assert decide(aimed, now) is None
    now.note_value(aimed.objective, 3, reached)
    decision = decide(aimed, now)
    assert decision is not None
    assert decision.state is ExperimentState.TARGET_REACHED
    assert "Trial 3" in decision.detail


def test_no_improvement_counts_every_ended_trial() -> None:
    """Trials without a better value in a row, failed ones included, make the search converge."""
    patient = spec(max_trials_without_improvement=3, max_failed_trials=100)
    assert decide(patient, progress((TrialState.SUCCEEDED, 0.9), GOOD, BAD)) is None
    decision = decide(patient, progress((TrialState.SUCCEEDED, 0.9), GOOD, BAD, GOOD))
    assert decision is not None
    assert (decision.rule, decision.state) == ("no_improvement", ExperimentState.CONVERGED)


def test_no_improvement_waits_for_a_first_value() -> None:
    """Failures alone never count as convergence."""
    patient = spec(max_trials_without_improvement=2, max_failed_trials=100)
    assert decide(patient, progress(BAD, BAD, BAD)) is None


def test_stop_by_hand_comes_first() -> None:
    """A stop by hand is what the result names, whatever else holds."""
    decision = decide(spec(), progress(GOOD, GOOD, max_trials=2, stopped_by_hand=True))
    assert decision is not None
    assert (decision.rule, decision.state) == ("by_hand", ExperimentState.STOPPED)


def test_retry_takes_the_end_back() -> None:
    """A retried trial counts as neither ended nor failed until it ends again."""
    now = progress(GOOD, BAD, max_trials=2)
    now.note_retry(TrialState.FAILED)
    assert decide(spec(), now) is None
    assert (now.ended, now.failed) == (1, 0)
