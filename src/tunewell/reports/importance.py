"""How much each parameter decides whether a trial is among the best: PED-ANOVA.

Watanabe, Bansal, Hutter: PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces
(IJCAI 2023), here in its local form: the region is everything that was tried, the question is what
distinguishes the best tenth of it.

Symbols: n trials with a value, of which the m best (a tenth, 5 at least, ties included) are the top; C cells
that a parameter's range is divided into; w_i how often trial i counts (1, or what a bootstrap sample drew).

1. Each trial becomes a density over the cells, k_i (C,): for numbers and ordered choices a Gaussian kernel on
   the parameter's unit interval, its bandwidth by Scott's rule for the top trials (1.059 σ m^(-1/5), one cell
   at least); for unordered choices all in one cell. Parzen estimates of all and of the top trials:

       p = (Σ_i w_i k_i + 1/C) / (n + 1)          q = Σ_{i in top} w_i k_i / m

   The prior 1/C, with the weight of one trial, stands in p alone: it keeps the quotient below finite.
2. Importance is the variance of the chance of being among the best, as a function of this parameter alone.
   It is proportional to the Pearson divergence between the two densities:

       D = Σ_c (q_c − p̂_c)² / p_c,               p̂ = Σ_i w_i k_i / n

3. Few top trials differ from the rest by chance alone, which D takes for importance. Its expected size is
   subtracted, with s² the variance of k among the top trials. (The paper has no such term. With it, shares
   found with few trials are nearer to those found with very many.)

       D' = D − (1/m − 1/n) Σ_c s_c² / p_c

4. A conditional parameter decides nothing among the trials in which it is inactive: only the spread among
   those where it is active counts. By the law of total variance, with a and b the shares of all and of the
   top trials in which it is active, and D' worked out among these alone,

       V = b² / a · max(D', 0)                    (a = b = 1 without conditions)

   Whether it is active at all is its parent's merit.
5. The shares V / ΣV are reported, each with the 5th and 95th percentile over bootstrap samples of the trials.

These are main effects: what only a combination of parameters decides, none of them is credited with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import TrialTable
from tunewell.spec.space import Choice, Parameter

#: Below this number of trials with a value, importances say more about chance than about parameters.
MIN_TRIALS = 20
#: More say no more, and take time and memory.
MOST_TRIALS = 5000
TOP_SHARE = 0.1
MIN_TOP = 5
BOOTSTRAP_SAMPLES = 200
INTERVAL = (5.0, 95.0)
CELLS = 50

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of one parameter."""

    parameter: str
    #: Share in the importance of all parameters, in [0, 1]. All are 0 if nothing tells the best trials apart.
    share: float
    #: Ends of its 90 % bootstrap interval.
    low: float
    high: float


def parameter_importances(table: TrialTable, seed: int = 0) -> tuple[Importance, ...] | None:
    """Return the importance of every parameter, the greatest first; None with too few comparable trials.

    Of more than `MOST_TRIALS`, evenly chosen ones are looked at. `seed`: source of the bootstrap samples.
    """
    rows = np.flatnonzero(table.comparable)
    rows = rows[:: max(1, -(-len(rows) // MOST_TRIALS))]
    n = len(rows)
    if n < MIN_TRIALS:
        return None
    losses, positions = table.losses[rows], table.positions[rows].astype(np.float64)
    generator = np.random.default_rng(seed)
    weights = np.vstack([np.ones(n), generator.multinomial(n, np.full(n, 1 / n), BOOTSTRAP_SAMPLES)])  # (1+B, n)
    top = weights * _is_top(losses, weights)
    variances = np.array([_variances(p, positions[:, i], weights, top) for i, p in enumerate(table.space)])  # (d, 1+B)
    totals = variances.sum(axis=0)
    shares = np.divide(variances, totals, out=np.zeros_like(variances), where=totals > 0)
    low, high = np.percentile(shares[:, 1:], INTERVAL, axis=1)
    found = [
        Importance(parameter.name, float(shares[i, 0]), float(low[i]), float(high[i]))
        for i, parameter in enumerate(table.space)
    ]
    return tuple(sorted(found, key=lambda importance: -importance.share))


def _is_top(losses: Array, weights: Array) -> NDArray[np.bool_]:
    """Return, per weighting (B, n), whether each trial is as good as the worst of the best tenth."""
    order = np.argsort(losses, kind="stable")
    needed = max(MIN_TOP, math.ceil(TOP_SHARE * len(losses)))
    last = np.argmax(np.cumsum(weights[:, order], axis=1) >= needed, axis=1)
    return np.asarray(losses <= losses[order][last][:, None])


def _variances(parameter: Parameter, positions: Array, weights: Array, top: Array) -> Array:
    """Return V of step 4 for each weighting (B,), given positions (n,)."""
    active = ~np.isnan(positions)
    if parameter.size == 1 or not active.any():
        return np.zeros(len(weights))
    kernels = _kernels(parameter, positions[active], top[0, active] > 0)
    cells = parameter.size if isinstance(parameter, Choice) and not parameter.ordered else CELLS
    divergence = _divergences(kernels, cells, weights[:, active], top[:, active])
    share_of_all = weights[:, active].sum(axis=1) / weights.sum(axis=1)
    share_of_top = top[:, active].sum(axis=1) / top.sum(axis=1)
    return np.where(share_of_all > 0, share_of_top**2 / np.maximum(share_of_all, 1e-12) * divergence, 0.0)


def _kernels(parameter: Parameter, positions: Array, top: NDArray[np.bool_]) -> Array:
    """Return the density of each position over the cells (n, C), empty cells left out; rows sum to 1 (step 1)."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        found, places = np.unique(np.floor(positions * parameter.size), return_inverse=True)
        return np.eye(len(found))[places]
    spread = float(positions[top].std()) if top.any() else 0.0
    bandwidth = max(1.059 * spread * max(int(top.sum()), 1) ** -0.2, 1 / CELLS)
    centres = (np.arange(CELLS) + 0.5) / CELLS
    kernels = np.exp(-0.5 * ((centres - positions[:, None]) / bandwidth) ** 2)
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True))


def _divergences(kernels: Array, cells: int, weights: Array, top: Array) -> Array:
    """Return max(D', 0) of steps 2 and 3 for each weighting (B,), given kernels (n, C) and weights (B, n)."""
    n = np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    m = top.sum(axis=1, keepdims=True)
    enough = (m > 1).ravel()
    m = np.maximum(m, 1.0)
    mean = weights @ kernels / n  # (B, C)
    top_mean = top @ kernels / m
    density = (n * mean + 1 / cells) / (n + 1)
    # A trial drawn w times is one piece of evidence, not w: Σw²/m² is 1/m for weights of one.
    unevenness = (top**2).sum(axis=1, keepdims=True) / m**2
    spread = np.maximum(top @ kernels**2 / m - top_mean**2, 0) / np.maximum(1 - unevenness, 1e-12)
    chance = spread * np.maximum(unevenness - 1 / n, 0)
    divergence = (((top_mean - mean) ** 2 - chance) / density).sum(axis=1)
    return np.where(enough, np.maximum(divergence, 0), 0.0)
