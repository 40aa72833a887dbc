"""A page about a model that was measured on data which were labelled anew, beside the figures that it came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.charts.chart import style as style_sheet
from tunewell.reports.evaluations import OTHER_DATA, amounts, chance_text, side_by_side, split_report
from tunewell.reports.html import environment
from tunewell.reports.pages import Inline, source


@dataclass(frozen=True, slots=True)
class OtherData:
    """A model, the data, and what was measured."""

    #: What people call them.
    model: str
    data: str
    #: Split → how many of its pictures were measured.
    splits: Mapping[str, int]
    #: All that was measured.
    measured: Mapping[str, Any]
    #: `new`, and `val` and `test`, which the model came with → figures, and metric → interval of such a figure.
    figures: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Sequence[float]]]
    notes: Sequence[str]


def render(about: OtherData) -> str:
    """Return the page as HTML in one file."""
    split = split_report(OTHER_DATA, about.measured)
    titles, measures = side_by_side(about.figures, about.intervals)
    style = Inline(style_sheet() + source("report.css"))
    return (
        environment()
        .get_template("other_data.html.j2")
        .render(
            about=about,
            split=split,
            measured_on=amounts(about.splits, split.unit),
            titles=titles,
            measures=measures,
            chance=chance_text(about.splits, about.intervals, split.unit),
            style=style,
        )
    )
