"""How far chance moves figures: the bootstrap over the items of a data set.

Items, such as pictures, are drawn with replacement, and never parts of them: objects and labels of one picture are not
independent. What is measured on the same number of items with the same seed is measured on the same resamples, so the
differences of two models' figures on them are those of a paired bootstrap.

Intervals are percentile intervals (Efron, Tibshirani 1993, chapter 13), whose tails are those of Student's t and of the
unbiased variance instead of the normal ones, since they are too short for few items (Hesterberg 2015, "What Teachers
Should Know About the Bootstrap", The American Statistician 69, section 5.3).

Symbols: B resamples, N items; `weights` (b, N) int: how often each item is in each of b resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.special import ndtr, stdtrit

#: Resamples that figures are measured on.
RESAMPLES = 2000
#: How sure an interval is, and how sure all comparisons with the best are together.
CONFIDENCE = 0.95
#: Least share of the resamples that a figure has to be defined on.
_DEFINED = 0.95
#: Most numbers that are in hand at a time: they fit into the caches of a core.
_AT_A_TIME = 1_000_000

#: Weights (b, N) → metric → its values on these resamples, (b,); NaN where it is not defined.
Measure = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def resampled(measure: Measure, items: int, seed: int, width: int = 0) -> dict[str, np.ndarray]:
    """Return the values of each metric on the resamples, (B,).

    Args:
        measure: measures on some resamples.
        items: N.
        seed: of the resamples.
        width: how many numbers `measure` has in hand for each resample, if they are more than N.
    """
    parts = [measure(weights) for weights in _weights(items, seed, width)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _weights(items: int, seed: int, width: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng((seed, items))
    rows = max(1, min(RESAMPLES, _AT_A_TIME // max(items, width)))
    for start in range(0, RESAMPLES, rows):
        some = min(rows, RESAMPLES - start)
        drawn = generator.integers(items, size=(some, items)) + items * np.arange(some)[:, None]
        yield np.bincount(drawn.ravel(), minlength=some * items).reshape(some, items).astype(np.int32)


def interval(values: np.ndarray, items: int) -> tuple[float, float] | None:
    """Return the interval of a metric from its values on the resamples.

    None where they do not tell it: it is not defined on too many of them, or is the same on all, as where every picture
    is judged rightly.
    """
    found = _percentiles(values, items, CONFIDENCE)
    return None if found is None or found[0] == found[1] else found


def is_tie(values: np.ndarray, others: np.ndarray, items: int, comparisons: int) -> bool:
    """Whether two models can't be told apart, from the values of a metric on the same resamples.

    The interval of their difference contains 0; of several comparisons, each is made so sure that all of them together
    are as sure as one (Bonferroni). What can't be told from the resamples counts as a tie.
    """
    found = _percentiles(values - others, items, 1 - (1 - CONFIDENCE) / comparisons)
    return found is None or found[0] <= 0 <= found[1]


def _percentiles(values: np.ndarray, items: int, confidence: float) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if items < 2 or len(defined) < _DEFINED * len(values):
        return None
    tail = ndtr(np.sqrt(items / (items - 1)) * stdtrit(items - 1, (1 - confidence) / 2))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
