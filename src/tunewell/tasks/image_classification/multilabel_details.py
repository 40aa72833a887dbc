"""How good predictions of several labels are, in detail: per label, by threshold, calibration, the worst mistakes.

Symbols: N pictures, C labels; `logits` (N, C) are a network's outputs, `presence` (N, C) is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.tasks.image_classification import multilabel_metrics
from tunewell.tasks.image_classification.detailed_metrics import CALIBRATION_BINS, LISTED_MISTAKES, thumbnail
from tunewell.tasks.image_classification.multilabel_metrics import average_precisions, precision_recall, sigmoid
from tunewell.tasks.vision.cells import counts_by_threshold

#: Recalls at which curves are given.
CURVE_POINTS = 21


def measure(
    logits: np.ndarray,
    presence: np.ndarray,
    thresholds: Sequence[float],
    classes: Sequence[str],
    paths: Sequence[Path],
) -> dict[str, Any]:
    """Return all metrics of N > 0 pictures as JSON types, None where a metric is not defined (never NaN).

    The metrics of the training (see `multilabel_metrics`) come first. `thresholds`, one a label, decide what is given.
    A mistake is a picture with a label too many or missing. The logits must be finite.
    """
    present = presence.astype(bool)
    probabilities = sigmoid(logits)
    chosen = probabilities >= np.asarray(thresholds)
    return {
        "count": len(present),
        "unit": "picture",
        **multilabel_metrics.measure(logits, present, thresholds),
        "auroc": _auroc(present, logits),
        "expected_calibration_error": _calibration_error(present, probabilities),
        "classes": _per_label(present, chosen, logits, thresholds, classes),
        "by_threshold": _by_threshold(present, probabilities),
        "precision_recall": _curves(present, logits, classes),
        "calibration": _calibration(present, probabilities),
        "worst_mistakes": _worst_mistakes(present, chosen, probabilities, classes, paths),
    }


def _both(present: np.ndarray) -> np.ndarray:
    """Return which labels some pictures have and some have not, (C,)."""
    counts = present.sum(axis=0)
    both: np.ndarray = (counts > 0) & (counts < len(present))
    return both


def _auroc(present: np.ndarray, logits: np.ndarray) -> float | None:
    """Area under the ROC curve, mean over the labels that some pictures have and some have not."""
    from sklearn.metrics import roc_auc_score

    areas = [roc_auc_score(present[:, label], logits[:, label]) for label in np.flatnonzero(_both(present))]
    return float(np.mean(areas)) if areas else None


def _bins(probabilities: np.ndarray) -> np.ndarray:
    bins: np.ndarray = np.clip(np.ceil(probabilities * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    return bins


def _calibration_error(present: np.ndarray, probabilities: np.ndarray) -> float:
    """Σ over bins of |bin| / (N C) · |share present - mean probability|, all labels together (Guo et al. 2017)."""
    differences = np.bincount(
        _bins(probabilities).ravel(), weights=(present - probabilities).ravel(), minlength=CALIBRATION_BINS
    )
    return float(np.abs(differences).sum() / present.size)


def _calibration(present: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """Return mean probability, share present and number of decisions of each bin that has any."""
    bins = _bins(probabilities)
    return [
        {
            "probability": float(probabilities[bins == number].mean()),
            "present": float(present[bins == number].mean()),
            "count": int((bins == number).sum()),
        }
        for number in np.unique(bins).tolist()
    ]


def _per_label(
    present: np.ndarray, chosen: np.ndarray, logits: np.ndarray, thresholds: Sequence[float], classes: Sequence[str]
) -> list[dict[str, Any]]:
    hits, given, support = (chosen & present).sum(axis=0), chosen.sum(axis=0), present.sum(axis=0)
    precisions = average_precisions(logits, present)
    return [
        {
            "name": name,
            "ap": float(precisions[label]) if support[label] else None,
            "precision": float(hits[label] / given[label]) if given[label] else None,
            "recall": float(hits[label] / support[label]) if support[label] else None,
            "f1": float(2 * hits[label] / (given[label] + support[label])) if given[label] + support[label] else None,
            "support": int(support[label]),
            "score_threshold": float(thresholds[label]),
        }
        for label, name in enumerate(classes)
    ]


def _by_threshold(present: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return what comes of one threshold for all labels; see `counts_by_threshold`."""
    labels = np.broadcast_to(np.arange(present.shape[1]), present.shape)
    return counts_by_threshold(probabilities.ravel(), labels.ravel(), present.ravel(), present.shape[1])


def _curves(present: np.ndarray, logits: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return the highest precision at evenly spaced recalls and above, of each label that occurs and their mean."""
    recalls = np.linspace(0, 1, CURVE_POINTS)
    curves: dict[str, list[float]] = {}
    for label in np.flatnonzero(present.any(axis=0)).tolist():
        precision, recall = precision_recall(logits[:, label], present[:, label])
        best = np.maximum.accumulate(precision[::-1])[::-1]
        curves[classes[label]] = best[np.searchsorted(recall, recalls - 1e-9)].tolist()
    mean = np.mean(list(curves.values()), axis=0).tolist() if curves else []
    return {"recall": recalls.tolist(), "mean": mean, "classes": curves}


def _worst_mistakes(
    present: np.ndarray, chosen: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """Return the pictures with the wrong decisions that the model was surest of, a picture once, by its worst decision.

    `thumbnail` is the picture made small (a `data:` URI, or None).
    """
    wrong = chosen != present
    sureness = np.where(wrong, np.where(chosen, probabilities, 1 - probabilities), -1.0)
    mistaken = np.flatnonzero(wrong.any(axis=1))
    worst = mistaken[np.argsort(-sureness.max(axis=1)[mistaken], kind="stable")][:LISTED_MISTAKES]
    mistakes = []
    for index in worst.tolist():
        label = int(sureness[index].argmax())
        mistakes.append(
            {
                "path": str(paths[index]),
                "true": _named(classes, present[index]),
                "predicted": _named(classes, chosen[index]),
                "label": classes[label],
                "probability": float(probabilities[index, label]),
                "thumbnail": thumbnail(paths[index]),
            }
        )
    return mistakes


def _named(classes: Sequence[str], chosen: np.ndarray) -> str:
    return ", ".join(classes[label] for label in np.flatnonzero(chosen).tolist()) or "none"
