"""A metric over the steps of a trial, beside that of the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from tunewell.spec.format import number

#: Size of the drawing in its own units; it is as wide as what it stands in.
_WIDTH, _HEIGHT, _TOP, _LEFT, _BOTTOM = 640, 220, 8, 52, 22
#: Most points of a line.
_POINTS = 300

Curve = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart: `svg` is None where there is none, and the caption says why."""

    title: str
    caption: str
    svg: str | None


def draw(metric: str, curve: Curve, best: Curve, best_number: int | None) -> Drawn:
    """Return a metric over steps: of a trial, and, where there is one, of the best trial behind it."""
    title = f"{metric} over steps"
    if len(curve) < 2:
        return Drawn(title, "It has been reported at one step only." if curve else "It has not been reported.", None)
    steps = [*curve, *best]
    values = [value for value in (*curve.values(), *best.values()) if math.isfinite(value)]
    low, high = min(values), max(values)
    place = _Place(min(steps), max(steps), low, high)
    lines = "".join(
        Markup('<polyline class="{}" points="{}"/>').format(kind, place.points(one))
        for kind, one in (("best", best), ("own", curve))
        if one
    )
    texts = Markup('<text x="{0}" y="{1}">{3}</text><text x="{0}" y="{2}">{4}</text>').format(
        _LEFT - 8, _TOP + 8, _HEIGHT - _BOTTOM, number(high), number(low)
    )
    svg = Markup(
        '<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<path class="axis" d="M{} {}H{}"/>{}{}<text class="step" x="{}" y="{}">step {}</text></svg>'
    ).format(
        *(_WIDTH, _HEIGHT, f"{metric} from step {min(curve)} to {max(curve)}"),
        *(_LEFT, _HEIGHT - _BOTTOM, _WIDTH, Markup(lines), texts),
        *(_WIDTH, _HEIGHT - 4, max(steps)),
    )
    return Drawn(title, f"The line behind it is trial {best_number}, the best one." if best else "", svg)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where steps and values stand."""

    first: int
    last: int
    low: float
    high: float

    def points(self, curve: Curve) -> str:
        steps = sorted(curve)
        chosen = steps[:: max(1, math.ceil(len(steps) / _POINTS))] + steps[-1:]
        return " ".join(f"{self._x(step):.1f},{self._y(curve[step]):.1f}" for step in chosen)

    def _x(self, step: int) -> float:
        return _LEFT + (_WIDTH - _LEFT) * (step - self.first) / max(self.last - self.first, 1)

    def _y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)
