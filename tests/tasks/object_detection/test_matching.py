"""Which detection is which object, and what follows from it: thresholds, rates, confusions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tasks.object_detection.scenes import SIZE

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects
from tunewell.tasks.object_detection.dataset import DecodedPictures
from tunewell.tasks.object_detection.detailed_metrics import measure_in_detail
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.matching import IGNORED, NOTHING, match
from tunewell.tasks.object_detection.thresholds import best_threshold, rates

BOXES = np.array([[0, 0, 20, 20], [30, 0, 50, 20], [0, 24, 40, 48]], dtype=float)


def objects(crowd: bool = False, masks: bool = False) -> Objects:
    """Two objects of class 0, and one of class 1, which may be a crowd."""
    drawn = tuple([[x0, y0, x1, y0, x1, y1, x0, y1]] for x0, y0, x1, y1 in BOXES.tolist()) if masks else None
    return Objects(BOXES, np.array([0, 0, 1]), np.array([False, False, crowd]), drawn)


def detections(*rows: tuple[list[float], int, float], masks: bool = False) -> Detections:
    """Detections of (box, label, score)."""
    drawn = [encode([[x0, y0, x1, y0, x1, y1, x0, y1]], *SIZE) for (x0, y0, x1, y1), _, _ in rows]
    return Detections(
        np.array([box for box, _, _ in rows], dtype=float).reshape(-1, 4),
        np.array([score for _, _, score in rows]),
        np.array([label for _, label, _ in rows], dtype=int),
        tuple(drawn) if masks else None,
    )


@pytest.mark.parametrize("masks", [False, True])
def test_the_surest_detection_chooses_first(masks: bool) -> None:
    """A second detection of an object, one of another class, and one of nothing are none of their class."""
    found = detections(
        ([0, 0, 20, 20], 0, 0.9),
        ([1, 0, 20, 20], 0, 0.8),
        ([30, 0, 50, 19], 1, 0.7),
        ([50, 30, 60, 40], 0, 0.6),
        masks=masks,
    )
    matched = match(found, objects(masks=masks), SIZE)
    assert matched.own_class.tolist() == [0, NOTHING, NOTHING, NOTHING]
    assert matched.any_class.tolist() == [0, NOTHING, 1, NOTHING]


def test_the_right_class_goes_before_the_score() -> None:
    """An object is not taken for that of a surer detection of another class if one of its own class found it."""
    found = detections(([0, 0, 20, 20], 1, 0.9), ([0, 0, 20, 20], 0, 0.3))
    matched = match(found, objects(), SIZE)
    assert matched.own_class.tolist() == [NOTHING, 0]
    assert matched.any_class.tolist() == [NOTHING, 0]


@pytest.mark.parametrize("masks", [False, True])
def test_detections_in_a_crowd_are_ignored(masks: bool) -> None:
    """Any number of detections may lie in a crowd of their class; those of another class are wrong."""
    inside = [2.0, 26.0, 12.0, 36.0]
    found = detections((inside, 1, 0.9), (inside, 1, 0.8), (inside, 0, 0.7), masks=masks)
    matched = match(found, objects(crowd=True, masks=masks), SIZE)
    assert matched.own_class.tolist() == [IGNORED, IGNORED, NOTHING]
    assert matched.any_class.tolist() == [IGNORED, IGNORED, NOTHING]


def test_nothing_found_and_nothing_there() -> None:
    """Empty pictures and empty findings match nothing."""
    assert len(match(detections(), objects(), SIZE).own_class) == 0
    nothing = Objects(np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0, dtype=bool))
    assert match(detections(([0, 0, 9, 9], 0, 0.5)), nothing, SIZE).own_class.tolist() == [NOTHING]


def test_the_best_threshold() -> None:
    """F1 is 2 TP / (found + there); of equal scores all count or none; it is halfway to the next score, or to 0."""
    scores, hits = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])
    assert best_threshold(scores, hits, 3) == 0.3  # F1 6/7
    assert best_threshold(scores, hits, 2) == 0.75  # F1 1
    assert best_threshold(np.array([0.9, 0.8, 0.8]), np.array([True, True, False]), 2) == 0.4
    assert best_threshold(scores, np.zeros(4, dtype=bool), 3) == 0.5
    assert best_threshold(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0.5


def test_rates() -> None:
    """Undefined rates are None."""
    assert rates(np.array([True, False]), 4) == {"precision": 0.5, "recall": 0.25, "f1": pytest.approx(1 / 3)}
    assert rates(np.zeros(0, dtype=bool), 0) == {"precision": None, "recall": None, "f1": None}


def test_details() -> None:
    """Confusions count what is found, taken for another, invented and missed above the best threshold."""
    found = {
        0: detections(([0, 0, 20, 20], 0, 0.9), ([30, 0, 50, 20], 1, 0.8), ([0, 24, 40, 48], 1, 0.7)),
        1: detections(([50, 30, 60, 40], 0, 0.75), ([0, 0, 20, 20], 0, 0.05)),
    }
    annotated = AnnotatedPictures(
        folder=Path("/data"),
        paths=("a.png", "b.png"),
        splits={"val": (0, 1)},
        classes=("disc", "square"),
        sizes=(SIZE, SIZE),
        objects=(objects(), Objects(BOXES[:0], np.zeros(0, dtype=int), np.zeros(0, dtype=bool))),
    )
    pixels = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    measured = measure_in_detail(found, DecodedPictures(pixels, annotated))
    assert measured["score_threshold"] == 0.375
    assert measured["confusion_matrix"] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert measured["confusion_classes"] == ["disc", "square", "background"]
    assert (measured["precision"], measured["recall"]) == (0.5, pytest.approx(2 / 3))
    assert [(row["name"], row["support"]) for row in measured["classes"]] == [("disc", 2), ("square", 1)]
    mistakes = [(item["true"], item["predicted"], item["probability"]) for item in measured["worst_mistakes"]]
    assert mistakes == [("disc", "square", 0.8), ("background", "disc", 0.75), ("background", "disc", 0.05)]
    assert [Path(item["path"]).name for item in measured["pictures"]] == ["b.png", "a.png"]
    assert measured["precision_recall"]["recall"][-1] == 1.0
    assert len(measured["precision_recall"]["classes"]["disc"]) == len(measured["precision_recall"]["recall"])
