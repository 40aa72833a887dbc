"""Which detection is which object: the matching behind thresholds, confusions and mistakes.

As in COCO: the surest detection chooses first, among the objects of its class that none has chosen, the one with the
greatest overlap (intersection over union). Symbols: n detections, m objects of one picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewell.tasks.object_detection.annotations import Objects
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode

#: Least overlap of a detection with its object.
LEAST_OVERLAP = 0.5
#: In place of an object's index: none; a crowd, in which nothing is right or wrong.
NOTHING = -1
IGNORED = -2


@dataclass(frozen=True, slots=True)
class Matched:
    """Which object each detection of one picture is."""

    #: int (n,): index of the object, or `NOTHING` or `IGNORED`.
    own_class: np.ndarray
    #: Likewise, but detections without an object of their class may have one of another.
    any_class: np.ndarray


def match(found: Detections, objects: Objects, size: tuple[int, int]) -> Matched:
    """Match the detections in a picture of that size (width, height) with its objects, by masks where there are any."""
    overlaps, shares = _overlaps(found, objects, size)  # (n, m) each
    own = found.labels[:, None] == objects.labels
    in_crowd = (shares * (objects.crowd & own)).max(axis=1, initial=0) >= LEAST_OVERLAP
    free = ~objects.crowd
    own_class = _choose(np.where(own, overlaps, 0), free.copy(), np.full(len(found), NOTHING))
    own_class[(own_class == NOTHING) & in_crowd] = IGNORED
    free[own_class[own_class >= 0]] = False
    return Matched(own_class, _choose(overlaps, free, own_class.copy()))


def _choose(overlaps: np.ndarray, free: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Fill in `chosen` (n,), where it is `NOTHING`, with free objects; both arrays are changed."""
    if not overlaps.size:
        return chosen
    for detection in np.flatnonzero(chosen == NOTHING).tolist():
        candidates = np.where(free, overlaps[detection], 0)
        best = int(candidates.argmax())
        if candidates[best] >= LEAST_OVERLAP:
            chosen[detection] = best
            free[best] = False
    return chosen


def _overlaps(found: Detections, objects: Objects, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return intersection over union, and intersection over the detection's own area, (n, m) each."""
    if not len(found) or not len(objects):
        return np.zeros((len(found), len(objects))), np.zeros((len(found), len(objects)))
    if found.masks is not None and objects.masks is not None:
        from faster_coco_eval.core import mask

        drawn = [encode(item, *size) for item in objects.masks]
        detected = list(found.masks)
        return (
            np.asarray(mask.iou(detected, drawn, [0] * len(drawn))).reshape(len(found), len(objects)),
            np.asarray(mask.iou(detected, drawn, [1] * len(drawn))).reshape(len(found), len(objects)),
        )
    corner = np.maximum(found.boxes[:, None, :2], objects.boxes[None, :, :2])
    opposite = np.minimum(found.boxes[:, None, 2:], objects.boxes[None, :, 2:])
    shared = np.clip(opposite - corner, 0, None).prod(axis=2)  # (n, m)
    areas, others = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (found.boxes, objects.boxes))
    tiny = 1e-9
    return shared / (areas[:, None] + others - shared + tiny), shared / (areas[:, None] + tiny)
