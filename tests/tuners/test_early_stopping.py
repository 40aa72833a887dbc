"""Early stopping: what is ended, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.states import TrialState
from tunewell.tuners.catalogue import create
from tunewell.tuners.contract import Outcome, Suggestion, Tuner
from tunewell.tuners.early_stopping import LEAST_FINISHED, MOST_COMPARED, EarlyStopping, rungs

SPACE = parse_space({"x": {"low": 0.0, "high": 1.0}})
STEPS = 9


def curve(quality: float, steps: int = STEPS) -> dict[int, float]:
    """Return a learning curve that rises towards `quality`."""
    return {step: quality * (1 - 0.7**step) for step in range(1, steps + 1)}


def judge_of(rule: Any, qualities: list[float], sign: float = 1.0) -> EarlyStopping:
    """Return a judge that has seen full trainings of these qualities."""
    judge = EarlyStopping(rule, sign)
    for number, quality in enumerate(qualities, start=1):
        judge.note_end(number, {step: sign * value for step, value in curve(quality).items()}, TrialState.SUCCEEDED)
    return judge


def ended_at(judge: EarlyStopping, quality: float, sign: float = 1.0, number: int = 99) -> int | None:
    """Return the step at which a trial of this quality is ended, None if it is never."""
    for step in range(1, STEPS + 1):
        if not judge.is_worth_going_on(number, {s: sign * v for s, v in curve(quality, step).items()}):
            return step
    return None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_bad_are_ended_and_the_good_go_on(sign: float) -> None:
    """Median: the worse half ends after the warm-up. Halving: all but the best third end at the rungs."""
    qualities = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    median, halving = judge_of("median", qualities, sign), judge_of("halving", qualities, sign)
    assert [ended_at(median, quality, sign) for quality in (0.05, 0.34, 0.36, 0.7)] == [1, 1, None, None]
    assert [ended_at(halving, quality, sign) for quality in (0.05, 0.34, 0.36, 0.7)] == [1, 1, 1, None]
    assert rungs(STEPS) == {1, 3}
    assert ended_at(judge_of("off", qualities, sign), 0.0, sign) is None


def test_nothing_is_ended_before_enough_is_known() -> None:
    """Fewer full trainings than needed: the worst trial goes on."""
    for rule in ("median", "halving"):
        assert ended_at(judge_of(rule, [0.5] * (LEAST_FINISHED - 1)), 0.0) is None


def test_nothing_is_ended_where_curves_cross() -> None:
    """If the order early on says nothing about the order at the end, the worst early value goes on."""
    judge = EarlyStopping("median", 1.0)
    for number in range(1, 9):
        judge.note_end(number, {1: float(-number), 2: float(-number), 3: float(number)}, TrialState.SUCCEEDED)
    assert judge.is_worth_going_on(99, {1: -100.0})


def test_trials_that_report_once_are_never_ended() -> None:
    """A single report is the end of the training."""
    judge = EarlyStopping("halving", 1.0)
    for number in range(1, 9):
        judge.note_end(number, {1: float(number)}, TrialState.SUCCEEDED)
    assert judge.is_worth_going_on(99, {1: -100.0})


def test_halving_counts_those_that_run_or_were_ended() -> None:
    """A trial among the best third of the finished ones ends if better ones have come to the same step since."""
    judge = judge_of("halving", [0.1, 0.2, 0.3, 0.4, 0.5])
    assert judge.is_worth_going_on(99, curve(0.45, 3))
    for number in range(200, 204):
        assert judge.is_worth_going_on(number, curve(0.9 + number / 1000, 3))
    assert not judge.is_worth_going_on(99, curve(0.45, 3))


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.SUCCEEDED])
def test_reports_count_no_more_once_their_trial_has_ended(state: TrialState) -> None:
    """A trial that failed, or ended without a curve, is no rival to those that run, however good it looked."""
    judge = judge_of("halving", [0.1, 0.2, 0.3, 0.4, 0.5])
    for number in range(200, 204):
        good = curve(0.9 + number / 1000, 3)
        assert judge.is_worth_going_on(number, good)
        judge.note_end(number, good if state is TrialState.FAILED else {}, state)
    assert judge.is_worth_going_on(99, curve(0.45, 3))


def test_a_trial_counts_once() -> None:
    """Of a trial that was stopped, run again and trained in full only the last curve counts."""
    judge = judge_of("halving", [0.1, 0.2, 0.3, 0.4, 0.5])
    for number in range(200, 204):
        judge.note_end(number, curve(0.9, 3), TrialState.STOPPED)
        judge.note_end(number, curve(0.05), TrialState.SUCCEEDED)
    assert judge.is_worth_going_on(99, curve(0.45, 3))


@pytest.mark.parametrize("state", [TrialState.SUCCEEDED, TrialState.STOPPED])
def test_the_latest_trials_are_compared_with(state: TrialState) -> None:
    """However many have ended, so many are compared with: the latest ones."""
    judge = judge_of("halving", [0.1, 0.2, 0.3, 0.4, 0.5])
    for number in range(1000, 1000 + MOST_COMPARED):
        judge.note_end(number, curve(0.9), state)
    for number in range(2000, 2000 + MOST_COMPARED):
        judge.note_end(number, curve(0.1 + number / 1e6), state)
    assert judge.is_worth_going_on(99, curve(0.45, 3))


def test_a_tuner_prunes_by_the_rule_that_it_is_given() -> None:
    """`judge` speaks of full trainings; what is ended early teaches the tuner by its last value."""

    def run(rule: Any) -> tuple[Tuner, list[str]]:
        tuner = create("random", SPACE, goal="maximize", early_stopping=rule)
        verdicts = []
        for number in range(1, 13):
            suggestion = tuner.ask()
            assert isinstance(suggestion, Suggestion)
            quality = 1.0 if number <= 6 else 0.1
            verdict = tuner.judge(number, curve(quality + number / 100, 3))
            verdicts.append(verdict)
            state = TrialState.SUCCEEDED if verdict == "keep" else TrialState.PRUNED
            reported = curve(quality + number / 100, STEPS if verdict == "keep" else 3)
            tuner.tell(Outcome(number, state, reported[max(reported)], curve=reported))
        return tuner, verdicts

    assert run("halving")[1] == ["keep"] * 6 + ["prune"] * 6
    assert run("off")[1] == ["keep"] * 12
