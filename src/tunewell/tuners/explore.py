"""Moves from good configurations to new ones: crossing two, and perturbing one.

Points lie in the unit cube (see `encoding`), so a step means the same on linear and on logarithmic scales. Rules
that multiply raw values by 0.8 or 1.2, as in Jaderberg et al. 2017 (arXiv:1711.09846), need fifty steps through a
learning rate's range and never leave the integer 1.
"""

from __future__ import annotations

import numpy as np

from tunewell.spec.space import Configuration
from tunewell.tuners.encoding import Array, Encoding

#: Largest step of a perturbation, as a share of the parameter's range.
STEP = 0.2


def cross(better: Array, other: Array, share: float, generator: np.random.Generator) -> Array:
    """Return `better` (d,) with about `share` of its coordinates taken from `other`, where that has a value."""
    taken = (generator.random(better.shape) < share) & ~np.isnan(other)
    return np.where(taken, other, better)


def perturb(
    encoding: Encoding,
    point: Array,
    generator: np.random.Generator,
    *,
    resample: float,
    step: float = STEP,
    kept: Configuration | None = None,
) -> Configuration:
    """Return a configuration near `point` (d,).

    Each coordinate is drawn again with probability `resample`; otherwise an ordered one moves by up to `step` (by at
    least one value if it is discrete and `step` is not 0), and an unordered one stays. Parameters that become active
    are drawn.

    Args:
        encoding: of the search space.
        point: where to start from; NaN where inactive.
        generator: source of randomness.
        resample: probability in [0, 1].
        step: share of the parameter's range.
        kept: parameters that have these values, whatever the point says.
    """
    drawn = generator.random(point.shape)
    steps = generator.uniform(-step, step, point.shape)
    least = np.where((encoding.sizes > 1) & (step > 0), 1.0 / np.maximum(encoding.sizes, 1), 0.0)
    steps = np.where(np.abs(steps) < least, np.copysign(least, steps), steps)
    outwards = (point + steps < 0) | (point + steps > 1)
    moved = np.where(encoding.categorical, point, np.clip(point + np.where(outwards, -steps, steps), 0.0, 1.0))
    moved = np.where(generator.random(point.shape) < resample, drawn, moved)
    moved = np.where(np.isnan(moved), drawn, moved)
    for place, parameter in enumerate(encoding.space):
        if kept and parameter.name in kept:
            moved[place] = parameter.to_unit(kept[parameter.name])
    # Exactly these values: a float may come back from the unit cube a little changed.
    return {name: (kept or {}).get(name, value) for name, value in encoding.decode(moved).items()}
