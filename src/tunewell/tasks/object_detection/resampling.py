"""COCO's metrics on resamples of the pictures; see `uncertainty`.

Which detection is which object does not depend on other pictures, so it is worked out once; precision over recall is
accumulated for each resample anew. A detection counts as often as its picture was drawn. Where all weights are 1, each
metric is what faster-coco-eval says; see `metrics`.

Symbols: N pictures, T IoU thresholds, R recalls, b resamples; of one class: D detections, the surest first, of all
pictures. `weights` (b, N).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.metrics import Overlap
from tunewell.tasks.uncertainty import resampled

#: COCO's thresholds and recalls.
_OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class ClassMatches:
    """The detections of one class, the surest first, at each IoU threshold."""

    #: Place of each detection's picture, (D,).
    pictures: np.ndarray
    #: Whether it is an object, bool (T, D).
    hits: np.ndarray
    #: Whether it lies in a crowd, and does not count, bool (T, D).
    ignored: np.ndarray
    #: Number of objects in each picture, (N,).
    objects: np.ndarray


def on_resamples(found: Mapping[int, Detections], annotated: AnnotatedPictures, seed: int) -> dict[str, np.ndarray]:
    """Return the metrics that every epoch reports on resamples of the pictures at these positions, (B,) each."""
    positions = sorted(found)
    own: Overlap = "segm" if annotated.has_masks else "bbox"
    values = _all(found, annotated, own, positions, seed)
    if annotated.has_masks:
        boxes = _all(found, annotated, "bbox", positions, seed)
        values |= {"box_map": boxes["map"], "box_map50": boxes["map50"]}
    return values


def _all(
    found: Mapping[int, Detections],
    annotated: AnnotatedPictures,
    overlap: Overlap,
    positions: Sequence[int],
    seed: int,
) -> dict[str, np.ndarray]:
    classes = match_classes(found, annotated, overlap, positions)
    width = max((int(one.hits.any(axis=0).sum()) for one in classes), default=0)
    return resampled(lambda weights: mean_precisions(classes, weights), len(positions), seed, width)


def mean_precisions(classes: Sequence[ClassMatches], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `map`, `map50` and `map75`, (b,) each: the means over the classes of which a resample has any object."""
    each = np.stack([average_precisions(one, weights) for one in classes])  # (K, b, T)
    defined = np.isfinite(each)
    sums, amounts = np.where(defined, each, 0.0).sum(axis=0), defined.sum(axis=0)
    means = np.divide(sums, amounts, out=np.full(sums.shape, np.nan), where=amounts > 0)  # (b, T)
    return {"map": means.mean(axis=1), "map50": means[:, 0], "map75": means[:, 5]}


