"""COCO's metrics on cases that can be reckoned by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tasks.object_detection.scenes import SIZE

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Mask, Objects
from tunewell.tasks.object_detection.detections import Detections, are_finite, load_detections, save_detections
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.metrics import evaluate, measure


def square(x: float, side: float = 20) -> Mask:
    """The polygon of a square at the upper edge."""
    return [[x, 0.0, x + side, 0.0, x + side, side, x, side]]


def truth(masks: bool = False, crowd: bool = False) -> AnnotatedPictures:
    """Two pictures: two objects of class 0, and one of class 1 (a crowd, if asked for)."""
    first = Objects(
        np.array([[0, 0, 20, 20], [30, 0, 50, 20]], dtype=float),
        np.array([0, 0]),
        np.array([False, False]),
        (square(0), square(30)) if masks else None,
    )
    second = Objects(np.array([[10, 0, 30, 20.0]]), np.array([1]), np.array([crowd]), (square(10),) if masks else None)
    return AnnotatedPictures(
        folder=Path(),
        paths=("a", "b"),
        splits={"val": (0, 1)},
        classes=("1", "2"),
        sizes=(SIZE, SIZE),
        objects=(first, second),
    )


def detections(boxes: list[list[float]], scores: list[float], labels: list[int], masks: bool = False) -> Detections:
    """Detections with masks as large as their boxes, if any are wanted."""
    drawn = tuple(encode([[x0, y0, x1, y0, x1, y1, x0, y1]], *SIZE) for x0, y0, x1, y1 in boxes) if masks else None
    return Detections(np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores), np.array(labels, dtype=int), drawn)


@pytest.mark.parametrize("masks", [False, True])
def test_all_found(masks: bool) -> None:
    """Perfect detections have precision 1 at every threshold."""
    found = {
        0: detections([[0, 0, 20, 20], [30, 0, 50, 20]], [0.9, 0.8], [0, 0], masks),
        1: detections([[10, 0, 30, 20]], [0.7], [1], masks),
    }
    measured = measure(found, truth(masks))
    assert set(measured) == ({"map", "map50", "map75"} | ({"box_map", "box_map50"} if masks else set()))
    assert all(value == pytest.approx(1.0) for value in measured.values())


def test_half_found() -> None:
    """One of two objects of a class: precision 1 up to recall 0.5, that is at 51 of 101 recalls."""
    found = {0: detections([[0, 0, 20, 20]], [0.9], [0]), 1: detections([], [], [])}
    evaluated = evaluate(found, truth(), "bbox")
    np.testing.assert_allclose(evaluated.average_precision(0.5), [51 / 101, 0])
    assert measure(found, truth())["map50"] == pytest.approx(51 / 202)
    assert evaluated.mean_recall() == pytest.approx(0.25)


def test_loose_boxes_count_at_low_thresholds_only() -> None:
    """A box with an overlap of 0.8 counts up to the threshold 0.8: 7 of 10."""
    found = {0: detections([], [], []), 1: detections([[10, 0, 30, 16]], [0.9], [1])}
    assert measure(found, truth())["map"] == pytest.approx(0.7 / 2)


def test_crowds_do_not_count() -> None:
    """A crowd is not missed, and detections in it are no mistakes: its class does not occur."""
    found = {0: detections([[0, 0, 20, 20], [30, 0, 50, 20]], [0.9, 0.8], [0, 0]), 1: detections([], [], [])}
    measured = measure(found, truth(crowd=True))
    assert measured["map"] == pytest.approx(1.0)
    assert np.isnan(evaluate(found, truth(crowd=True), "bbox").average_precision()[1])


def test_nothing_found() -> None:
    """Without detections all metrics are 0."""
    found = {0: detections([], [], [], True), 1: detections([], [], [], True)}
    assert set(measure(found, truth(masks=True)).values()) == {0.0}


def test_saving(tmp_path: Path) -> None:
    """What is saved is read again; a threshold leaves the surest."""
    found = {3: detections([[0, 0, 20, 20], [30, 0, 50, 20]], [0.9, 0.8], [0, 1], True)}
    save_detections(tmp_path / "found.json", found)
    again = load_detections(tmp_path / "found.json")[3]
    np.testing.assert_array_equal(again.boxes, found[3].boxes)
    assert again.masks == found[3].masks
    assert again.above(0.85).labels.tolist() == [0]
    assert are_finite([again])
    assert not are_finite([detections([[0, 0, float("nan"), 1]], [0.5], [0])])
