"""What a model reaches on other data, beside the figures that it came with."""

from __future__ import annotations

import re

from tunewell.reports.evaluations import chance_text, side_by_side
from tunewell.reports.other_data import OtherData, render

FIGURES = {"new": {"accuracy": 0.91, "auroc": 1.0}, "test": {"accuracy": 0.99}, "val": {"accuracy": 0.995}}
INTERVALS = {"new": {"accuracy": [0.84, 0.96]}, "test": {"accuracy": [0.975, 1.0]}}


def test_each_value_stands_with_its_interval() -> None:
    """Values have the digits that their intervals support, as in the report of the search; some have none."""
    titles, measures = side_by_side(FIGURES, INTERVALS)
    assert titles == ["New data", "Validation", "Test"]
    assert measures == {
        "accuracy": ["0.91 (0.84–0.96)", "0.995", "0.990 (0.975–1.000)"],
        "AUROC": ["1", "–", "–"],
    }


def test_few_pictures_are_said_to_be_few() -> None:
    """Where there are no intervals, too: all may have been judged rightly."""
    assert chance_text({"all": 16}, {}, "picture") == "From 16 pictures, figures mean little."
    assert chance_text({"test": 20}, INTERVALS, "picture") == (
        "In parentheses: 95 % intervals, by resampling the pictures."
    )
    assert chance_text({"all": 20}, {"new": {}}, "picture") == ""


def test_the_page_has_them() -> None:
    """It is the same table, with the same note."""
    about = OtherData("signs", "autumn", {"test": 5}, {"count": 5, "unit": "picture"}, FIGURES, INTERVALS, ["one"])
    text = " ".join(re.sub("<[^>]+>", " ", render(about)).split())
    assert "accuracy 0.91 (0.84–0.96) 0.995 0.990 (0.975–1.000)" in text
    assert "by resampling the pictures. From 5 pictures, figures mean little." in text
