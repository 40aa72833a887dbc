"""Initial designs: sets of points that cover the unit cube, and the start of a search."""

from __future__ import annotations

import numpy as np

from tunewell.spec.space import SearchSpace
from tunewell.tuners.encoding import Array
from tunewell.tuners.usual_places import UsualPlaces


def latin_hypercube(generator: np.random.Generator, size: int, dimensions: int) -> Array:
    """Return (size, dimensions) points with one in each of `size` slices of every dimension (McKay et al. 1979)."""
    slices = np.array([generator.permutation(size) for _ in range(dimensions)]).T.reshape(size, dimensions)
    return (slices + generator.random((size, dimensions))) / size


def start(generator: np.random.Generator, size: int, space: SearchSpace) -> Array:
    """Return (size, d) points of a space that cover it, more of them where its parameters usually do well."""
    return UsualPlaces(space).lean(latin_hypercube(generator, size, len(space)))
