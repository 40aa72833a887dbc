"""Which trials are wanted."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Self, TypeVar

from pydantic import Field

from tunewell.service.types.base import Wire
from tunewell.spec.errors import ArgumentError, nearest, shown
from tunewell.spec.states import Cause, TrialState

Member = TypeVar("Member", Cause, TrialState)
Scalar = bool | int | float | str | None

#: What the name of a parameter of an address begins with that says within which values something has to be.
WITHIN = "in."

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
#: Whole numbers up to here are written without a fraction.
_WRITTEN_OUT = 1e15
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
#: A value of a list: in quotes, a quote in there twice; or as it is.
_VALUE = re.compile(r'"((?:[^"]|"")*)"(?=,|$)|([^,]*)')
#: A text that needs no quotes: none that could be a number, a word or a range.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")

Number = Annotated[float, Field(allow_inf_nan=False)]


class Range(Wire):
    """Numbers from `low` to `high`, both included."""

    #: None: however small, and `high` None: however large. With neither, whatever has a value.
    low: Number | None = None
    high: Number | None = None

    def __str__(self) -> str:
        """Return it as an address has it: `0.001..0.1`, `0.9..`, `..`."""
        return "..".join("" if end is None else _written(end) for end in (self.low, self.high))


class TrialFilter(Wire):
    """Which trials are wanted: those for which all of this holds. An empty list holds for every trial.

    In addresses it is written like `state=failed`, `in.lr=0.001..0.1`, `in.value=0.9..`,
    `in.optimizer=sgd,adam`; a value with a comma, or a text that looks like a number, stands in quotes (`"1e-3"`).
    """

    #: In one of these.
    states: tuple[TrialState, ...] = ()
    #: Failed for one of these.
    causes: tuple[Cause, ...] = ()
    #: Proposed for one of these reasons: what `origin` begins with, such as `model`, `child`, `warm start`.
    origins: tuple[str, ...] = ()
    #: Parameter, `number`, `value`, `start`, `end` (seconds since the epoch) or `duration` (seconds) → numbers from low
    #: to high, or some values. A parameter that is called like one of these is `parameter:NAME`. A trial that has no
    #: value there, such as one in which the parameter is not active, is not wanted.
    within: Mapping[str, Range | tuple[Scalar, ...]] = Field(default_factory=dict)

    def to_query(self) -> list[tuple[str, str]]:
        """Return it as the parameters of an address."""
        lists = {"state": self.states, "cause": self.causes, "origin": self.origins}
        found = [(name, str(value)) for name, values in lists.items() for value in values]
        for name, condition in self.within.items():
            text = str(condition) if isinstance(condition, Range) else ",".join(map(_written, condition))
            found.append((f"{WITHIN}{name}", text))
        return found

    @classmethod
    def from_query(cls, parameters: Iterable[tuple[str, str]]) -> Self:
        """Return what the parameters of an address say; those of other names are left out.

        Raises:
            ArgumentError: a state or a cause is none, or there are two ranges of one name.
        """
        given: defaultdict[str, list[str]] = defaultdict(list)
        for name, text in parameters:
            if text:  # a field of a form that was left empty says nothing
                given[name].append(text)
        within = {
            name.removeprefix(WITHIN): _condition(name, texts)
            for name, texts in given.items()
            if name.startswith(WITHIN)
        }
        return cls(
            states=tuple(_member("state", text, TrialState) for text in given["state"]),
            causes=tuple(_member("cause", text, Cause) for text in given["cause"]),
            origins=tuple(given["origin"]),
            within=within,
        )


#: Every trial is wanted.
EVERY_TRIAL = TrialFilter()


def _member(field: str, text: str, kind: type[Member]) -> Member:
    try:
        return kind(text)
    except ValueError:
        raise ArgumentError(field, f"{shown(text)} is none", nearest(text, map(str, kind)), text) from None


def _condition(field: str, texts: list[str]) -> Range | tuple[Scalar, ...]:
    ranges = [found for text in texts if (found := _RANGE.fullmatch(text))]
    if ranges and len(texts) > 1:
        raise ArgumentError(field, f"{texts[0]} and {texts[1]} can't both hold", "Give one range", texts[1])
    if ranges:
        low, high = (None if end is None else _number(field, end) for end in ranges[0].groups())
        return Range(low=low, high=high)
    return tuple(_parsed(field, quoted, plain) for text in texts for quoted, plain in _values(text))


def _values(text: str) -> Iterable[tuple[str | None, str]]:
    """Yield the values of a list, each in quotes (what is in there) or as it is."""
    place = 0
    while place <= len(text):
        found = _VALUE.match(text, place)
        assert found is not None, text
        yield found[1], found[2]
        place = found.end() + 1


def _parsed(field: str, quoted: str | None, plain: str) -> Scalar:
    if quoted is not None:
        return quoted.replace('""', '"')
    if plain in _WORDS:
        return _WORDS[plain]
    return _number(field, plain) if re.fullmatch(_NUMBER, plain) else plain


def _number(field: str, text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ArgumentError(field, f"{shown(text)} is too large", "Give a smaller number", text)
    return value


def _written(value: Scalar) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value not in _WORDS else f'''"{value.replace('"', '""')}"'''
    if value is None or isinstance(value, bool):
        return next(word for word, known in _WORDS.items() if known is value)
    return repr(int(value) if value == int(value) and abs(value) < _WRITTEN_OUT else value)
