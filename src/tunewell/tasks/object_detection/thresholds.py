"""The score below which detections are better left out.

Symbols: C classes; D detections of all pictures, the surest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.matching import IGNORED, Matched, match


@dataclass(frozen=True, slots=True)
class Matches:
    """All detections, the surest first, with what they are; those in crowds are left out."""

    #: (D,)
    scores: np.ndarray
    #: (D,)
    labels: np.ndarray
    #: bool (D,): they are an object of their class
    hits: np.ndarray
    #: (C,): number of objects of each class
    objects: np.ndarray


def best_score(found: Mapping[int, Detections], annotated: AnnotatedPictures) -> float:
    """Return the threshold with the best F1 over all classes, at the overlap of `matching`; see `best_threshold`."""
    matches = gather(found, match_all(found, annotated), annotated)
    return best_threshold(matches.scores, matches.hits, int(matches.objects.sum()))


def match_all(found: Mapping[int, Detections], annotated: AnnotatedPictures) -> dict[int, Matched]:
    """Match the detections of each picture, by position."""
    return {
        position: match(item, annotated.objects[position], annotated.sizes[position])
        for position, item in found.items()
    }


def best_threshold(scores: np.ndarray, hits: np.ndarray, objects: int) -> float:
    """Return the threshold with the best F1 if nothing below it counts; 0.5 without any hit.

    It lies halfway between two scores, so that no noise in the last digit decides what counts.

    Args:
        scores: of all detections, descending, (D,).
        hits: whether each is an object of its class, (D,).
        objects: number of objects there are.
    """
    if not hits.any():
        return 0.5
    f1 = 2 * np.cumsum(hits) / (np.arange(1, len(hits) + 1) + objects)  # 2 TP / (found + there)
    # Of equal scores none can be left out.
    last = np.append(scores[1:] < scores[:-1], True)
    place = int(np.where(last, f1, -1).argmax())
    below = scores[place + 1] if place + 1 < len(scores) else 0.0
    return float((scores[place] + below) / 2)


def gather(found: Mapping[int, Detections], matched: Mapping[int, Matched], annotated: AnnotatedPictures) -> Matches:
    """Return the detections of all pictures together."""
    scores = np.concatenate([item.scores for item in found.values()])
    labels = np.concatenate([item.labels for item in found.values()])
    own = np.concatenate([matched[position].own_class for position in found])
    order = np.argsort(-scores, kind="stable")
    order = order[own[order] != IGNORED]
    objects = np.zeros(len(annotated.classes), dtype=np.int64)
    for position in found:
        marked = annotated.objects[position]
        objects += np.bincount(marked.labels[~marked.crowd], minlength=len(objects))
    return Matches(scores[order], labels[order], own[order] >= 0, objects)


def rates(hits: np.ndarray, objects: int) -> dict[str, float | None]:
    """Return precision, recall and F1 of detections, None where one is not defined.

    Args:
        hits: whether each is an object of its class.
        objects: number of objects there are.
    """
    right = int(hits.sum())
    return {
        "precision": right / len(hits) if len(hits) else None,
        "recall": right / objects if objects else None,
        "f1": 2 * right / (len(hits) + objects) if len(hits) + objects else None,
    }
