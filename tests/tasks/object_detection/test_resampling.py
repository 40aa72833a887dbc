"""COCO's metrics on resamples of pictures equal what faster-coco-eval says of pictures that occur so often."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from tests.tasks.object_detection.test_limits import pictures

from tunewell.tasks.object_detection.annotations import AnnotatedPictures, Objects
from tunewell.tasks.object_detection.detections import Detections
from tunewell.tasks.object_detection.masks import encode
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.resampling import match_classes, mean_precisions, on_resamples
from tunewell.tasks.uncertainty import RESAMPLES, interval

SIZE = (100, 80)


def _corners(box: list[float]) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def scenes(
    pictures: int, seed: int, masks: bool = False, false: int = 5, classes: int = 3
) -> tuple[AnnotatedPictures, dict[int, Detections]]:
    """Random pictures with objects, some of them crowds, and detections: some right, some loose, some of nothing."""
    generator = np.random.default_rng(seed)
    marked, found = [], {}
    for position in range(pictures):
        amount = int(generator.integers(0, 6))
        corners = generator.uniform(0, 50, size=(amount, 2)).round()
        boxes = np.hstack([corners, corners + generator.uniform(8, 30, size=(amount, 2)).round()])
        labels = generator.integers(0, classes, size=amount)
        crowd = generator.random(amount) < 0.15
        drawn = tuple([_corners(box)] for box in boxes.tolist()) if masks else None
        marked.append(Objects(boxes, labels, crowd, drawn))
        shift = generator.normal(scale=2.0, size=(amount, 4))
        shift[:, 2:] = np.abs(shift[:, 2:])
        others = generator.uniform(0, 50, size=(int(generator.integers(0, false + 1)), 2))
        guesses = np.vstack([boxes + shift, boxes[:1], np.hstack([others, others + 15])])
        said = np.concatenate([labels, labels[:1], generator.integers(0, classes, size=len(others))])
        scores = generator.random(len(guesses))
        order = np.argsort(-scores)
        guesses = guesses[order]
        encoded = tuple(encode([_corners(box)], *SIZE) for box in guesses.tolist()) if masks else None
        found[position] = Detections(guesses, scores[order], said[order], encoded)
    every = tuple(range(pictures))
    annotated = AnnotatedPictures(
        folder=Path(),
        paths=tuple(map(str, every)),
        splits={"val": every},
        classes=tuple(map(str, range(classes))),
        sizes=(SIZE,) * pictures,
        objects=tuple(marked),
    )
    return annotated, found


def drawn_so_often(
    annotated: AnnotatedPictures, found: dict[int, Detections], weights: np.ndarray
) -> tuple[AnnotatedPictures, dict[int, Detections]]:
    """The data set in which each picture occurs as often as its weight says."""
    places = np.repeat(np.arange(len(weights)), weights).tolist()
    many = AnnotatedPictures(
        folder=Path(),
        paths=tuple(map(str, range(len(places)))),
        splits={"val": tuple(range(len(places)))},
        classes=annotated.classes,
        sizes=(SIZE,) * len(places),
        objects=tuple(annotated.objects[place] for place in places),
    )
    return many, {position: found[place] for position, place in enumerate(places)}


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_of_a_resample_are_those_of_faster_coco_eval(masks: bool, seed: int) -> None:
    """The pictures themselves, and random draws of them, have the same figures as the library gives."""
    annotated, found = scenes(12, seed, masks)
    overlap = "segm" if masks else "bbox"
    classes = match_classes(found, annotated, overlap, sorted(found))
    generator = np.random.default_rng(seed)
    weights = np.vstack([np.ones(12, dtype=int), generator.multinomial(12, np.full(12, 1 / 12), size=5)])
    ours = mean_precisions(classes, weights)
    for place, row in enumerate(weights):
        theirs = measure(*reversed(drawn_so_often(annotated, found, row)))
        assert {name: ours[name][place] for name in ours} == pytest.approx({name: theirs[name] for name in ours})


def test_full_pictures_have_the_same_metrics_on_resamples() -> None:
    """Of 180 objects of a class in a picture, all found, none is left out of the intervals."""
    generator = np.random.default_rng(0)
    scenery = pictures(180, 180, 180, 180)
    found = {
        position: Detections(objects.boxes, generator.random(180), objects.labels)
        for position, objects in enumerate(scenery.objects)
    }
    classes = match_classes(found, scenery, "bbox", sorted(found))
    ours = mean_precisions(classes, np.ones((1, 4), dtype=int))
    assert {name: values[0] for name, values in ours.items()} == pytest.approx(measure(found, scenery))
    assert ours["map"][0] == pytest.approx(1.0)


def test_all_metrics_of_an_epoch_are_resampled() -> None:
    """Where objects have masks, those of the boxes are there, too."""
    annotated, found = scenes(6, 0, masks=True)
    values = on_resamples(found, annotated, seed=0)
    assert values.keys() == measure(found, annotated).keys()
    assert {len(value) for value in values.values()} == {RESAMPLES}


def test_classes_that_a_resample_lacks_do_not_count() -> None:
    """Without any object a metric is not defined; nothing found is 0."""
    annotated, found = scenes(8, 1)
    nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=int))
    classes = match_classes(dict.fromkeys(found, nothing), annotated, "bbox", sorted(found))
    full, empty = np.ones(8, dtype=int), np.zeros(8, dtype=int)
    values = mean_precisions(classes, np.array([full, empty]))["map"]
    assert values[0] == 0 and np.isnan(values[1])


def test_quick_enough_for_many_detections() -> None:
    """A detector that gives very many detections costs little more than a second."""
    annotated, found = scenes(100, 3, false=150)
    began = time.process_time()
    values = on_resamples(found, annotated, seed=0)
    assert time.process_time() - began < 6  # a second, where nothing else runs
    measured, between = measure(found, annotated)["map"], interval(values["map"], 100)
    assert between is not None and between[0] < measured < between[1]
