"""The metrics of classified pictures on resamples of them; see `uncertainty`.

Each is the same function of the pictures as in `metrics` and `multilabel_metrics`: where all weights are 1, it has the
same value. Symbols: N pictures, C classes, b resamples; `logits` (N, C), `weights` (b, N).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from tunewell.tasks.image_classification import metrics, multilabel_metrics
from tunewell.tasks.image_classification.multilabel_metrics import sigmoid
from tunewell.tasks.uncertainty import RESAMPLES, Measure

#: Most numbers that a metric which looks at each class of each picture may take, in all: about two seconds.
_MOST = 200_000_000


def single_label(logits: np.ndarray, labels: np.ndarray) -> Measure:
    """Return what measures pictures with one label each, (N,), on resamples of them."""
    count, classes = logits.shape
    predicted = logits.argmax(axis=1)
    correct = predicted == labels
    losses = metrics.cross_entropies(logits.astype(np.float64), labels)
    ranks = (logits > np.take_along_axis(logits, labels[:, None], axis=1)).sum(axis=1)
    truth, said = (_indicators(of, classes) for of in (labels, predicted))
    probabilities = metrics.softmax(logits)

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        hits = truth @ (weights * correct).T  # (C, b)
        occurrences = truth @ weights.T + said @ weights.T  # (C, b)
        found = {
            "accuracy": weights @ correct / count,
            "f1": _mean(2 * hits, occurrences, occurrences > 0),
            "loss": weights @ losses / count,
        }
        if metrics.has_top_5(classes):
            found["top_5_accuracy"] = weights @ (ranks < 5) / count
        if RESAMPLES * logits.size <= _MOST:
            found["auroc"] = _mean_area(probabilities, labels[:, None] == np.arange(classes), weights)
        return found

    return measure


def several_labels(logits: np.ndarray, presence: np.ndarray, thresholds: Sequence[float]) -> Measure:
    """Return what measures pictures with any number of labels, (N, C), on resamples of them."""
    count, classes = logits.shape
    present = presence.astype(bool)
    chosen = sigmoid(logits) >= np.asarray(thresholds)
    losses = multilabel_metrics.cross_entropies(logits.astype(np.float64), present).mean(axis=1)
    right = (chosen == present).all(axis=1)
    # As floats, matrices are multiplied quickly.
    both, there, said = (found.astype(np.float64) for found in (chosen & present, present, chosen))

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {"subset_accuracy": weights @ right / count, "loss": weights @ losses / count}
        if RESAMPLES * logits.size <= _MOST:
            hits, support = (weights @ both).T, (weights @ there).T  # (C, b)
            sizes = (weights @ said).T + support
            found["f1_macro"] = _mean(2 * hits, sizes, support > 0)
            found["f1_micro"] = _ratio(2 * hits.sum(axis=0), sizes.sum(axis=0))
            columns = [_average_precision(logits[:, label], present[:, label], weights) for label in range(classes)]
            found["map"] = _mean_of_defined(np.stack(columns))
            found["auroc"] = _mean_area(logits, present, weights)
        return found

    return measure


def _indicators(labels: np.ndarray, classes: int) -> sparse.csr_array:
    """Return the matrix (C, N) that sums over the pictures of each class."""
    return sparse.csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(classes, len(labels)))


def _mean_area(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve, (b,): the mean over the classes that some have and some have not."""
    columns = zip(scores.T, positive.T, strict=True)
    return _mean_of_defined(np.stack([_area(column, those, weights) for column, those in columns]))


def _area(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of pairs (positive, negative) in the right order, ties counting half; NaN without pairs."""
    order = np.flatnonzero(~positive)
    order = order[np.argsort(scores[order], kind="stable")]
    negatives = np.zeros((len(weights), len(order) + 1))
    np.cumsum(weights[:, order], axis=1, out=negatives[:, 1:])
    own = weights[:, positive]
    below = negatives[:, np.searchsorted(scores[order], scores[positive], "left")]
    not_above = negatives[:, np.searchsorted(scores[order], scores[positive], "right")]
    return _ratio((own * (below + not_above)).sum(axis=1), 2.0 * own.sum(axis=1) * negatives[:, -1])


def _average_precision(scores: np.ndarray, present: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Σ over distinct scores of (increase of recall) · precision, (b,); NaN where the label does not occur."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of equal scores
    drawn = weights[:, order]
    hits = np.cumsum(drawn * present[order], axis=1)[:, last]
    counts = np.cumsum(drawn, axis=1)[:, last]
    gained = np.diff(hits, axis=1, prepend=0)
    return _ratio((gained * hits / np.maximum(counts, 1)).sum(axis=1), hits[:, -1])


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Return quotients, NaN where the divisor is 0."""
    result: np.ndarray = np.divide(parts, wholes, out=np.full(np.shape(parts), np.nan), where=wholes > 0)
    return result


def _mean(parts: np.ndarray, wholes: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the mean of the quotients (C, b) that are counted, (b,)."""
    return _mean_of_defined(np.where(counted, _ratio(parts, wholes), np.nan))


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the classes (C, b) whose value is no NaN, (b,)."""
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))
