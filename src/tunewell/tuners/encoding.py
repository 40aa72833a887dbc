"""Configurations as points of the unit cube, for tuners that work with arrays.

Symbols: n configurations, d parameters. A point is (d,) float64 in [0, 1], NaN where a parameter is inactive;
discrete values sit in the middle of their share (their *cell*).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tunewell.spec.space import Choice, Configuration, Numeric, SearchSpace, Value

Array = npt.NDArray[np.float64]

_SAME = 1e-9


class Encoding:
    """The way between configurations of one space and points."""

    def __init__(self, space: SearchSpace) -> None:
        """Work out sizes, cells and conditions once."""
        self.space = space
        parameters = space.parameters
        #: Number of values, 0 for continuous parameters.
        self.sizes = np.array([parameter.size or 0 for parameter in parameters])
        #: Which parameters have no order.
        self.categorical = np.array([isinstance(p, Choice) and not p.ordered for p in parameters], dtype=bool)
        places = {parameter.name: place for place, parameter in enumerate(parameters)}
        self._conditions = [
            (place, places[condition.parent], self._positions(condition.parent, condition.values))
            for place, parameter in enumerate(parameters)
            for condition in parameter.when
        ]
        #: Which parameters decide whether others are active.
        self.parents = np.isin(np.arange(len(parameters)), [parent for _, parent, _ in self._conditions])
        self._log_scales = {place: _log_scale(p) for place, p in enumerate(parameters) if _is_log_integer(p)}

    def encode(self, configuration: Mapping[str, Value]) -> Array:
        """Return the point (d,) of a configuration."""
        return np.array([p.to_unit(configuration[p.name]) if p.name in configuration else math.nan for p in self.space])

    def decode(self, point: Array) -> Configuration:
        """Return the configuration at a point; NaN counts as the middle where its parameter is active after all."""
        positions = np.nan_to_num(point, nan=0.5).tolist()
        return self.space.from_unit(dict(zip(self.space.names, positions, strict=True)))

    def cells(self, place: int, positions: Array) -> tuple[Array, Array, Array]:
        """Return lower end, middle and upper end of the cells that positions (n,) of a discrete parameter lie in."""
        parameter, size = self.space.parameters[place], int(self.sizes[place])
        if place in self._log_scales:
            assert isinstance(parameter, Numeric)
            slope, intercept = self._log_scales[place]
            values = np.rint(np.exp((positions - intercept) / slope)).clip(parameter.low, parameter.high)
            lower, middle, upper = (slope * np.log(values + shift) + intercept for shift in (-0.5, 0.0, 0.5))
            return lower.clip(0, 1), middle, upper.clip(0, 1)
        index = np.minimum(np.floor(positions * size), size - 1)
        return index / size, (index + 0.5) / size, (index + 1) / size

    def snap(self, points: Array) -> Array:
        """Return points (n, d) with discrete values in the middle of their cells, and NaN where inactive."""
        points = points.copy()
        for place in np.flatnonzero(self.sizes).tolist():
            points[:, place] = self.cells(place, points[:, place])[1]
        for place, parent, values in self._conditions:  # parents come first
            place_above = np.searchsorted(values, points[:, parent] - _SAME).clip(max=len(values) - 1)
            holds = np.abs(points[:, parent] - values[place_above]) < _SAME
            points[~holds, place] = math.nan
        return points

    def activity(self) -> Array:
        """Return how probable it is that each parameter (d,) is active at a random point, several parents apart."""
        active = np.ones(len(self.sizes))
        for place, parent, values in self._conditions:  # parents come first
            active[place] *= active[parent] * len(values) / self.sizes[parent]
        return active

    def _positions(self, parent: str, values: tuple[Value, ...]) -> Array:
        return np.sort([self.space[parent].to_unit(value) for value in values])


def _is_log_integer(parameter: object) -> bool:
    return isinstance(parameter, Numeric) and parameter.log and parameter.size is not None and parameter.size > 1


def _log_scale(parameter: object) -> tuple[float, float]:
    """Return slope and intercept of position against log(value)."""
    assert isinstance(parameter, Numeric)
    low, high = parameter.to_unit(parameter.low), parameter.to_unit(parameter.high)
    slope = (high - low) / (math.log(parameter.high) - math.log(parameter.low))
    return slope, low - slope * math.log(parameter.low)
