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
    scaled = _scaled(losses)
    if scaled is None:
        return np.zeros(len(losses)), 0.0
    distance, unit, _ = scaled
    logs = np.log(distance + floor * unit)
    deviation = float(logs.std())
    return (logs - logs.mean()) / deviation, float(logs.sum()) + len(logs) * math.log(deviation)


def drop(losses: Array, floor: float, gain: float) -> float:
    """Return by how much a value falls if the lowest of the losses (n,) falls by `gain`; infinite if it can't.

    0 where all losses are alike: their values have no scale.
    """
    scaled = _scaled(losses)
    if scaled is None:
        return 0.0
    distance, unit, scale = scaled
    left = floor * unit - gain / scale
    deviation = float(np.log(distance + floor * unit).std())
    return (math.log(floor * unit) - math.log(left)) / deviation if left > 0 else math.inf


def _scaled(losses: Array) -> tuple[Array, float, float] | None:
    """Return distances from the lowest loss (n,), their unit, and what both were divided by; None if all are alike."""
    finite = losses[np.isfinite(losses)]
    if not len(finite) or finite.min() == finite.max():
        return None
    # Scaled first: differences between the ends of the range of floats would overflow.
    scale = float(np.abs(finite).max())
    scaled = np.minimum(losses, finite.max()) / scale
    distance = scaled - scaled.min()
    median = float(np.median(distance))
    return distance, median if median > _LEAST_UNIT else float(distance.max()), scale
