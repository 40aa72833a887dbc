"""A page about a data set: what it holds, what is wrong with it, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tunewell.tasks.data_view import DataView

#: Width of the examples in pixels; objects need room.
_COLUMNS = {"pictures": 112, "objects": 240}


@dataclass(frozen=True, slots=True)
class _ClassRow:
    name: str
    counts: Sequence[int]
    #: Of the most frequent class's count in the training data.
    percent: float


def render(view: DataView) -> str:
    """Return the page as HTML in one file."""
    environment = Environment(
        loader=PackageLoader("tunewell.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    summary = view.summary
    most = max((counts[0] for counts in summary.counts.values()), default=0)
    rows = [_ClassRow(name, counts, 100 * counts[0] / max(most, 1)) for name, counts in summary.counts.items()]
    style = Path(__file__).parent.joinpath("templates", "report.css").read_text(encoding="utf-8")
    page = environment.get_template("data.html.j2")
    width = _COLUMNS[summary.counted]
    return page.render(view=view, summary=summary, rows=rows, style=style, width=width)
