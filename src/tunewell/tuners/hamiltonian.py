"""The move of PSHE2: Hamiltonian dynamics of particles that are drawn to good points, without a gradient.

Sources: PSHE2 of PaddleHub 1.8, `paddlehub/autofinetune/autoft.py` (no paper is known); Su, Boyd, Candès 2016, "A
Differential Equation for Modeling Nesterov's Accelerated Gradient Method", JMLR 17 (friction that falls with time).

A particle at x moves in the potential ½|x−p|² + ½|x−g|² (p: the best point that it has been at, g: the best of all)
under friction 3/t, discretised by symplectic Euler steps of size α; then a random disturbance ε is added. (t counts
steps. Nesterov's friction is 3/τ, τ = αt being the time that has passed: here it is α times that, a weaker one.)

    m ← (1 − 3α/t) m − α (x − p) − α (x − g)                                                           (1)
    x ← x + α m                                                                                        (2)
    x ← x + ε r (1 − x) if r ≥ 0, else x + ε r x, with r ~ U(−1, 1) in each coordinate                 (3)

PaddleHub states this on [−1, 1]; all of it is linear, so that it reads the same on the unit cube. Deviations: each
particle has a momentum m of its own (PaddleHub's share one, by a mistake); x is clipped to the cube before (3), which
outside of it would push the wrong way.

Symbols: points are (…, d) in the unit cube, NaN where a parameter is inactive (see `encoding`); whatever belongs to a
point broadcasts against it, so that one call moves one particle or makes many proposals for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tunewell.tuners.encoding import Array


@dataclass(frozen=True, slots=True)
class StepConstants:
    """The constants of a step, PaddleHub's by default; arrays broadcast against points."""

    #: α, the step size.
    alpha: Array | float = 0.5
    #: ε, the strength of the disturbance.
    epsilon: Array | float = 0.2
    #: How strongly the particle's own best point attracts.
    own_weight: Array | float = 1.0
    #: How strongly the best point of all attracts.
    best_weight: Array | float = 1.0


def hamiltonian_step(
    position: Array,
    momentum: Array,
    own_best: Array,
    best: Array,
    step: int,
    noise: Array,
    constants: StepConstants = StepConstants(),
) -> tuple[Array, Array]:
    """Return position and momentum after a step: equations (1) to (3).

    Only coordinates that are active on both sides attract. An inactive coordinate starts, without momentum, from where
    `own_best` or else `best` has it, or anywhere: whether it is active afterwards is for the caller to say.

    Args:
        position: where the particle is.
        momentum: of the particle, finite.
        own_best: the best point that the particle has been at.
        best: the best point of all.
        step: t, the number of this step in the particle's life, from 1 on.
        noise: r, drawn from U(−1, 1).
        constants: α, ε and the weights of (x − p) and (x − g) in (1).
    """
    inactive = np.isnan(position)
    start = np.where(inactive, np.where(np.isnan(own_best), best, own_best), position)
    start = np.where(np.isnan(start), (noise + 1) / 2, start)
    k = constants
    pull = k.own_weight * np.nan_to_num(start - own_best) + k.best_weight * np.nan_to_num(start - best)
    momentum = (1 - 3 * k.alpha / step) * np.where(inactive, 0.0, momentum) - k.alpha * pull
    return disturb(np.clip(start + k.alpha * momentum, 0, 1), k.epsilon * noise), momentum


def disturb(position: Array, noise: Array) -> Array:
    """Return the position moved by a share |noise| ≤ 1 of its distance from 1 (noise > 0) or 0: equation (3)."""
    return position + noise * np.where(noise >= 0, 1 - position, position)


def exchange_categories(
    position: Array, own_best: Array, best: Array, step: int, generator: np.random.Generator
) -> Array:
    """Return values for parameters without order, (…, d): copied from a good point, or drawn again.

    The probability of a copy, t/(t + 1), grows during the particle's life; `own_best` and `best` are copied equally
    often. Where the one that was chosen is inactive, the value is drawn.
    """
    drawn = generator.random(position.shape)
    source = generator.random(position.shape) * (step + 1) / step  # above 1 with probability 1/(t + 1)
    copied = np.where(source < 0.5, own_best, np.where(source < 1, best, math.nan))
    return np.where(np.isnan(copied), drawn, copied)
