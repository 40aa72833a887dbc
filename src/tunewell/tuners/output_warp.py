"""Losses as values that a Gaussian process can model: standardised logarithms of the distance from the best loss.

How close a loss comes to the best one matters, its size as such does not; how much so differs between problems. The
family log(u + c), u = (loss - lowest) / (median - lowest), goes from a hard logarithm to hardly any; its Jacobian makes
the likelihoods of different c comparable (Box, Cox 1964, "An Analysis of Transformations", section 3). The median as
unit makes a few diverged trainings harmless.
"""

from __future__ import annotations

import math

import numpy as np

from tunewell.tuners.encoding import Array

#: The constants c.
FLOORS = (0.01, 0.1, 1.0)
#: A median below this, as a share of the largest loss, counts as 0.
_LEAST_UNIT = 1e-300


def warp(losses: Array, floor: float) -> tuple[Array, float]:
    """Return values (n,) with mean 0 and variance 1, and -log |d values / d losses| up to a term without `floor`.

    Args:
        losses: (n,), infinite for failures, which get the value of the worst finite loss (Wakabayashi et al. 2022,
            "floor padding").
        floor: the constant c.
    """
    finite = losses[np.isfinite(losses)]
    if not len(finite) or finite.min() == finite.max():
        return np.zeros(len(losses)), 0.0
    # Scaled first: differences between the ends of the range of floats would overflow.
    scaled = np.minimum(losses, finite.max()) / np.abs(finite).max()
    distance = scaled - scaled.min()
    median = float(np.median(distance))
    unit = median if median > _LEAST_UNIT else distance.max()
    logs = np.log(distance + floor * unit)
    deviation = float(logs.std())
    return (logs - logs.mean()) / deviation, float(logs.sum()) + len(logs) * math.log(deviation)
