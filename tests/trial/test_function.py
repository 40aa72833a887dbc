"""How a function is called with a trial."""

from __future__ import annotations

import functools
from collections.abc import Mapping
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

    def _last_step(self) -> int:
        return self.sent[-1][0] if self.sent else 0

    def _send(self, step: int, metrics: Mapping[str, float]) -> None:
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
