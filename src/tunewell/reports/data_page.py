"""A page about a data set: what it holds, what is wrong with it, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunewell.reports.charts.chart import style as style_sheet
from tunewell.reports.pages import Inline, source, templates
from tunewell.tasks.data_view import DataView


@dataclass(frozen=True, slots=True)
class _ClassRow:
    name: str
    counts: Sequence[int]
    #: Of the most frequent class's count in the training data.
    percent: float


def render(view: DataView) -> str:
    """Return the page as HTML in one file."""
    summary = view.summary
    train = list(summary.items).index("train")
    most = max((counts[train] for counts in summary.counts.values()), default=0)
    rows = [_ClassRow(name, counts, 100 * counts[train] / max(most, 1)) for name, counts in summary.counts.items()]
    found = templates()
    style = Inline(style_sheet() + source("report.css") + found.get_template("data.css.j2").render(width=view.width))
    return found.get_template("data.html.j2").render(view=view, summary=summary, rows=rows, style=style)
