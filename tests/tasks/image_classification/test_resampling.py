"""Metrics on resamples equal those of pictures that occur so often."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tunewell.tasks.image_classification import metrics, multilabel_metrics
from tunewell.tasks.image_classification.resampling import several_labels, single_label
from tunewell.tasks.uncertainty import interval, resampled


def _weights(count: int) -> np.ndarray:
    """Every picture once, and some draws."""
    generator = np.random.default_rng(0)
    return np.vstack([np.ones(count, dtype=int), generator.multinomial(count, np.full(count, 1 / count), size=6)])


@pytest.mark.parametrize("classes", [2, 7, 12])
def test_metrics_of_one_label(classes: int) -> None:
    """Each draw has the metrics that the epochs report, also where it lacks a class and where scores are equal."""
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, size=16)
    logits = (generator.normal(size=(16, classes)) + 2 * np.eye(classes)[labels]).round(1)
    weights = _weights(16)
    ours = single_label(logits, labels)(weights)
    for place, row in enumerate(weights):
        drawn = np.repeat(np.arange(16), row)
        assert {name: ours[name][place] for name in ours} == pytest.approx(
            metrics.measure(logits[drawn], labels[drawn])
        )


def test_metrics_of_several_labels() -> None:
    """Each draw has the metrics of the epochs, by the model's own thresholds, and the area that the details have."""
    generator = np.random.default_rng(3)
    presence = generator.random((16, 4)) < [0.5, 0.3, 0.1, 0.0]
    logits = (generator.normal(size=(16, 4)) + presence).round(1)
    thresholds = multilabel_metrics.best_thresholds(logits, presence)
    weights = _weights(16)
    ours = several_labels(logits, presence, thresholds)(weights)
    for place, row in enumerate(weights):
        drawn = np.repeat(np.arange(16), row)
        found = {name: ours[name][place] for name in ours}
        area = found.pop("auroc")
        assert found == pytest.approx(multilabel_metrics.measure(logits[drawn], presence[drawn], thresholds))
        both = [label for label in range(4) if 0 < presence[drawn, label].sum() < len(drawn)]
        areas = [roc_auc_score(presence[drawn, label], logits[drawn, label]) for label in both]
        assert area == pytest.approx(np.mean(areas))


def test_many_pictures_and_classes_cost_little() -> None:
    """What has to rank the pictures of every class is left out where it would take long."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 50, size=1000)
    logits = generator.normal(size=(1000, 50)) + 3 * np.eye(50)[labels]
    began = time.process_time()
    few = resampled(single_label(logits, labels), 1000, seed=0)
    assert time.process_time() - began < 8  # two seconds, where nothing else runs
    assert few.keys() == metrics.measure(logits, labels).keys()
    found = interval(few["accuracy"], 1000)
    assert found is not None and found[0] < (logits.argmax(axis=1) == labels).mean() < found[1]
    many = single_label(np.tile(logits, 4), labels)(np.ones((1, 1000), dtype=int))
    assert many.keys() == {"accuracy", "f1", "loss", "top_5_accuracy"}
