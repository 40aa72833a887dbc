"""Choosing and sorting trials by their columns: a question about all trials takes milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import CAUSES, Flags, Floats, TrialTable
from tunewell.service.origins import KINDS
from tunewell.service.table import Trials
from tunewell.service.types import Range, TrialFilter
from tunewell.service.types.selection import WITHIN, Scalar
from tunewell.spec.errors import ArgumentError, SpecError, nearest, shown
from tunewell.spec.space import Choice, Parameter, describe_domain, is_number, same

#: Columns that are no parameters; NaN where a trial has none.
FACTS: Mapping[str, Callable[[TrialTable], Floats]] = {
    "number": lambda table: table.numbers.astype(np.float64),
    "value": lambda table: table.values,
    "start": lambda table: table.started_at,
    "end": lambda table: table.ended_at,
    "duration": lambda table: np.where(np.isnan(table.ended_at), np.nan, table.cost_seconds),
}
#: Before the name of a parameter that is called like one of these.
PARAMETER = "parameter:"
#: Digits of a number that databases can hold.
_LONGEST_NUMBER = 19


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last trial of a part of a list."""

    #: What the order goes by; None: the number alone.
    key: float | None
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` has made of a cursor; raise `SpecError` if it is something else."""
        key, _, number = text.rpartition(" ")
        try:
            cursor = cls(float(key) if key else None, int(number[:_LONGEST_NUMBER]))
        except ValueError:
            cursor = cls(math.nan, 0)
        if str(cursor) != text or (cursor.key is not None and not math.isfinite(cursor.key)):
            raise SpecError("cursor", f"{shown(text)} is none", "Give the `next` of the page before")
        return cursor

    def __str__(self) -> str:
        return str(self.number) if self.key is None else f"{self.key!r} {self.number}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list of trials."""

    #: Numbers of its trials, in order.
    numbers: list[int]
    #: Cursor of the part behind it; None: this is the last one.
    next: str | None
    #: How many trials there are in all parts.
    count: int


def part(trials: Trials, wanted: TrialFilter, sort: str, cursor: str | None, limit: int) -> Part:
    """Return at most `limit` of the trials that are wanted, beginning behind a cursor.

    Args:
        trials: all trials.
        wanted: which of them count.
        sort: a parameter, or one of `FACTS`; with a `-` before it, the largest comes first. Trials that have none come
            last in either direction; of equal ones the lower number comes first, or last if the largest does.
        cursor: what the part before gave as `next`; None: begin with the first.
        limit: most trials in the part.

    Raises:
        SpecError: there is no such parameter, a value is none of it, or it is no cursor.
    """
    descending, name = sort.startswith("-"), sort.removeprefix("-")
    rows = np.flatnonzero(chosen(trials, wanted))
    numbers = trials.table.numbers[rows]
    keys = np.full(len(rows), np.nan) if name == "number" else _column(trials, "sort", name)[0][rows]
    order = _order(keys, descending)
    numbers, keys = numbers[order], keys[order]
    begin = 0 if cursor is None else len(rows) - int(_behind(Cursor.parse(cursor), numbers, keys, descending).sum())
    end = begin + limit
    following = None
    if end < len(rows):
        key = float(keys[end - 1])
        following = str(Cursor(None if math.isnan(key) else key, int(numbers[end - 1])))
    return Part(numbers[begin:end].tolist(), following, len(rows))


def numbers(trials: Trials, wanted: TrialFilter) -> list[int]:
    """Return the numbers of the trials that are wanted, ascending; raises `SpecError` as `part` does."""
    found: list[int] = trials.table.numbers[chosen(trials, wanted)].tolist()
    return found


def chosen(trials: Trials, wanted: TrialFilter) -> Flags:
    """Return which trials are wanted, (n,); raises `SpecError` as `part` does."""
    table = trials.table
    flags: Flags = np.ones(len(table), np.bool_)
    if wanted.states:
        flags &= table.in_state(*wanted.states)
    if wanted.causes:
        flags &= np.isin(table.causes, [CAUSES.index(cause) for cause in wanted.causes])
    if wanted.origins:
        flags &= np.isin(table.origins, [_origin(table, origin) for origin in wanted.origins])
    for name, condition in wanted.within.items():
        flags &= _holding(trials, name, condition)
    return flags


def _holding(trials: Trials, name: str, condition: Range | tuple[Scalar, ...]) -> Flags:
    """Return for which trials a condition on a column holds, (n,); one without values holds for all."""
    field = f"{WITHIN}{name}"
    values, parameter = _column(trials, field, name)
    if condition == ():
        return np.ones(len(values), np.bool_)
    if isinstance(parameter, Choice):
        return np.isin(values, _places(field, parameter, condition))
    if isinstance(condition, Range):
        low, high = _ends(field, condition)
        return np.asarray((values >= low) & (values <= high))
    return np.isin(values, _numbers(field, condition))


def _order(keys: Floats, descending: bool) -> NDArray[np.int64]:
    """Return the places in order; keys come by ascending number, NaN where a trial has none."""
    order = np.argsort(keys, kind="stable")  # with NaN behind all others
    if descending:
        keyed = len(keys) - int(np.isnan(keys).sum())
        order = np.concatenate([order[:keyed][::-1], order[keyed:][::-1]])
    return order


def _behind(cursor: Cursor, numbers: NDArray[np.int64], keys: Floats, descending: bool) -> Flags:
    """Return which trials come behind the one of the cursor."""
    behind = numbers < cursor.number if descending else numbers > cursor.number
    if cursor.key is None:
        return np.isnan(keys) & behind
    further = keys < cursor.key if descending else keys > cursor.key
    return np.asarray(further | ((keys == cursor.key) & behind) | np.isnan(keys))


def _column(trials: Trials, field: str, name: str) -> tuple[Floats, Parameter | None]:
    """Return a column, (n,), and the parameter whose it is; raise `ArgumentError` if there is none of the name."""
    if name in FACTS:
        return FACTS[name](trials.table), None
    own = name.removeprefix(PARAMETER)
    if own not in trials.space:
        known = [*FACTS, *trials.space.names]
        problem = f"{shown(name)} is neither a parameter nor one of {', '.join(FACTS)}"
        raise ArgumentError(field, problem, nearest(own, known), name)
    return trials.settings[:, trials.space.names.index(own)], trials.space[own]


def _origin(table: TrialTable, origin: str) -> int:
    if origin not in table.origin_names:
        raise ArgumentError("origin", f"{shown(origin)} is none", nearest(origin, KINDS), origin)
    return table.origin_names.index(origin)


def _ends(field: str, condition: Range) -> tuple[float, float]:
    low = -math.inf if condition.low is None else condition.low
    high = math.inf if condition.high is None else condition.high
    if low > high:
        raise ArgumentError(field, f"{condition} is empty", f"Write {Range(low=high, high=low)}", str(condition))
    return low, high


def _numbers(field: str, values: tuple[Scalar, ...]) -> list[float]:
    for value in values:
        if not is_number(value):
            raise ArgumentError(field, f"{shown(value)} is no number", "Write it like 0.001..0.1, or 3", value)
    return [float(value) for value in values if is_number(value)]


def _places(field: str, parameter: Choice, condition: Range | tuple[Scalar, ...]) -> list[int]:
    """Return the places of the choices for which a condition holds: a range holds for numbers alone."""
    if isinstance(condition, Range):
        low, high = _ends(field, condition)
        if condition.low is None and condition.high is None:
            return list(range(parameter.size))
        places = [place for place, known in enumerate(parameter.values_) if is_number(known)]
        if not places:
            raise ArgumentError(
                field, "its values are no numbers", f"Name some of {describe_domain(parameter)}", str(condition)
            )
        return [place for place in places if low <= parameter.values_[place] <= high]
    return [_place(field, parameter, value) for value in condition]


def _place(field: str, parameter: Choice, value: Scalar) -> int:
    """Return the place of a value, or else of the one that is written like it: `16` may be a text."""
    for alike in (same, lambda one, other: _word(one) == _word(other)):
        for place, known in enumerate(parameter.values_):
            if alike(known, value):
                return place
    names = [known if isinstance(known, str) else shown(known) for known in parameter.values_]
    raise ArgumentError(field, f"{shown(value)} is none of its values", nearest(str(value), names), value)


def _word(value: Scalar) -> str:
    return value if isinstance(value, str) else shown(value)
