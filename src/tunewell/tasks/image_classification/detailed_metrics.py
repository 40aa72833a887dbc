"""How good predictions are, in detail: metrics per class, confusions, calibration and the worst mistakes.

Symbols: N pictures, C classes; `logits` (N, C) are a network's outputs, `probabilities` (N, C) their softmax;
`labels` (N,) integers < C.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tunewell.tasks.image_classification import metrics
from tunewell.tasks.vision.cells import chosen_of_cells
from tunewell.tasks.vision.pictures import PictureError, data_uri, load_pixels

#: Bins of the calibration error (Guo et al. 2017, arXiv:1706.04599, table 1).
CALIBRATION_BINS = 15
#: Pairs of classes and single mistakes that are listed.
LISTED_PAIRS = 10
LISTED_MISTAKES = 12
#: Side of a mistake's picture in pixels.
THUMBNAIL_SIDE = 96
#: Pictures that are kept for the next model, which makes mistakes with the same ones.
_REMEMBERED = 2048


def measure(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str], paths: Sequence[Path]) -> dict[str, Any]:
    """Return all metrics of N > 0 pictures as JSON types, None where a metric is not defined (never NaN).

    The metrics of the training (see `metrics`) come first. Macro and weighted means are scikit-learn's: over the
    classes that occur as a label or a prediction, an undefined value counting as 0. Macro F1 is `f1`, weighted recall
    is `accuracy`: neither is given twice. In the table per class undefined values are None. Rows of the confusion
    matrix are true classes, columns predicted ones; `cells` has some pictures of each cell (see `cells`).
    The logits must be finite.
    """
    from sklearn.metrics import confusion_matrix

    probabilities, measured = metrics.softmax(logits), metrics.measure(logits, labels)
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, labels=range(len(classes)))
    return {
        "count": len(labels),
        "unit": "picture",
        **measured,
        "auroc": measured.get("auroc"),
        "macro": _means(labels, predicted, "macro", ("precision", "recall")),
        "weighted": _means(labels, predicted, "weighted", ("precision", "f1")),
        "expected_calibration_error": _calibration_error(labels, probabilities),
        "classes": _per_class(matrix, classes),
        "confusion_matrix": matrix.tolist(),
        "confused_pairs": _confused_pairs(matrix, classes),
        "cells": _cells(labels, probabilities, paths),
        "calibration": _calibration(labels, probabilities),
        "worst_mistakes": _worst_mistakes(labels, probabilities, classes, paths),
    }


def _means(labels: np.ndarray, predicted: np.ndarray, average: str, wanted: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import precision_recall_fscore_support

    values = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)[:3]
    found = dict(zip(("precision", "recall", "f1"), map(float, values), strict=True))
    return {name: found[name] for name in wanted}


def _calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: Σ over bins of |bin| / N · |accuracy - mean confidence| (Guo et al., eq. 3)."""
    confidence, correct, bins = _binned(labels, probabilities)
    # |bin| · (accuracy - confidence) is the sum of the differences in the bin.
    differences = np.bincount(bins, weights=correct - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(differences).sum() / len(labels))


def _calibration(labels: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """Return mean probability of what is said, how often it is so, and number of pictures of each bin that has any."""
    confidence, correct, bins = _binned(labels, probabilities)
    return [
        {
            "probability": float(confidence[bins == number].mean()),
            "present": float(correct[bins == number].mean()),
            "count": int((bins == number).sum()),
        }
        for number in np.unique(bins).tolist()
    ]


def _binned(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probability of what is said of each picture, whether it is so, and its bin, (N,) each."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    return confidence, correct, bins


def _per_class(matrix: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and number of pictures of each class from the confusion matrix (C, C)."""
    rows = []
    for label, name in enumerate(classes):
        hits, support, predicted = matrix[label, label], matrix[label].sum(), matrix[:, label].sum()
        rows.append(
            {
                "name": name,
                "precision": _ratio(hits, predicted),
                "recall": _ratio(hits, support),
                "f1": _ratio(2 * hits, support + predicted),
                "support": int(support),
            }
        )
    return rows


def _ratio(part: np.integer[Any], whole: np.integer[Any]) -> float | None:
    return float(part / whole) if whole else None


def _confused_pairs(matrix: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the largest numbers off the diagonal, the largest first."""
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:LISTED_PAIRS]
    pairs = [(int(index) // len(classes), int(index) % len(classes)) for index in order]
    return [
        {"true": classes[true], "predicted": classes[predicted], "count": int(mistakes[true, predicted])}
        for true, predicted in pairs
        if mistakes[true, predicted]
    ]


def _cells(labels: np.ndarray, probabilities: np.ndarray, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return places of classes and some pictures of each cell of the confusion matrix."""
    predicted, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kept = chosen_of_cells(labels.tolist(), predicted.tolist(), sureness.tolist())
    return [
        {
            "true": true,
            "predicted": said,
            "pictures": [
                {
                    "path": str(paths[index]),
                    "probability": float(sureness[index]),
                    "thumbnail": thumbnail(paths[index]),
                }
                for index in places
            ],
        }
        for (true, said), places in kept.items()
    ]


def _worst_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """Return the mistakes that the model was surest of, with a small picture each (a `data:` URI, or None)."""
    predicted = probabilities.argmax(axis=1)
    sureness = probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-sureness[wrong], kind="stable")][:LISTED_MISTAKES]
    return [
        {
            "path": str(paths[index]),
            "true": classes[labels[index]],
            "predicted": classes[predicted[index]],
            "probability": float(sureness[index]),
            "thumbnail": thumbnail(paths[index]),
        }
        for index in worst.tolist()
    ]


@lru_cache(_REMEMBERED)
def thumbnail(path: Path) -> str | None:
    """Return the picture as a square; None if it can't be read any more."""
    try:
        pixels = load_pixels(path, THUMBNAIL_SIDE)
    except PictureError:
        return None
    return data_uri(Image.fromarray(pixels))


def small_picture(pixels: np.ndarray) -> str:
    """Return a decoded picture, uint8 (S, S, 3), as `thumbnail` gives them."""
    return data_uri(Image.fromarray(pixels).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)))
