"""Grid search in an order that covers the space early.

A continuous parameter contributes evenly spaced values (in its own scale), a discrete one all of its values. The
points are visited with a stride of about the golden section of their number, the additive recurrence with the
lowest discrepancy (Kuipers, Niederreiter 1974, "Uniform Distribution of Sequences", chapter 2): a search that is
stopped early has seen the whole space coarsely, instead of one corner of it finely.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar

from tunewell.spec.errors import SpecError
from tunewell.spec.space import Configuration, SearchSpace, key
from tunewell.tuners.contract import Exhausted, Search, Suggestion, Tuner, Wait
from tunewell.tuners.fresh import Fresh, enumerate_space

DEFAULT_POINTS = 5
_GOLDEN = (math.sqrt(5) - 1) / 2
#: Grids up to this size are counted exactly where conditions make points coincide.
_LARGEST_COUNTED = 100_000
#: Most values of a discrete parameter.
_MOST_VALUES = 100_000


class GridTuner(Tuner):
    """Visits every point of a grid once; all trials may run at once."""

    name: ClassVar[str] = "grid"

    def __init__(self, search: Search, *, points: int = DEFAULT_POINTS) -> None:
        """Set up the grid with `points` values of each continuous parameter; see `Tuner`."""
        super().__init__(search)
        _check_enumerable(self.space)
        self._values = [parameter.values(max(points, parameter.size or 0)) for parameter in self.space]
        self._size = math.prod(len(values) for values in self._values)
        self._stride = _coprime_near(self._size * Fraction(_GOLDEN), self._size)
        #: How many points of the visiting order are behind us.
        self._visited = 0
        self._fresh = Fresh(self.space)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Return the next point that has not been suggested."""
        for visit in range(self._visited, self._size):
            configuration = self._point(visit)
            if self._fresh.is_new(configuration):
                return Suggestion(number, configuration, "grid")
        return Exhausted()

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration, and move on to it if it is a point of the grid."""
        if suggestion.origin == "grid":
            wanted = key(suggestion.parameters)
            while self._visited < self._size:
                self._visited += 1
                if key(self._point(self._visited - 1)) == wanted:
                    break
        self._fresh.note(suggestion.parameters)

    def _point(self, visit: int) -> Configuration:
        """Return the configuration at a place of the visiting order (points that conditions join coincide)."""
        index = visit * self._stride % self._size
        configuration: Configuration = {}
        for parameter, values in zip(self.space, self._values, strict=True):
            index, place = divmod(index, len(values))
            if self.space.is_active(parameter, configuration):
                configuration[parameter.name] = values[place]
        return configuration


def grid_size(space: SearchSpace, points: int = DEFAULT_POINTS) -> int:
    """Return the number of different points of the grid; an upper bound if it is large and has conditions.

    Raises:
        SpecError: a parameter has too many values for a grid.
    """
    _check_enumerable(space)
    bound = math.prod(len(parameter.values(max(points, parameter.size or 0))) for parameter in space)
    if bound > _LARGEST_COUNTED or not any(parameter.when for parameter in space):
        return bound
    return sum(1 for _ in enumerate_space(space, points))


def _check_enumerable(space: SearchSpace) -> None:
    for parameter in space:
        if (parameter.size or 0) > _MOST_VALUES:
            raise SpecError(
                f"parameters.{parameter.name}",
                f"it has {parameter.size} values, and a grid tries all",
                "Give a longer step, or take another algorithm",
            )


def _coprime_near(target: Fraction, size: int) -> int:
    """Return the number nearest to `target` that has no factor in common with `size`, so that all are visited."""
    for distance in range(size):
        for candidate in (round(target) - distance, round(target) + distance):
            if candidate > 0 and math.gcd(candidate, size) == 1:
                return candidate
    return 1
