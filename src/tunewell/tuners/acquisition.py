"""Expected improvement, and where it is largest.

Sources: Jones, Schonlau, Welch 1998, "Efficient Global Optimization of Expensive Black-Box Functions" (expected
improvement); Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization",
equation 9 (its logarithm); Hutter, Hoos, Leyton-Brown 2011, "Sequential Model-Based Optimization for General Algorithm
Configuration" (random points and local search over mixed spaces).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erfcx, log_ndtr

from tunewell.tuners.encoding import Array, Encoding

#: Points drawn from the whole space, and around the incumbents.
RANDOM_POINTS = 300
PERTURBED_POINTS = 150
#: Rounds of local search, points that each starts from, and neighbours of each.
ROUNDS = 3
STARTS = 8
NEIGHBOURS = 15
#: Range of the standard deviations of steps in the unit cube, log-uniform.
STEPS = (0.02, 0.3)
#: Most parameters that a step changes.
MOST_CHANGED = 3

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return log E[max(best - f, 0)] (m,) for f ~ N(mean, deviation²), also where it underflows."""
    z = (best - mean) / deviation
    return _log_improvement(z) + np.log(deviation)


def _log_improvement(z: Array) -> Array:
    """Return log(φ(z) + z Φ(z)), (m,)."""
    log_density = -0.5 * z * z - _LOG_SQRT_2PI
    result = np.empty_like(z)
    near = z > -1.0
    result[near] = np.log(np.exp(log_density[near]) + z[near] * np.exp(log_ndtr(z[near])))
    far = -z[~near]
    # 1 - √(π/2) t erfcx(t/√2) tends to 1/t²; it loses all digits long after 1/t² has become exact enough.
    share = np.where(far < 1e4, 1.0 - _SQRT_HALF_PI * far * erfcx(far / math.sqrt(2.0)), 0.0)
    result[~near] = log_density[~near] + np.log(np.maximum(share, 1.0 / (far * far + 3.0)))
    return result


def search(
    score: Callable[[Array], Array], encoding: Encoding, incumbents: Array, generator: np.random.Generator
) -> Array:
    """Return the points (m, d) that were scored on the search for the largest score, best first.

    Args:
        score: function from points (m, d) to scores (m,).
        encoding: of the space.
        incumbents: points (k, d) around which it pays to look.
        generator: source of randomness.
    """
    d = len(encoding.sizes)
    around = np.repeat(incumbents, math.ceil(PERTURBED_POINTS / max(len(incumbents), 1)), axis=0)
    points = np.vstack([encoding.snap(generator.random((RANDOM_POINTS, d))), neighbours(encoding, around, generator)])
    scores = score(points)
    for _ in range(ROUNDS):
        best = np.argsort(-scores, kind="stable")[:STARTS]
        found = neighbours(encoding, np.repeat(points[best], NEIGHBOURS, axis=0), generator)
        points, scores = np.vstack([points, found]), np.append(scores, score(found))
    return points[np.argsort(-scores, kind="stable")]


def neighbours(encoding: Encoding, points: Array, generator: np.random.Generator) -> Array:
    """Return for each of the points (m, d) one that differs in 1 to MOST_CHANGED active parameters.

    Ordered parameters make a normal step, of one value at least if they are discrete; categories are drawn again.
    Parameters that become active are drawn uniformly.
    """
    m, d = points.shape
    movable = ~np.isnan(points) & (encoding.sizes != 1)
    rank = np.argsort(np.argsort(np.where(movable, generator.random((m, d)), 2.0), axis=1), axis=1)
    changed = movable & (rank < generator.integers(1, MOST_CHANGED + 1, size=(m, 1)))
    uniform = generator.random((m, d))
    sigma = np.exp(generator.uniform(math.log(STEPS[0]), math.log(STEPS[1]), size=(m, 1)))
    step = sigma * generator.standard_normal((m, d))
    for place in np.flatnonzero(encoding.sizes > 1).tolist():
        if not encoding.categorical[place]:
            lower, _, upper = encoding.cells(place, np.nan_to_num(points[:, place], nan=0.5))
            step[:, place] = np.copysign(np.maximum(np.abs(step[:, place]), upper - lower), step[:, place])
    moved = np.clip(points + step, 0.0, 1.0)
    moved = np.where(encoding.categorical, uniform, moved)
    moved = np.where(changed, moved, points)
    return encoding.snap(np.where(np.isnan(moved), uniform, moved))
