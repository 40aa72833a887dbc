"""Ranks: comparing values that have no common scale."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from tunewell.tuners.encoding import Array


def mean_ranks(values: Array) -> Array:
    """Return the ranks (n,) of values (n,), from 1 on; equal ones share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse])


def normal_scores(values: Array) -> Array:
    """Return the standard normal quantiles (n,) of the ranks of values (n,)."""
    quantile = NormalDist().inv_cdf
    return np.array([quantile((rank - 0.5) / len(values)) for rank in mean_ranks(values).tolist()])


def correlation(first: Array, second: Array) -> float:
    """Return Pearson's correlation of two arrays (n,), 0 where one is constant; of ranks it is Spearman's."""
    one, other = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / norm if norm > 0 else 0.0