def average_precisions(matches: ClassMatches, weights: np.ndarray) -> np.ndarray:
    """Return the average precision of one class at each IoU threshold, (b, T); NaN where it has no object."""
    objects = weights @ matches.objects  # (b,)
    values = np.zeros((len(weights), len(matches.hits)))
    # Precision is greatest at hits, and recall grows at them alone: no other detection has to be looked at.
    places = np.flatnonzero(matches.hits.any(axis=0))
    given = _given(matches, places, weights, np.ones(len(matches.pictures), dtype=bool))  # (b, places)
    drawn = weights[:, matches.pictures[places]]
    for threshold, (hits, ignored) in enumerate(zip(matches.hits[:, places], matches.ignored, strict=True)):
        if not hits.any():
            continue
        right = np.cumsum(drawn[:, hits], axis=1)
        counted = given[:, hits]
        if ignored.any():
            counted = counted - _given(matches, places, weights, ignored)[:, hits]
        precision = right / np.maximum(counted, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = _recalls_reached(right / np.maximum(objects, 1)[:, None])
        values[:, threshold] = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    values[objects == 0] = np.nan
    return values


def _given(matches: ClassMatches, places: np.ndarray, weights: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return how many of the detections that are `which` there are up to each of the places, (b, places)."""
    chosen = np.flatnonzero(which)
    following = np.searchsorted(places, chosen)
    chosen, following = chosen[following < len(places)], following[following < len(places)]
    counts = np.zeros((weights.shape[1], len(places)))
    np.add.at(counts, (matches.pictures[chosen], following), 1)
    given: np.ndarray = np.cumsum(weights @ counts, axis=1)
    return given


def _recalls_reached(recall: np.ndarray) -> np.ndarray:
    """Return how many of COCO's recalls are not above each recall, as comparing the very numbers says."""
    place = np.clip((recall * (len(_RECALLS) - 1)).astype(np.int64), 0, len(_RECALLS) - 1)
    place -= recall < _RECALLS[place]
    following = np.minimum(place + 1, len(_RECALLS) - 1)
    return np.where((following > place) & (recall >= _RECALLS[following]), following, place) + 1


def match_classes(
    found: Mapping[int, Detections], annotated: AnnotatedPictures, overlap: Overlap, positions: Sequence[int]
) -> list[ClassMatches]:
    """Match the detections of each class in the pictures at these positions, in this order, as COCO does."""
    parts: list[list[_PictureMatches]] = [[] for _ in annotated.classes]
    objects = np.zeros((len(annotated.classes), len(positions)), dtype=np.int64)
    for place, position in enumerate(positions):
        marked = annotated.objects[position]
        np.add.at(objects[:, place], marked.labels[~marked.crowd], 1)
        for label, part in _matches(place, found[position], marked, annotated.sizes[position], overlap):
            parts[label].append(part)
    return [_together(of_class, counts) for of_class, counts in zip(parts, objects, strict=True)]


@dataclass(frozen=True, slots=True)
class _PictureMatches:
    """Detections of one class in one picture."""

    place: int
    scores: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray


def _matches(
    place: int, found: Detections, marked: Objects, size: tuple[int, int], overlap: Overlap
) -> Iterator[tuple[int, _PictureMatches]]:
    for label in np.unique(found.labels).tolist():
        own = np.flatnonzero(found.labels == label)
        own = own[np.argsort(-found.scores[own], kind="stable")]
        targets = np.flatnonzero(marked.labels == label)
        overlaps = _overlaps(found, own, marked, targets, size, overlap)
        yield label, _PictureMatches(place, found.scores[own], *_match(overlaps, marked.crowd[targets]))


def _overlaps(
    found: Detections, own: np.ndarray, marked: Objects, targets: np.ndarray, size: tuple[int, int], overlap: Overlap
) -> np.ndarray:
    """Return the overlaps (n, m) of detections and objects; with a crowd, the share of the detection in it."""
    if not len(targets):
        return np.zeros((len(own), 0))
    from faster_coco_eval.core import mask

    crowd = marked.crowd[targets].astype(int).tolist()
    if overlap == "segm":
        assert found.masks is not None and marked.masks is not None
        detected = [found.masks[place] for place in own.tolist()]
        drawn = [encode(marked.masks[place], *size) for place in targets.tolist()]
        overlaps = mask.iou(detected, drawn, crowd)
    else:
        overlaps = mask.iou(_sides(found.boxes[own]), _sides(marked.boxes[targets]), crowd)
    return np.asarray(overlaps, dtype=np.float64).reshape(len(own), len(targets))


def _sides(boxes: np.ndarray) -> np.ndarray:
    """Return corner and sides (n, 4) of boxes."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def _match(overlaps: np.ndarray, crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of n detections, the surest first, are one of m objects, and which lie in a crowd, (T, n) each.

    At each threshold, a detection is the free object with the greatest overlap; of equal ones, the last.
    """
    amount, targets = overlaps.shape
    hits, ignored = (np.zeros((len(_OVERLAPS), amount), dtype=bool) for _ in range(2))
    free = np.broadcast_to(~crowd, (len(_OVERLAPS), targets)).copy()
    every = np.arange(len(_OVERLAPS))
    for place in np.flatnonzero(overlaps.max(axis=1, initial=0.0) >= _OVERLAPS[0]).tolist():
        enough = overlaps[place] >= _OVERLAPS[:, None]  # (T, m)
        candidates = np.where(free & enough, overlaps[place], -1.0)
        best = targets - 1 - candidates[:, ::-1].argmax(axis=1)
        hit = candidates[every, best] >= 0
        free[every[hit], best[hit]] = False
        hits[:, place] = hit
        ignored[:, place] = ~hit & (enough & crowd).any(axis=1)
    return hits, ignored


def _together(parts: Sequence[_PictureMatches], objects: np.ndarray) -> ClassMatches:
    """Return the detections of all pictures in one order."""
    if not parts:
        nothing = np.zeros((len(_OVERLAPS), 0), dtype=bool)
        return ClassMatches(np.zeros(0, dtype=np.int64), nothing, nothing, objects)
    order = np.argsort(-np.concatenate([part.scores for part in parts]), kind="stable")
    pictures = np.repeat([part.place for part in parts], [len(part.scores) for part in parts])
    hits, ignored = (np.hstack([getattr(part, name) for part in parts]) for name in ("hits", "ignored"))
    return ClassMatches(pictures[order], hits[:, order], ignored[:, order], objects)
