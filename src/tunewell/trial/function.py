"""How a user's function is called, in the controller's own process and in one of its own alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tunewell.trial.context import activated
from tunewell.trial.trial import Trial


def call(function: Callable[..., Any], trial: Trial, metric: str) -> None:
    """Call `function` with the trial's parameters as keywords and record what it returns.

    A function whose first parameter is named `trial` is given the trial, too. A number that it returns is
    recorded as `metric`, a mapping as metrics; None records nothing.

    Raises:
        TypeError: it returned anything else.
        BaseException: whatever the function raises.
    """
    with activated(trial):
        result = function(*((trial,) if takes_trial(function) else ()), **trial.parameters)
    if result is not None:
        trial.record(_metrics(result, metric))


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the first parameter of `function` is named `trial`."""
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):
        return False
    return first == "trial"


def _metrics(result: Any, metric: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    if isinstance(result, str | bytes) or not hasattr(result, "__float__"):
        raise TypeError(
            f"the function returned {type(result).__name__}; return a number, a mapping of metric names to "
            "numbers, or nothing"
        )
    return {metric: result}
