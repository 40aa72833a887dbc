from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewell.tasks.image_classification.detailed_metrics import measure

CLASSES = ["cat", "dog", "owl"]
#: Probabilities of six pictures; "owl" is predicted once, and never right.
PROBABILITIES = np.array(
    [[0.7, 0.22, 0.08], [0.6, 0.3, 0.1], [0.55, 0.35, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]
)
LABELS = np.array([0, 0, 1, 1, 1, 1])


def _measure(probabilities: np.ndarray, labels: np.ndarray, classes: list[str]) -> dict[str, Any]:
    paths = [Path(f"{index}.png") for index in range(len(labels))]
    return measure(np.log(probabilities), labels, classes, paths)


def test_numbers_equal_those_worked_out_by_hand() -> None:
    """Every number of a small example is right, and what is not defined is None."""
    found = _measure(PROBABILITIES, LABELS, CLASSES)
    assert found["count"] == 6
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert "top_5_accuracy" not in found
    assert found["confusion_matrix"] == [[2, 0, 0], [1, 2, 1], [0, 0, 0]]
    assert found["classes"] == [
        {"name": "cat", "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": pytest.approx(4 / 5), "support": 2},
        {"name": "dog", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 4},
        {"name": "owl", "precision": 0.0, "recall": None, "f1": 0.0, "support": 0},
    ]
    assert found["macro"]["precision"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro"]["recall"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["f1"] == pytest.approx((4 / 5 + 2 / 3) / 3)
    assert "f1" not in found["macro"] and "recall" not in found["weighted"], "they are `f1` and `accuracy`"
    assert found["weighted"]["precision"] == pytest.approx((2 * 2 / 3 + 4 * 1) / 6)
    assert found["weighted"]["f1"] == pytest.approx((2 * 4 / 5 + 4 * 2 / 3) / 6)
    assert found["loss"] == pytest.approx(-np.log([0.7, 0.6, 0.35, 0.8, 0.7, 0.2]).mean())


def test_pairs_and_mistakes_come_in_order() -> None:
    """Mistakes are listed with the surest first, without a picture where there is no file."""
    found = _measure(PROBABILITIES, LABELS, CLASSES)
    assert found["confused_pairs"] == [
        {"true": "dog", "predicted": "cat", "count": 1},
        {"true": "dog", "predicted": "owl", "count": 1},
    ]
    mistake = {"true": "dog", "thumbnail": None}
    assert found["worst_mistakes"] == [
        {**mistake, "path": "5.png", "predicted": "owl", "probability": pytest.approx(0.7)},
        {**mistake, "path": "2.png", "predicted": "cat", "probability": pytest.approx(0.55)},
    ]


def test_each_cell_has_its_pictures() -> None:
    """Mistakes come with the surest first, what is right with the least sure; cells without pictures are left out."""
    cells = {
        (one["true"], one["predicted"]): one["pictures"] for one in _measure(PROBABILITIES, LABELS, CLASSES)["cells"]
    }
    paths = {cell: [one["path"] for one in pictures] for cell, pictures in cells.items()}
    assert paths == {(1, 0): ["2.png"], (1, 2): ["5.png"], (0, 0): ["1.png", "0.png"], (1, 1): ["4.png", "3.png"]}
    assert cells[1, 2][0] == {"path": "5.png", "probability": pytest.approx(0.7), "thumbnail": None}


def test_most_confused_pairs_come_first() -> None:
    """Pairs are told apart by direction and sorted by how often they occur; ten at most are listed."""
    counts = {("a", "b"): 1, ("b", "a"): 4, ("c", "a"): 2, ("c", "b"): 3}
    labels = np.array(["abc".index(true) for (true, _), count in counts.items() for _ in range(count)])
    predicted = np.array(["abc".index(guess) for (_, guess), count in counts.items() for _ in range(count)])
    pairs = _measure(np.eye(3)[predicted] * 0.8 + 0.1, labels, list("abc"))["confused_pairs"]
    assert [(pair["true"], pair["predicted"], pair["count"]) for pair in pairs] == [
        ("b", "a", 4),
        ("c", "b", 3),
        ("c", "a", 2),
        ("a", "b", 1),
    ]
    labels = np.repeat(np.arange(4), 4)
    everything = _measure(np.eye(4)[np.tile(np.arange(4), 4)] * 0.6 + 0.1, labels, list("abcd"))
    assert len(everything["confused_pairs"]) == 10


def test_area_under_the_curve_counts_ordered_pairs() -> None:
    """AUROC is the share of (positive, negative) pairs in the right order, over the classes that have both."""

    def share(label: int) -> float:
        scores = PROBABILITIES[:, label]
        pairs = [(p, n) for p in scores[label == LABELS] for n in scores[label != LABELS]]
        return float(np.mean([p > n for p, n in pairs]))

    assert _measure(PROBABILITIES, LABELS, CLASSES)["auroc"] == pytest.approx((share(0) + share(1)) / 2)


def test_calibration_error_equals_its_definition() -> None:
    """The calibration error is the mean gap between confidence and accuracy over 15 bins of equal width."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 500)
    labels = generator.integers(0, 4, 500)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for place in range(15):
        inside = (confidence > place / 15) & (confidence <= (place + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    measured = _measure(probabilities, labels, list("abcd"))
    assert measured["expected_calibration_error"] == pytest.approx(expected)
    assert expected > 0.05
    gaps = [one["count"] * abs(one["present"] - one["probability"]) / 500 for one in measured["calibration"]]
    assert sum(gaps) == pytest.approx(expected)


def test_top_5_accuracy_needs_more_than_ten_classes() -> None:
    """With eleven classes a label that is none of the five likeliest counts as missed; with ten there is no figure."""
    probabilities = np.tile(np.linspace(1, 0.1, 11) / np.linspace(1, 0.1, 11).sum(), (4, 1))
    found = _measure(probabilities, np.array([0, 1, 4, 5]), list("abcdefghijk"))
    assert found["top_5_accuracy"] == pytest.approx(3 / 4)
    assert found["accuracy"] == pytest.approx(1 / 4)
    assert "top_5_accuracy" not in _measure(probabilities[:, :10], np.array([0, 1, 4, 5]), list("abcdefghij"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_classes_occur_the_result_is_plain_json(data: st.DataObject) -> None:
    """No warning, no NaN: with classes that never occur, a single class in all labels, a single picture."""
    size = data.draw(st.integers(2, 7))
    count = data.draw(st.integers(1, 8))
    allowed = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    labels = np.array(data.draw(st.lists(st.sampled_from(sorted(allowed)), min_size=count, max_size=count)))
    logits = np.array(
        data.draw(st.lists(st.lists(st.floats(-90, 90), min_size=size, max_size=size), min_size=count, max_size=count))
    )
    classes = [f"class {label}" for label in range(size)]
    found = measure(logits, labels, classes, [Path("nowhere.png")] * count)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(row["support"] for row in found["classes"]) == count
    for row in found["classes"]:
        assert (row["recall"] is None) == (row["support"] == 0)
