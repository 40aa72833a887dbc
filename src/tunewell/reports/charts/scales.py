"""From values to places along an axis, and the marks on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tunewell.reports.charts.svg import label
from tunewell.reports.table import Floats, Goal
from tunewell.spec.errors import count
from tunewell.spec.format import number, scalar
from tunewell.spec.space import Choice, Parameter, Value

#: Most values of a parameter that are named on its axis.
MOST_NAMED = 12
#: Share of the values, the worst, that may be left out of a chart → how much smaller that must make its range.
OUTLIERS = {0.05: 4, 0.1: 10, 0.2: 20}
#: About how wide a character of a mark is, the least space between marks, and an axis on a phone, in pixels.
CHARACTER, GAP, NARROW = 6.5, 10, 230
#: An axis ends here at the latest.
LARGEST = 1.7e308
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    #: 0 to 1.
    place: float
    text: str
    #: Whether it is left out where there is little room.
    spare: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    title: str = ""

    def places(self, values: ArrayLike) -> Floats:
        """Return where values stand, from 0 to 1; those outside the axis stand at its ends."""
        halves = np.asarray(values, dtype=np.float64) / 2  # the difference of two large numbers may be too large
        return np.clip((halves - self.low / 2) / (self.high / 2 - self.low / 2), 0.0, 1.0)

    def place(self, value: float) -> float:
        """Return where a value stands, from 0 to 1."""
        return float(self.places(value))

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high


def linear_axis(low: float, high: float, title: str = "", *, whole: bool = False, most: int = 6) -> Axis:
    """Return an axis with marks at round numbers, `whole` ones alone if so wished.

    Where both ends are the same, as far as numbers can tell, it is widened around them.
    """
    low, high = _within(low), _within(high)
    size = max(abs(low), abs(high))
    if not high / 2 - low / 2 > max(size * 1e-12, 1e-300):
        margin = size * 0.05 if size > 1e-290 else 0.5
        low, high = _within(low - margin), _within(high + margin)
    axis = Axis(low, high, (), title)
    marks = round_numbers(low, high, most, whole=whole)
    return replace(axis, ticks=_thinned(tuple(Tick(axis.place(mark), text) for mark, text in marks)))


def round_numbers(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[tuple[float, str]]:
    """Return at most `most` round numbers from `low` to `high` (more where they are few), with their texts."""
    span = high - low
    if not math.isfinite(span):
        return [(low, number(low, 3)), (0.0, "0"), (high, number(high, 3))]
    power = math.floor(math.log10(span / most))
    step = next(factor * 10.0**power for factor in (1, 2, 2.5, 5, 10) if span / (factor * 10.0**power) <= most)
    if whole:
        step = max(1.0, 2.0 if step == 2.5 else step)
    first, last = math.ceil(low / step - _SLACK), math.floor(high / step + _SLACK)
    return [(place * step, _text(place * step, step)) for place in range(first, last + 1)]


def _text(value: float, step: float) -> str:
    """Return a mark's number with as many decimals as its step has; thousands apart from 10 000 on."""
    largest = max(abs(value), step)
    if largest >= 1e7 or step < 1e-6:
        return number(value, max(3, math.floor(math.log10(largest / step)) + 2))
    decimals = next(decimals for decimals in range(8) if abs(round(step, decimals) - step) < step * _SLACK)
    text = f"{value:,.{decimals}f}" if largest >= 1e4 else f"{value:.{decimals}f}"
    return "0" if value == 0 else text.replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", "−")


def log_marks(low: float, high: float) -> list[float]:
    """Return the powers of ten from `low` to `high`; where they are few, their doubles and fivefolds, too."""
    least, most = math.log10(low) - _SLACK, math.log10(high) + _SLACK
    powers = range(math.floor(least), math.floor(most) + 1)
    marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    marks = [mark for mark in marks if least <= math.log10(mark) <= most]
    tens = [mark for mark in marks if math.log10(mark).is_integer()]
    return tens if len(tens) > 2 else marks


def parameter_axis(parameter: Parameter) -> Axis:
    """Return an axis for the positions of a parameter in its unit interval, marked with its values."""
    return Axis(0.0, 1.0, _thinned(_parameter_ticks(parameter)), label(parameter.name, 28))


def _parameter_ticks(parameter: Parameter) -> tuple[Tick, ...]:
    if parameter.size is not None and parameter.size <= MOST_NAMED:
        return _named(parameter, parameter.values(MOST_NAMED))
    if isinstance(parameter, Choice):
        return _named(parameter, parameter.values_[:: -(-parameter.size // MOST_NAMED)])
    marks = log_marks(parameter.low, parameter.high) if parameter.log else []
    if len(marks) > 2:
        return tuple(Tick(parameter.to_unit(mark), scalar(mark)) for mark in marks)
    found = round_numbers(parameter.low, parameter.high, 5, whole=parameter.integer)
    return tuple(Tick(parameter.to_unit(mark), text) for mark, text in found)


def _named(parameter: Parameter, values: Sequence[Value]) -> tuple[Tick, ...]:
    return tuple(Tick(parameter.to_unit(value), label(scalar(value), 14)) for value in values)


def _thinned(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    """Return the ticks, all but every second, third … spare if their texts are too long for a phone together."""
    wide = sum(len(tick.text) * CHARACTER + GAP for tick in ticks)
    kept = math.ceil(wide / NARROW)
    return tuple(replace(tick, spare=place % kept > 0) for place, tick in enumerate(ticks))


def value_range(values: Floats, goal: Goal) -> tuple[float, float, str]:
    """Return the ends of an axis for values, and a sentence on those that it leaves out: the worst, if they flatten.

    Left out is the smallest share of `OUTLIERS` that makes the range smaller by the factor beside it, never of
    fewer than 10 values.
    """
    ordered = np.sort(values)[:: -1 if goal == "maximize" else 1]  # best first
    best, worst = float(ordered[0]), float(ordered[-1])
    for share, factor in OUTLIERS.items() if len(ordered) >= 10 else ():
        kept = float(ordered[-1 - max(1, int(share * len(ordered)))])
        if kept != best and abs(worst / 2 - best / 2) >= factor * abs(kept / 2 - best / 2):
            low, high = _padded(best, kept)
            outside = int(((values < low) | (values > high)).sum())
            return low, high, f"Left out: {count(outside, 'trial')} far worse than the rest."
    return *_padded(best, worst), ""


def _padded(first: float, second: float) -> tuple[float, float]:
    low, high = sorted((first, second))
    margin = 0.06 * (high / 2 - low / 2) * 2
    return _within(low - margin), _within(high + margin)


def _within(end: float) -> float:
    return min(max(end, -LARGEST), LARGEST)


def time_unit(span_seconds: float) -> tuple[float, str]:
    """Return the seconds of a unit that suits a time axis of this length, and the unit's name."""
    for seconds, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if span_seconds >= 2 * seconds:
            return seconds, name
    return 1.0, "seconds"
