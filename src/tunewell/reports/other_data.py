"""A page about a model that was measured on data which were labelled anew, beside the figures that it came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.reports.charts.chart import style as style_sheet
from tunewell.reports.evaluations import OTHER_DATA, amounts, side_by_side, split_report
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
    #: `val`, `test` → figures that the model came with.
    known: Mapping[str, Mapping[str, float]]
    notes: Sequence[str]


def render(about: OtherData) -> str:
    """Return the page as HTML in one file."""
    split = split_report(OTHER_DATA, about.measured)
    titles, measures = side_by_side(about.measured, about.known)
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
            style=style,
        )
    )
