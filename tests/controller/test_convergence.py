"""When a search counts as converged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controller.fakes import Bench
from tunewell.controller.convergence import Convergence, examine
from tunewell.spec.states import Cause, ExperimentState
from tunewell.tuners.contract import Suggestion

FALLING = [float(20 - trial) for trial in range(20)]
PLATEAU = [*FALLING, *[5.0] * 40]


def estimate(probability: float | None) -> Callable[[float], float | None]:
    """Return a tuner's estimate that is always the same."""
    return lambda least: probability


def never(least: float) -> float:
    """Fail: an estimate is dear, and this one is not needed."""
    raise AssertionError("asked for an estimate")


def first_stop(losses: list[float | None], parameters: int, probability: float | None) -> int | None:
    """Return after how many trials the search counts as converged."""
    found = (n for n in range(1, len(losses) + 1) if examine(losses[:n], parameters, estimate(probability)))
    return next(found, None)


def test_figures_of_a_search_that_converged() -> None:
    """The verdict holds what led to it: trials, plateau, the least gain in units of the objective, and the estimate."""
    asked: list[float] = []

    def remember(least: float) -> float:
        asked.append(least)
        return 0.001

    figures = examine(PLATEAU, 2, remember)
    assert figures == Convergence(60, 40, pytest.approx(0.005 * 14.5), 0.001)
    assert asked == [figures.least_gain]


@pytest.mark.parametrize("losses", [PLATEAU[:25], [*[5.0] * 40, *FALLING], [None] * 60, []])
def test_no_estimate_before_enough_trials_and_a_plateau(losses: list[float | None]) -> None:
    """Few trials, a recent gain, or no result at all: the search goes on, and the tuner is not even asked."""
    assert examine(losses, 2, never) is None


def test_an_expected_gain_keeps_the_search_going() -> None:
    """However long the plateau, the search goes on while its tuner expects a gain."""
    assert examine(PLATEAU, 2, estimate(0.5)) is None


@pytest.mark.parametrize(
    ("losses", "parameters", "expected"),
    [([1.0, *[5.0] * 60], 1, 30), ([1.0, *[5.0] * 60], 10, 40), (PLATEAU, 2, 45), (PLATEAU, 12, 56)],
)
def test_more_parameters_need_more_trials(losses: list[float | None], parameters: int, expected: int) -> None:
    """It takes 30 trials, or 4 a parameter, and a plateau of 25, or 3 a parameter, whichever is more."""
    assert first_stop(losses, parameters, 0.0) == expected


def test_without_a_model_the_plateau_must_be_longer() -> None:
    """A tuner without an estimate needs a plateau as long as all that came before it, and 50 trials at least."""
    assert first_stop([*FALLING, *[5.0] * 80], 2, None) == 70
    assert first_stop([*[200.0 - trial for trial in range(70)], 1.0, *[5.0] * 80], 2, None) == 142


def test_tiny_gains_do_not_count() -> None:
    """Improvements below the least gain, and failures, belong to the plateau."""
    creeping: list[float | None] = [*FALLING, *[1.0 - 1e-5 * trial for trial in range(40)]]
    creeping[30:35] = [None] * 5
    assert examine(creeping, 2, estimate(0.0)) is not None


def converge(bench: Bench, trials: int, crash_after: int | None = None) -> int:
    """Run so many trials, or until the search ends; return how many ended."""
    tuner = bench.add()
    tuner.probability_of_gain = estimate(0.0)  # type: ignore[method-assign]
    bench.step()
    for ended in range(trials):
        if not bench.controller.busy:
            return ended
        number = min(key.trial for key in bench.scheduler.alive)
        bench.scheduler.report(number, float(number if number <= 10 else 5))
        bench.scheduler.end(number)
        bench.step()
        if ended == crash_after:
            bench.crash()
            bench.add().probability_of_gain = estimate(0.0)  # type: ignore[method-assign]
            bench.step()
    return trials


@pytest.mark.parametrize("crash_after", [None, 12, 28])
def test_a_search_stops_when_it_has_converged(tmp_path: Path, crash_after: int | None) -> None:
    """With `stop_when_converged` the search ends as converged, after as many trials if it was recovered on the way."""
    bench = Bench(tmp_path)
    bench.create(max_trials=90, stop_when_converged=True)
    converge(bench, 90, crash_after)
    row = bench.store.experiment("e")
    assert (row.state, row.stop_rule) == (ExperimentState.CONVERGED, "converged")
    assert "brought no gain above 0.0" in row.detail
    assert "0.0%" in row.detail
    assert sum(trial.value is not None for trial in bench.store.trials("e")) == 35
    bench.store.close()


def test_searches_do_not_stop_by_themselves_by_default(tmp_path: Path) -> None:
    """Without `stop_when_converged` all trials are made."""
    bench = Bench(tmp_path)
    bench.create(max_trials=40)
    assert converge(bench, 90) == 40
    assert bench.store.experiment("e").state is ExperimentState.COMPLETED
    bench.store.close()


def test_failures_alone_never_converge(tmp_path: Path) -> None:
    """A search without any result does not count as converged."""
    bench = Bench(tmp_path)
    bench.create(max_trials=40, stop_when_converged=True, max_failed_trials=100)
    bench.add().probability_of_gain = estimate(0.0)  # type: ignore[method-assign]
    bench.step()
    while bench.controller.busy:
        bench.scheduler.end(min(key.trial for key in bench.scheduler.alive), Cause.CRASHED)
        bench.step()
    assert bench.store.experiment("e").state is ExperimentState.FAILED
    bench.store.close()


def test_parts_of_trainings_never_converge(tmp_path: Path) -> None:
    """However long they bring no gain, the full trainings that they are to become may still do so."""
    bench = Bench(tmp_path)
    bench.create(max_trials=60, stop_when_converged=True)
    parts = [Suggestion(number, {"x": number}, "part", 0.5) for number in range(1, 61)]
    bench.add(answers=parts).probability_of_gain = estimate(0.0)  # type: ignore[method-assign]
    bench.step()
    while bench.controller.busy:
        trial = min(key.trial for key in bench.scheduler.alive)
        bench.scheduler.report(trial, 1.0 / trial)
        bench.scheduler.end(trial)
        bench.step()
    assert bench.store.experiment("e").stop_rule == "max_trials"
    bench.store.close()
