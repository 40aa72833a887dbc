"""How good detections are, in detail: per class, by threshold, confusions, the worst mistakes, drawn examples.

Symbols: C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import ShownPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.drawing import (
    Mark,
    beside,
    drawn,
    marks_of_detections,
    marks_of_objects,
)
from tunewell.tasks.object_detection.matching import IGNORED, Matched
from tunewell.tasks.object_detection.metrics import Evaluated, evaluate, measure
from tunewell.tasks.object_detection.thresholds import Matches, best_threshold, gather, match_all, rates
from tunewell.tasks.vision.cells import chosen_of_cells, counts_by_threshold
from tunewell.tasks.vision.pictures import data_uri

BACKGROUND = "background"
#: Confusions, single mistakes and pictures that are listed.
LISTED_PAIRS = 10
LISTED_MISTAKES = 12
LISTED_PICTURES = 4
#: Recalls at which curves are given.
CURVE_POINTS = 21
#: Longer side of a drawn picture, and side of a mistake's picture, in pixels.
PICTURE_SIDE = 320
THUMBNAIL_SIDE = 96
#: Around a mistake, this share of its box is shown on either side.
_MARGIN = 0.5


def measure_in_detail(
    found: Mapping[int, Detections], pictures: ShownPictures, threshold: float | None = None
) -> dict[str, Any]:
    """Return all metrics of the pictures at these positions as JSON types, None where one is not defined (never NaN).

    The metrics of the training (see `metrics`) come first; `map_small` and so on are COCO's for objects under 32² and
    96² pixels and above, `average_recall` that of all detections. `score_threshold` is the one given, or the one with
    the best F1 over all classes; precision, recall, F1 and confusions are those of detections above it, at an overlap
    of 0.5. Rows of the confusion matrix are true classes, columns found ones; the last row and column are the
    background: what is not there, and what was missed. `cells` has some pictures of each cell (see `cells`),
    `by_threshold` what other thresholds would do.
    """
    annotated = pictures.annotated
    evaluated = evaluate(found, annotated, "segm" if annotated.has_masks else "bbox")
    matched = match_all(found, annotated)
    matches = gather(found, matched, annotated)
    if threshold is None:
        threshold = best_threshold(matches.scores, matches.hits, int(matches.objects.sum()))
    confusions = _confusions(found, matched, annotated, threshold)
    matrix = _matrix(confusions, len(annotated.classes) + 1)
    small, medium, large = (_defined(value) for value in evaluated.by_size)
    names = [*annotated.classes, BACKGROUND]
    return {
        "count": len(found),
        **measure(found, annotated),
        "map_small": small,
        "map_medium": medium,
        "map_large": large,
        "average_recall": evaluated.mean_recall(),
        "score_threshold": threshold,
        **rates(matches.hits[matches.scores >= threshold], int(matches.objects.sum())),
        "unit": "picture",
        "support_of": "objects",
        "classes": _per_class(matches, evaluated, threshold, annotated.classes),
        "precision_recall": _curves(evaluated, annotated.classes),
        "confusion_matrix": matrix.tolist(),
        "confusion_classes": names,
        "cells": _cells(confusions, pictures),
        "by_threshold": counts_by_threshold(matches.scores, matches.labels, matches.hits, len(annotated.classes)),
        "confused_pairs": _confused_pairs(matrix, names),
        "worst_mistakes": _worst_mistakes(found, matched, pictures),
        "pictures": _drawn_pictures(found, matched, pictures, threshold),
    }


def _per_class(
    matches: Matches, evaluated: Evaluated, threshold: float, classes: Sequence[str]
) -> list[dict[str, Any]]:
    all_thresholds, loose = evaluated.average_precision(), evaluated.average_precision(0.5)
    rows = []
    for label, name in enumerate(classes):
        own = matches.labels == label
        objects = int(matches.objects[label])
        row = {
            "name": name,
            "ap": _defined(float(all_thresholds[label])),
            "ap50": _defined(float(loose[label])),
            **rates(matches.hits[own & (matches.scores >= threshold)], objects),
            "support": objects,
            "best_score_threshold": best_threshold(matches.scores[own], matches.hits[own], objects),
        }
        rows.append(row)
    return rows


def _curves(evaluated: Evaluated, classes: Sequence[str]) -> dict[str, Any]:
    """Return precision at evenly spaced recalls, at an overlap of 0.5, of each class that occurs and their mean."""
    places = np.linspace(0, len(evaluated.recalls) - 1, CURVE_POINTS).round().astype(int)
    at_half = evaluated.precision[np.isclose(evaluated.thresholds, 0.5)][0][places]  # (points, C)
    present = [label for label in range(len(classes)) if at_half[0, label] > -1]
    return {
        "recall": evaluated.recalls[places].tolist(),
        "mean": at_half[:, present].mean(axis=1).tolist() if present else [],
        "classes": {classes[label]: at_half[:, label].tolist() for label in present},
    }


@dataclass(frozen=True, slots=True)
class _Confusion:
    """What was found, or missed, in a picture, and what it is; the last class is the background."""

    true: int
    predicted: int
    #: None: it was missed.
    score: float | None
    position: int
    box: Sequence[float]


def _confusions(
    found: Mapping[int, Detections], matched: Mapping[int, Matched], annotated: AnnotatedPictures, threshold: float
) -> list[_Confusion]:
    """Return each detection from the threshold on, and each object that was missed."""
    background, confusions = len(annotated.classes), []
    for position, item in found.items():
        objects = annotated.objects[position]
        chosen = matched[position].any_class[: len(item.above(threshold))]
        for place, target in enumerate(chosen.tolist()):
            if target != IGNORED:
                true = int(objects.labels[target]) if target >= 0 else background
                score, box = float(item.scores[place]), item.boxes[place].tolist()
                confusions.append(_Confusion(true, int(item.labels[place]), score, position, box))
        missed = ~objects.crowd
        missed[chosen[chosen >= 0]] = False
        for place in np.flatnonzero(missed).tolist():
            true, box = int(objects.labels[place]), objects.boxes[place].tolist()
            confusions.append(_Confusion(true, background, None, position, box))
    return confusions


def _matrix(confusions: Sequence[_Confusion], size: int) -> np.ndarray:
    """Return counts (size, size)."""
    matrix = np.zeros((size, size), dtype=np.int64)
    for one in confusions:
        matrix[one.true, one.predicted] += 1
    return matrix


def _cells(confusions: Sequence[_Confusion], pictures: ShownPictures) -> list[dict[str, Any]]:
    """Return places of classes and some pictures of each cell of the confusion matrix."""
    background = len(pictures.annotated.classes)
    kept = chosen_of_cells(
        [one.true for one in confusions],
        [one.predicted for one in confusions],
        [one.score or 0.0 for one in confusions],
    )

    def shown(one: _Confusion) -> dict[str, Any]:
        mark = Mark(one.box, one.predicted if one.predicted != background else one.true, "")
        return {
            "path": str(pictures.annotated.path(one.position)),
            "probability": one.score,
            "thumbnail": _thumbnail(pictures, one.position, mark),
        }

    return [
        {"true": true, "predicted": predicted, "pictures": [shown(confusions[place]) for place in places]}
        for (true, predicted), places in kept.items()
    ]


def _confused_pairs(matrix: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the largest numbers off the diagonal, the largest first."""
    mistakes = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:LISTED_PAIRS]
    pairs = [(int(index) // len(names), int(index) % len(names)) for index in order]
    return [
        {"true": names[true], "predicted": names[predicted], "count": int(mistakes[true, predicted])}
        for true, predicted in pairs
        if mistakes[true, predicted]
    ]


def _worst_mistakes(
    found: Mapping[int, Detections], matched: Mapping[int, Matched], pictures: ShownPictures
) -> list[dict[str, Any]]:
    """Return the wrong detections that the model was surest of, with a small picture of what it saw."""
    annotated = pictures.annotated
    wrong = [
        (float(item.scores[place]), position, place)
        for position, item in found.items()
        for place in np.flatnonzero(
            (matched[position].own_class < 0) & (matched[position].own_class != IGNORED)
        ).tolist()
    ]
    listed = []
    for score, position, place in sorted(wrong, reverse=True)[:LISTED_MISTAKES]:
        item, target = found[position], int(matched[position].any_class[place])
        true = annotated.classes[annotated.objects[position].labels[target]] if target >= 0 else BACKGROUND
        label = int(item.labels[place])
        mark = Mark(item.boxes[place].tolist(), label, "")
        listed.append(
            {
                "path": str(annotated.path(position)),
                "true": true,
                "predicted": annotated.classes[label],
                "probability": score,
                "box": [round(value, 1) for value in item.boxes[place].tolist()],
                "thumbnail": _thumbnail(pictures, position, mark),
            }
        )
    return listed


def _thumbnail(pictures: ShownPictures, position: int, mark: Mark) -> str:
    """Return a part of the picture with the mark in its middle."""
    size = pictures.annotated.sizes[position]
    image = drawn(pictures.picture(position), size, [mark])
    scale = image.width / size[0]
    x0, y0, x1, y1 = (value * scale for value in mark.box)
    margin = _MARGIN * max(x1 - x0, y1 - y0)
    part = (max(0, x0 - margin), max(0, y0 - margin), min(image.width, x1 + margin), min(image.height, y1 + margin))
    cut = image.crop(part)
    factor = THUMBNAIL_SIDE / max(cut.size)
    return data_uri(cut.resize((max(1, round(cut.width * factor)), max(1, round(cut.height * factor)))))


def _drawn_pictures(
    found: Mapping[int, Detections], matched: Mapping[int, Matched], pictures: ShownPictures, threshold: float
) -> list[dict[str, Any]]:
    """Return pictures from the worst to the best F1, the truth on the left, detections on the right."""
    annotated = pictures.annotated
    scored = []
    for position, item in found.items():
        count = len(item.above(threshold))
        objects = int((~annotated.objects[position].crowd).sum())
        hits = int((matched[position].own_class[:count] >= 0).sum())
        scored.append((2 * hits / (count + objects) if count + objects else 1.0, position))
    ranked = sorted(scored)
    places = np.unique(np.linspace(0, len(ranked) - 1, min(LISTED_PICTURES, len(ranked))).round().astype(int))
    listed = []
    for f1, position in (ranked[place] for place in places.tolist()):
        size, pixels = annotated.sizes[position], pictures.picture(position)
        item = found[position].above(threshold)
        truth = drawn(pixels, size, marks_of_objects(annotated.objects[position], annotated.classes))
        both = beside(truth, drawn(pixels, size, marks_of_detections(item, annotated.classes)))
        factor = min(1.0, 2 * PICTURE_SIDE / max(both.size))
        both = both.resize((max(1, round(both.width * factor)), max(1, round(both.height * factor))))
        listed.append({"path": str(annotated.path(position)), "f1": f1, "picture": data_uri(both)})
    return listed


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
