"""The progress of several searches on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.reports.charts.chart import Chart
from tunewell.reports.charts.plot import Label, Plot
from tunewell.reports.charts.scales import linear_axis, time_unit, value_range
from tunewell.reports.charts.svg import label
from tunewell.reports.table import Goal
from tunewell.spec.format import number


@dataclass(frozen=True, slots=True)
class Course:
    """The best value so far of one search."""

    #: What it is called, and the letter that stands for it in the chart.
    name: str
    letter: str
    #: Numbers of trials, or seconds, where the best value changed, and that value.
    places: Sequence[float]
    values: Sequence[float]
    #: How far the search has come.
    end: float


def compared_progress(courses: Sequence[Course], metric: str, goal: Goal, *, over_time: bool = False) -> Chart:
    """Return the best value so far of up to five searches, by trial or by the time that each had been running."""
    title = f"Progress over {'time' if over_time else 'trials'}"
    shown = [(rank, one) for rank, one in enumerate(courses, start=1) if len(one.places)]
    if not shown:
        return Chart(title, "None of them has a result yet.", None)
    end = max(one.end for _, one in shown)
    unit, name = time_unit(end) if over_time else (1.0, "")
    x_title = f"{name} of search time" if over_time else "trial"
    axis = linear_axis(0.0 if over_time else 0.5, end / unit if over_time else end + 0.5, x_title, whole=not over_time)
    values = np.array([value for _, one in shown for value in one.values], dtype=np.float64)
    low, high, note = value_range(values, goal)
    plot = Plot(axis, linear_axis(low, high, label(metric)), height=320, frame="labelled")
    labels = []
    for rank, one in shown:  # solid below dashed: where they lie on each other, both are seen
        places = [place / unit for place in one.places]
        reached, style = number(one.values[-1]), f"search-{rank}"
        told = f"{one.letter} {one.name}: {reached}"
        plot.line([*places, one.end / unit], [*one.values, one.values[-1]], style, stepped=True, told=told)
        labels.append(
            Label(float(plot.down(one.values[-1])), f"{one.letter} {number(one.values[-1])}", f"search-{rank}")
        )
    plot.ends(labels)
    caption = "The best value so far of each search."
    if note:
        caption += " Where a line begins at the edge, its first values are far worse than the rest."
    facts = ", ".join(f"{one.letter} ({one.name}) reached {number(one.values[-1])}" for _, one in shown)
    return Chart(title, caption, plot.render(f"best {label(metric)} so far: {facts}"))
