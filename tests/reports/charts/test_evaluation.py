from __future__ import annotations

import numpy as np

from tests.reports.charts.tables import SVG, Drawn
from tunewell.reports.charts import calibration, confusion_matrix, precision_recall
from tunewell.reports.charts.evaluation import DRAWN_CURVES, MOST_CLASSES


def test_cells_of_a_confusion_matrix_say_what_they_count() -> None:
    """Each pair that occurs has a cell in the shade of its share, with its place, its count and its words."""
    chart = confusion_matrix([[3, 1], [0, 4]], ["cat", "dog"])
    drawn = Drawn(chart)
    cells = [(one.get("data-true"), one.get("data-predicted"), one.get("class")) for one in drawn.groups("cell")]
    assert cells == [("0", "0", "cell strength-5"), ("0", "1", "cell strength-1"), ("1", "1", "cell strength-6")]
    assert drawn.titles[1] == "true cat, predicted dog: 1 (25 %)"
    assert [one.text for one in drawn.groups("count")] == ["3", "1", "4"]
    assert drawn.root.get("aria-label") == "7 of 8 right, in 2 classes"


def test_cells_can_lead_somewhere() -> None:
    """Where an address is given for each pair, its cell is a link, and the chart no mere picture."""
    drawn = Drawn(confusion_matrix([[3, 1], [0, 4]], ["cat", "dog"], lambda t, p: f"?true={t}&predicted={p}"))
    assert [one.get("href") for one in drawn.root.iter(f"{SVG}a")][1] == "?true=0&predicted=1"
    assert drawn.root.get("role") == "group"


def test_confusion_matrices_with_too_many_classes_are_not_drawn() -> None:
    """Above a number of classes a sentence points to the confused pairs instead; up to it, the drawing is bounded."""
    amount = MOST_CLASSES + 1
    assert confusion_matrix([[0] * amount] * amount, [str(i) for i in range(amount)]).svg is None
    names = ["class" * 100 for _ in range(MOST_CLASSES)]
    largest = confusion_matrix(np.full((MOST_CLASSES, MOST_CLASSES), 5).tolist(), names)
    assert len(Drawn(largest).groups("cell")) == MOST_CLASSES**2
    assert largest.svg is not None and len(largest.svg) < 1_000_000


def test_precision_and_recall_of_the_weakest() -> None:
    """The mean stands out, the weakest classes are drawn behind it and told by name; their number is said."""
    classes = {f"class {i}": [1.0, i / 50] for i in range(50)}
    chart = precision_recall({"recall": [0, 1], "mean": [1, 0.5], "classes": classes})
    drawn = Drawn(chart)
    assert drawn.titles == [f"class {i}" for i in range(DRAWN_CURVES)]
    assert {"mean", "class 0"} <= set(drawn.texts)
    assert "Of 50 classes, the 30 weakest." in chart.caption
    assert precision_recall({"recall": [0, 1], "mean": [1, 0], "classes": {}}).svg is None


def test_a_single_class_has_one_curve() -> None:
    """The mean of one class would be that class: it is drawn once, under its name."""
    chart = precision_recall({"recall": [0, 1], "mean": [1, 0], "classes": {"cell": [1, 0]}})
    drawn = Drawn(chart)
    assert "cell" in drawn.texts and not drawn.groups("faded")
    assert not chart.caption


def test_calibration_tells_each_bin() -> None:
    """Each bin is a point that tells how often what was predicted is so."""
    drawn = Drawn(calibration([{"probability": 0.1, "present": 0.2, "count": 9}]))
    assert drawn.titles == ["probability 0.100: so in 20 % of 9"]
    assert len(drawn.groups("ideal")) == 1
    assert Drawn(calibration([])).titles == []
