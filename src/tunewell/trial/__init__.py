"""What runs inside a trial: parameters in, metrics out. Needs nothing but the standard library.

::

    import tunewell

    parameters = {"learning_rate": 0.01, **tunewell.parameters()}
    for epoch in range(1, 11):
        ...
        tunewell.report(step=epoch, accuracy=accuracy)

The same script runs by itself, too: then `parameters()` is empty and `report()` prints its metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from tunewell.trial.context import current
from tunewell.trial.trial import CAUSES, Failed, Pruned, Trial

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CAUSES",
    "Failed",
    "Pruned",
    "Trial",
    "checkpoint_dir",
    "current",
    "fail",
    "fidelity",
    "output_dir",
    "parameters",
    "report",
    "sampling",
]


def report(metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **named: Any) -> None:
    """Report metrics of one step; see `Trial.report`. Outside of a trial they are printed."""
    current().report(metrics, step=step, **named)


def parameters() -> dict[str, Any]:
    """Return this trial's hyperparameters by name; empty outside of a trial."""
    return dict(current().parameters)


def checkpoint_dir() -> Path:
    """Return the folder of this trial's checkpoint; it holds the one to go on from, if there is any."""
    return current().checkpoint_dir


def output_dir() -> Path:
    """Return the folder for whatever is to be kept of this trial, such as models and pictures."""
    return current().output_dir


def fidelity() -> float:
    """Return the share of the full training that this trial gets, in (0, 1]."""
    return current().fidelity


def sampling() -> float:
    """Return the share of the training data that the search uses, in (0, 1]."""
    return current().sampling


def fail(cause: str, message: str) -> NoReturn:
    """End this trial as failed; see `Trial.fail`."""
    current().fail(cause, message)
