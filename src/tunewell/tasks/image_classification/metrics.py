"""The metrics that every epoch reports. Symbols: N pictures, C classes."""

from __future__ import annotations

import numpy as np

#: Up to this number of classes there is no `top_5_accuracy`.
MOST_WITHOUT_TOP_5 = 10


def measure(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy, macro F1, mean cross entropy and more of `logits` (N, C) against `labels` (N,).

    Macro F1 is scikit-learn's: over the classes that occur as a label or a prediction. `auroc`, one class against the
    rest, is the mean over the classes that some pictures have and some have not, and is left out if there is none;
    `top_5_accuracy` is left out with ten classes or fewer.
    """
    predicted = logits.argmax(axis=1)
    size = logits.shape[1]
    hits = np.bincount(labels[predicted == labels], minlength=size)  # (C,)
    occurrences = np.bincount(labels, minlength=size) + np.bincount(predicted, minlength=size)  # (C,)
    present = occurrences > 0
    found = {
        "accuracy": float((predicted == labels).mean()),
        "f1": float((2 * hits[present] / occurrences[present]).mean()),
        "loss": float(cross_entropies(logits.astype(np.float64), labels).mean()),
    }
    if has_top_5(size):
        own = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
        found["top_5_accuracy"] = float(((logits > own).sum(axis=1) < 5).mean())
    areas = [_area(column, labels == label) for label, column in enumerate(softmax(logits).T)]
    if defined := [area for area in areas if area is not None]:
        found["auroc"] = float(np.mean(defined))
    return found


def has_top_5(classes: int) -> bool:
    """Whether it says something that the right class is among the five likeliest of so many."""
    return classes > MOST_WITHOUT_TOP_5


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities (N, C) in double precision."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return result


def _area(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the share of pairs (positive, negative) in the right order, ties counting half; None without pairs."""
    others = np.sort(scores[~positive])
    if not len(others) or not positive.any():
        return None
    ranks = np.searchsorted(others, scores[positive], "left") + np.searchsorted(others, scores[positive], "right")
    return float(ranks.mean() / (2 * len(others)))


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross entropy of each picture, (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    result: np.ndarray = log_sums - shifted[np.arange(len(labels)), labels]
    return result
