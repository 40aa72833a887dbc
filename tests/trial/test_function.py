"""How a function is called with a trial."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewell.trial import Trial, current
from tunewell.trial.function import call, takes_trial


class ListTrial(Trial):
    """Keeps its reports in a list."""

    def __init__(self, **parameters: Any) -> None:
        """Have parameters and no reports yet."""
        super().__init__(1, parameters)
        self.sent: list[tuple[int, dict[str, float]]] = []
        self.notes: list[str] = []

    def _last_step(self) -> int:
        return self.sent[-1][0] if self.sent else 0

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        self.notes.append(note)
        self.sent.append((step, dict(metrics)))


class Method:
    """Callable objects count like functions."""

    def __call__(self, trial: Trial, x: float) -> float:
        """Return the parameter."""
        return x


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x, False),
        (lambda trial, x: x, True),
        (lambda x, trial=None: x, False),
        (lambda **parameters: 0, False),
        (Method(), True),
        (functools.partial(lambda trial, y, x: x, y=1), True),
        (max, False),
    ],
)
def test_takes_trial(function: Any, expected: bool) -> None:
    """A function gets the trial if its first parameter is named so."""
    assert takes_trial(function) is expected


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        (0.5, [(1, {"score": 0.5})]),
        (np.float32(0.5), [(1, {"score": 0.5})]),
        ({"a": 1, "b": 2}, [(1, {"a": 1.0, "b": 2.0})]),
        (None, []),
    ],
)
def test_results(result: Any, sent: list[tuple[int, dict[str, float]]]) -> None:
    """A number is the objective, a mapping is metrics, nothing is nothing."""
    trial = ListTrial(x=1)
    call(lambda x: result, trial, "score")
    assert trial.sent == sent


@pytest.mark.parametrize("result", ["0.5", [1], object()])
def test_wrong_results(result: Any) -> None:
    """Anything else is refused with what to return."""
    with pytest.raises(TypeError, match=f"returned {type(result).__name__}; return a number, a mapping"):
        call(lambda: result, ListTrial(), "score")


def test_result_follows_the_reports() -> None:
    """What a function returns is one step after what it reported."""
    trial = ListTrial()

    def function(trial: Trial) -> float:
        trial.report(score=0.25, step=9)
        return 0.5

    call(function, trial, "score")
    assert trial.sent == [(9, {"score": 0.25}), (10, {"score": 0.5})]


def test_current_trial(tmp_path: Path) -> None:
    """During the call, and only then, the trial is the current one, even if the function raises."""
    trial = ListTrial()

    def function() -> None:
        assert current() is trial
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        call(function, trial, "score")
    assert current() is not trial


def test_threads_of_a_function_are_in_its_trial() -> None:
    """A thread that the function starts finds the trial of the innermost call, and none when the call is over."""
    inner, outer = ListTrial(), ListTrial()

    with ThreadPoolExecutor(1) as pool:

        def function() -> None:
            assert pool.submit(current).result() is outer
            call(lambda: pool.submit(current).result().report(score=1), inner, "score")
            assert pool.submit(current).result() is outer

        call(function, outer, "score")
        assert pool.submit(current).result() not in (inner, outer)
    assert (inner.sent, outer.sent) == ([(1, {"score": 1.0})], [])


def test_threads_with_trials_of_their_own_are_not_mixed_up() -> None:
    """Where several threads are in trials at once, each stays in its own, and a further thread is in none of them."""
    trials = [ListTrial(), ListTrial()]
    together = threading.Barrier(3, timeout=60)

    def function() -> None:
        mine = current()
        together.wait()
        mine.report(score=float(current() is mine))
        together.wait()

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call, function, trial, "score") for trial in trials]
        together.wait()
        assert current() not in trials
        together.wait()
        for done in calls:
            done.result()
    assert [trial.sent for trial in trials] == [[(1, {"score": 1.0})]] * 2
