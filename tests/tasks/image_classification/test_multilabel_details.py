"""Detailed metrics of several labels, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tunewell.tasks.image_classification.multilabel_details import measure

#: Probabilities of four pictures and three labels, of which "owl" never occurs.
PROBABILITIES = np.array([[0.9, 0.2, 0.1], [0.6, 0.7, 0.1], [0.3, 0.8, 0.6], [0.2, 0.1, 0.1]])
PRESENCE = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
THRESHOLDS = (0.5, 0.5, 0.5)


def measured() -> dict[str, object]:
    """Return the detailed metrics of the example."""
    logits = np.log(PROBABILITIES / (1 - PROBABILITIES))
    paths = [Path(f"{index}.png") for index in range(4)]
    return measure(logits, PRESENCE, THRESHOLDS, ["cat", "dog", "owl"], paths)


def test_each_label_has_its_row() -> None:
    """Average precision, precision, recall and F1 are those of the label; what is not defined is None."""
    cat, dog, owl = measured()["classes"]  # type: ignore[misc]
    assert cat == {
        "name": "cat",
        "ap": pytest.approx((1 + 2 / 3) / 2),
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 2,
        "score_threshold": 0.5,
    }
    assert (dog["ap"], dog["f1"]) == (1.0, 1.0)
    assert (owl["ap"], owl["recall"], owl["precision"], owl["f1"]) == (None, None, 0.0, 0.0)


def test_thresholds_have_counts_of_their_own() -> None:
    """At the threshold of the example the counts give its precision and recall; the higher, the fewer are given."""
    found = measured()
    counts, rows = found["by_threshold"], found["classes"]
    place = counts["thresholds"].index(0.5)  # type: ignore[index]
    for label, row in enumerate(rows):  # type: ignore[arg-type, var-annotated]
        hits, given = (counts[name][place][label] for name in ("hits", "given"))  # type: ignore[index]
        assert row["precision"] == (hits / given if given else None)
        assert row["recall"] == (hits / row["support"] if row["support"] else None)
    assert counts["given"][-1] == [0, 0, 0] and counts["given"][1] == [4, 4, 4]  # type: ignore[index]


def test_the_surest_mistakes_come_first() -> None:
    """A label too many or missing is a mistake; each picture is listed once, by its surest one, the surest first."""
    mistakes = measured()["worst_mistakes"]
    assert [(m["path"], m["label"], m["true"], m["predicted"]) for m in mistakes] == [  # type: ignore[attr-defined]
        ("2.png", "cat", "cat, dog", "dog, owl"),
        ("1.png", "cat", "dog", "cat, dog"),
    ]


def test_curves_fall_and_end_at_full_recall() -> None:
    """A curve gives the best precision at each recall or above, for the labels that occur."""
    curves = measured()["precision_recall"]
    assert set(curves["classes"]) == {"cat", "dog"}  # type: ignore[index]
    cat = curves["classes"]["cat"]  # type: ignore[index]
    assert cat[0] == 1.0
    assert cat[-1] == pytest.approx(2 / 3)
    assert cat == sorted(cat, reverse=True)


def test_calibration_is_that_of_all_decisions() -> None:
    """Bins hold every picture and label once; the error is the mean gap between them and what is so."""
    found = measured()
    bins = found["calibration"]
    assert sum(item["count"] for item in bins) == 12  # type: ignore[attr-defined]
    gap = sum(item["count"] * abs(item["probability"] - item["present"]) for item in bins) / 12  # type: ignore[attr-defined]
    assert found["expected_calibration_error"] == pytest.approx(gap)
    json.dumps(found, allow_nan=False)
