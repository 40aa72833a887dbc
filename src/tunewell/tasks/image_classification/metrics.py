"""The metrics that every epoch reports. Symbols: N pictures, C classes."""

from __future__ import annotations

import numpy as np


def measure(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return accuracy, macro F1 and mean cross entropy of `logits` (N, C) against `labels` (N,).

    Macro F1 is scikit-learn's: over the classes that occur as a label or a prediction.
    """
    predicted = logits.argmax(axis=1)
    size = logits.shape[1]
    hits = np.bincount(labels[predicted == labels], minlength=size)  # (C,)
    occurrences = np.bincount(labels, minlength=size) + np.bincount(predicted, minlength=size)  # (C,)
    present = occurrences > 0
    return {
        "accuracy": float((predicted == labels).mean()),
        "f1": float((2 * hits[present] / occurrences[present]).mean()),
        "loss": _cross_entropy(logits.astype(np.float64), labels),
    }


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sums - shifted[np.arange(len(labels)), labels]).mean())
