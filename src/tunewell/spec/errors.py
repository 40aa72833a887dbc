"""Every error that Tunewell raises on purpose.

TunewellError
├── UserError            the input is wrong; shown without a traceback, exit code 2
│   ├── SpecError        a field of a spec, an option or a search space
│   ├── DataError        a data set or a file that the user pointed at
│   ├── NotFoundError    an experiment, trial, network, … that does not exist
│   └── ConflictError    right in itself, but not in the present state (a changed spec, a second controller)
└── TransitionRefused    a state change whose starting point is no longer true
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class TunewellError(Exception):
    """Base of all errors raised on purpose."""


class UserError(TunewellError):
    """The input is wrong. The message names what, the value, the rule and the remedy."""


class SpecError(UserError):
    """A field of a spec, a command's option or a search space breaks a rule."""

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        """`field` as the user wrote it (dotted path), `problem` with the value, `remedy` as an instruction."""
        self.field = field
        super().__init__(f"{field}: {problem}." + (f" {ended(remedy)}" if remedy else ""))


class DataError(UserError):
    """A data set, or a file in it, can't be used as it is."""


class NotFoundError(UserError):
    """Something asked for by name does not exist."""


class ConflictError(UserError):
    """The request is well-formed but contradicts what is already there."""


class TransitionRefused(TunewellError):
    """A state change was refused because the state it starts from is no longer true."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the closest of `known`, or all of them if none is close."""
    candidates = sorted(known)
    if not candidates:
        return ""
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'"
    return "Known: " + ", ".join(candidates)


def ended(remedy: str) -> str:
    """Return a remedy as a whole sentence: with a question mark if it asks, else with a full stop."""
    return remedy + ("?" if remedy.startswith("Did you mean") and ";" not in remedy else ".")


def shown(value: Any) -> str:
    """Return a value as a spec file would write it: `null`, `true`, `'text'`, `[0.1, 2]`; at most 60 characters."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {shown(part)}" for key, part in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(shown(part) for part in value) + "]"
    elif isinstance(value, str) and value.isprintable():
        text = f"'{value}'"
    elif isinstance(value, datetime.date):
        text = value.isoformat()
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
