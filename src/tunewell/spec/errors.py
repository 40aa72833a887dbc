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
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: Longest value and field in a message, in characters.
_LONGEST_VALUE, _LONGEST_FIELD = 60, 100
#: Most names in a message.
_MOST_NAMES = 50
_LONGEST_INTEGER_BITS = 1000


class TunewellError(Exception):
    """Base of all errors raised on purpose."""


class UserError(TunewellError):
    """The input is wrong. The message names what, the value, the rule and the remedy."""


class SpecError(UserError):
    """A field of a spec, a command's option or a search space breaks a rule."""

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        """`field` as the user wrote it (dotted path), `problem` with the value, `remedy` as an instruction."""
        self.field = shortened(field, _LONGEST_FIELD)
        super().__init__(f"{self.field}: {problem}." + (f" {ended(remedy)}" if remedy else ""))


class DataError(UserError):
    """A data set, or a file in it, can't be used as it is."""


class NotFoundError(UserError):
    """Something asked for by name does not exist."""


class ConflictError(UserError):
    """The request is well-formed but contradicts what is already there."""


class TransitionRefused(TunewellError):
    """A state change was refused because the state it starts from is no longer true."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the closest of `known`, or all of them (or a few of many) if none is close."""
    candidates = sorted(known)
    if not candidates:
        return ""
    if len(name) <= _LONGEST_FIELD:  # comparing longer ones takes long
        close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
        if close:
            return f"Did you mean '{close[0]}'"
    return "Known: " + listed(candidates, _MOST_NAMES)


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return `a, b, c`, or `a, b and 20 more` where there are more than `most`."""
    more = len(names) - most
    return ", ".join(shortened(name, _LONGEST_VALUE) for name in names[:most]) + (
        f" and {more} more" if more > 0 else ""
    )


def count(amount: int, noun: str) -> str:
    """Return `1 trial`, `20 trials`."""
    return f"{amount} {noun}" + ("" if amount == 1 else "s")


def ended(remedy: str) -> str:
    """Return a remedy as a whole sentence: with a question mark if it asks, else with a full stop."""
    return remedy + ("?" if remedy.startswith("Did you mean") and ";" not in remedy else ".")


def shown(value: Any, longest: int = _LONGEST_VALUE) -> str:
    """Return a value as a spec file would write it: `null`, `'text'`, `[0.1, 2]`; of `longest` characters at most."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > longest:
            break  # the value may be as long as it likes, or even hold itself
    return shortened(text, longest)


def shortened(text: str, longest: int) -> str:
    """Return a text, cut off with `...` if it is longer than `longest`."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _pieces(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, Mapping):
        yield "{"
        for place, (key, part) in enumerate(value.items()):
            yield f"{', ' if place else ''}{key}: "
            yield from _pieces(part)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, part in enumerate(value):
            yield ", " if place else ""
            yield from _pieces(part)
        yield "]"
    elif isinstance(value, str) and value.isprintable():
        yield f"'{value}'"
    elif isinstance(value, datetime.date):
        yield value.isoformat()
    elif isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        # Python refuses to write out numbers of thousands of digits.
        yield f"a number of {math.ceil(value.bit_length() * math.log10(2))} digits"
    else:
        yield repr(value)
