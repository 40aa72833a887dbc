"""How a user's function is called, in the controller's own process and in one of its own alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tunewell.trial.context import activated
from tunewell.trial.trial import Trial, is_number

#: Entries of a mapping that a note names.
_MOST_NAMED = 10


def call(function: Callable[..., Any], trial: Trial, metric: str) -> None:
    """Call `function` with the trial's parameters as keywords and record what it returns.

    A function whose first parameter is named `trial` is given the trial, too. A number that it returns is
    recorded as `metric`, a mapping as metrics; None records nothing. What in a mapping is no number is left out, with
    a note.

    Raises:
        TypeError: it returned anything else, or what it returned as `metric` is no number.
        BaseException: whatever the function raises.
    """
    with activated(trial):
        result = function(*((trial,) if takes_trial(function) else ()), **trial.parameters)
    if result is not None:
        metrics = _metrics(result, metric)
        numbers = {name: value for name, value in metrics.items() if name == metric or is_number(value)}
        trial.record(numbers, note=_left_out(metrics, numbers))


def takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the first parameter of `function` is named `trial`."""
    try:
        first = next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):
        return False
    return first == "trial"


def _left_out(metrics: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Return a note on what is no number; raise TypeError if nothing is one."""
    others = [f"{name} ({type(value).__name__})" for name, value in metrics.items() if name not in numbers]
    if not others:
        return ""
    named = ", ".join(others[:_MOST_NAMED])
    named += f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    if not numbers:
        raise TypeError(f"the function returned a mapping without any number: {named}")
    return f"Left out of what the function returned, as they are no numbers: {named}."


def _metrics(result: Any, metric: str) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    if isinstance(result, str | bytes) or not hasattr(result, "__float__"):
        raise TypeError(
            f"the function returned {type(result).__name__}; return a number, a mapping of metric names to "
            "numbers, or nothing"
        )
    return {metric: result}
