"""Pickling the functions of users."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import cloudpickle

from tunewell.spec.errors import SpecError


def pickled(function: Callable[..., Any], otherwise: str = "") -> bytes:
    """Return a function as bytes, which give it again in a process that can import what it uses.

    `otherwise` is what else whoever called this can do where that is not possible.

    Raises:
        SpecError: it can't be pickled; names what in it can't.
    """
    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:  # whatever an object's own __reduce__ raises
        culprit = _culprit(function)
        raise SpecError(
            "function",
            f"it can't be sent to another process, because of {culprit or error}",
            f"Make that inside the function{otherwise}",
        ) from None


def _culprit(function: Callable[..., Any]) -> str:
    if inspect.isfunction(function):
        found = inspect.getclosurevars(function)
        parts = {**found.globals, **found.nonlocals}
    else:
        parts = dict(getattr(function, "__dict__", {}))
        parts.update(getattr(function, "keywords", {}))  # functools.partial
    for name, value in parts.items():
        try:
            cloudpickle.dumps(value)
        except Exception:
            return f"'{name}' ({type(value).__name__})"
    return ""
