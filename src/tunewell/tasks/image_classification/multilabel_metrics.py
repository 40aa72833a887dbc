"""The metrics of pictures with several labels. Symbols: N pictures, C labels; `presence` (N, C) is bool or 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Threshold of a label that no picture has: there is nothing to choose it by.
_NEUTRAL = 0.5


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (N, C) in double precision."""
    powers = np.exp(-np.abs(logits.astype(np.float64)))
    result: np.ndarray = np.where(logits >= 0, 1.0, powers) / (1 + powers)
    return result


def measure(logits: np.ndarray, presence: np.ndarray, thresholds: Sequence[float] | None = None) -> dict[str, float]:
    """Return the metrics of `logits` (N, C); all are NaN if a logit is not finite.

    `map` is the mean average precision of the labels that occur. The others but `loss`, the mean binary cross
    entropy, decide by `thresholds`, one a label; without them by those that are best for these pictures, which flatters
    a little. `f1_macro` is the mean over the labels that occur, `f1_micro` that of all decisions, `subset_accuracy` the
    share of pictures with all labels right.
    """
    present = presence.astype(bool)
    if not np.isfinite(logits).all():
        return dict.fromkeys(("map", "f1_macro", "f1_micro", "subset_accuracy", "loss"), float("nan"))
    occurring = present.any(axis=0)
    cuts = np.asarray(best_thresholds(logits, present) if thresholds is None else thresholds)
    chosen = sigmoid(logits) >= cuts
    hits, sizes = (chosen & present).sum(axis=0), chosen.sum(axis=0) + present.sum(axis=0)  # (C,)
    precisions = average_precisions(logits, present)
    return {
        "map": float(precisions[occurring].mean()) if occurring.any() else 0.0,
        "f1_macro": float((2 * hits[occurring] / sizes[occurring]).mean()) if occurring.any() else 0.0,
        "f1_micro": float(2 * hits.sum() / sizes.sum()) if sizes.any() else 0.0,
        "subset_accuracy": float((chosen == present).all(axis=1).mean()),
        "loss": float(cross_entropies(logits.astype(np.float64), present).mean()),
    }


def average_precisions(logits: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """Return the average precision of each label, (C,), NaN for one that does not occur.

    Σ over the distinct scores of (increase of recall) · precision, as scikit-learn has it: no interpolation.
    """
    return np.array([_average_precision(*_ranking(*column)) for column in zip(logits.T, presence.T, strict=True)])


def best_thresholds(logits: np.ndarray, presence: np.ndarray) -> list[float]:
    """Return for each label the probability from which on it is given to have the highest F1 on these pictures.

    It lies halfway between two scores. Lipton et al. 2014, arXiv:1402.1892: the optimum is half the F1 that it gives,
    mostly far from 0.5.
    """
    columns = zip(sigmoid(logits).T, presence.T, strict=True)
    return [_best_threshold(*_ranking(scores, column)) for scores, column in columns]


def precision_recall(scores: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall at each distinct score (N,), from the highest score on, if anything is present."""
    _, hits, counts = _ranking(scores, present)
    return hits / counts, hits / max(hits[-1], 1)


def _ranking(scores: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct scores, descending, and how many hits and how many pictures have at least this score."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of equal scores
    hits = np.cumsum(present[order].astype(np.int64))
    return ranked[last], hits[last], last + 1


def _average_precision(scores: np.ndarray, hits: np.ndarray, counts: np.ndarray) -> float:
    del scores
    if not hits[-1]:
        return float("nan")
    return float((np.diff(hits, prepend=0) * hits / counts).sum() / hits[-1])


def _best_threshold(scores: np.ndarray, hits: np.ndarray, counts: np.ndarray) -> float:
    if not hits[-1]:
        return _NEUTRAL
    place = int(np.argmax(2 * hits / (counts + hits[-1])))
    below = scores[place + 1] if place + 1 < len(scores) else 0.0
    return float((scores[place] + below) / 2)


def cross_entropies(logits: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return log(1 + e^-l) for each label that is present, log(1 + e^l) for each that is not, (N, C)."""
    result: np.ndarray = np.logaddexp(0, np.where(present, -logits, logits))
    return result
