"""Initial designs: sets of points that cover the unit cube."""

from __future__ import annotations

import numpy as np

from tunewell.tuners.encoding import Array


def latin_hypercube(generator: np.random.Generator, size: int, dimensions: int) -> Array:
    """Return (size, dimensions) points with one in each of `size` slices of every dimension (McKay et al. 1979)."""
    slices = np.array([generator.permutation(size) for _ in range(dimensions)]).T.reshape(size, dimensions)
    return (slices + generator.random((size, dimensions))) / size
