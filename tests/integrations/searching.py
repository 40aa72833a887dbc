"""Searches by the tests of integrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import tunewell as tw
from tunewell.trial.context import StandaloneTrial, activated


def library(module: str, package: str) -> Any:
    """Return a library of others; without it the tests are skipped, with what would bring it."""
    reason = f"{package} is not installed; `./dev integrations` has it"
    return pytest.importorskip(module, reason=reason, exc_type=ImportError)


def reports_of(function: Callable[[], object], home: Path) -> list[dict[str, Any]]:
    """Return what a trial of that function has on record, a report each."""

    def train(x: int) -> None:
        function()

    result = tw.search(
        train,
        {"x": [1]},
        goal="minimize",
        metric="unused",
        max_trials=1,
        home=home,
        progress=False,
        early_stopping="off",
    )
    (trial,) = result.trials()
    # The trial ends without its objective, which these functions do not have.
    assert trial["cause"] == "no_metric", trial["detail"]
    return [{"step": report["step"], **report["metrics"]} for report in trial["reports"]]


class EndedTrial(StandaloneTrial):
    """A trial that is asked to end at its second report."""

    reports = 0

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        super()._send(step, metrics, note)
        self.reports += 1

    @property
    def should_stop(self) -> bool:
        """Whether it has reported twice."""
        return self.reports >= 2


def ends_early(function: Callable[[], object]) -> int:
    """Call a function in a trial that is asked to end; return the step at which `Pruned` came through."""
    trial = EndedTrial()
    with activated(trial), pytest.raises(tw.Pruned):
        function()
    return trial._last_step()
