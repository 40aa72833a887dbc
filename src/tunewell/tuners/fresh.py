"""Configurations that have not been suggested yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tunewell.spec.space import Configuration, SearchSpace, Value, key

#: Random draws before a finite space is gone through value by value.
_DRAWS = 100
#: Finite spaces up to this size are gone through; larger ones are drawn from more often instead.
_LARGEST_ENUMERATED = 100_000


class Fresh:
    """Remembers what was suggested, and draws what was not.

    A configuration is suggested once, whatever became of it: one that failed by accident is retried under its own
    trial number, not proposed again.
    """

    def __init__(self, space: SearchSpace) -> None:
        """Know no suggestion yet."""
        self._space = space
        self._seen: set[tuple[tuple[str, str], ...]] = set()

    def note(self, configuration: Mapping[str, Value]) -> None:
        """Remember a suggestion."""
        self._seen.add(key(configuration))

    def is_new(self, configuration: Mapping[str, Value]) -> bool:
        """Whether the configuration has not been suggested."""
        return key(configuration) not in self._seen

    def draw(self, generator: np.random.Generator) -> Configuration | None:
        """Return a new configuration, uniform in the parameters' scales; None if nothing is left."""
        size = self._space.size()
        draws = _DRAWS if size is not None and size <= _LARGEST_ENUMERATED else 100 * _DRAWS
        for _ in range(draws):
            configuration = self._space.sample(generator)
            if self.is_new(configuration):
                return configuration
        if size is None or size > _LARGEST_ENUMERATED:
            return None
        left = [configuration for configuration in enumerate_space(self._space) if self.is_new(configuration)]
        return left[generator.integers(len(left))] if left else None


def enumerate_space(space: SearchSpace, points: int = 0) -> Iterator[Configuration]:
    """Yield every configuration once, parameters in their order; `points` values of each continuous parameter."""
    values = [parameter.values(max(points, parameter.size or 0)) for parameter in space]

    def extend(configuration: Configuration, place: int) -> Iterator[Configuration]:
        if place == len(values):
            yield configuration
            return
        parameter = space.parameters[place]
        if not space.is_active(parameter, configuration):
            yield from extend(configuration, place + 1)
            return
        for value in values[place]:
            yield from extend({**configuration, parameter.name: value}, place + 1)

    yield from extend({}, 0)
