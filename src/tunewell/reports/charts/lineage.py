"""The lineage of a population: who went on from whose checkpoint, round by round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.charts.chart import Chart
from tunewell.reports.charts.choosing import FEW, MOST_POINTS, drawn, sentences
from tunewell.reports.charts.plot import Plot
from tunewell.reports.charts.scales import linear_axis, value_range
from tunewell.reports.charts.svg import element, label, written
from tunewell.reports.table import SearchView, TrialTable
from tunewell.spec.errors import count
from tunewell.spec.format import number


def lineage(view: SearchView) -> Chart:
    """Return the value of each trial by its round, with a line from each to those that went on from it."""
    title = "Lineage"
    table = view.table
    parents = _parents(table)
    if not (parents >= 0).any():
        return Chart(title, "No trial went on from another.", None)
    rounds = _rounds(parents)
    shown = table.measured
    if not shown.any():
        return Chart(title, "No trial has a value.", None)
    low, high, note = value_range(table.values[shown], table.goal)
    plot = Plot(
        linear_axis(0.75, float(rounds[shown].max()) + 1.25, "round", whole=True),
        linear_axis(low, high, label(view.metric)),
        height=340,
    )
    rows = drawn(view, shown, MOST_POINTS)
    line = _ancestors(parents, table.best)
    rows = np.union1d(rows, [row for row in line if shown[row]]).astype(np.int64)
    _links(plot, table, rows, rounds, parents, line)
    size = "few" if len(rows) <= FEW else "many"
    plot.points(rounds[rows] + 1, table.values[rows], size, table.numbers[rows].tolist())
    best = table.best
    if best is not None and shown[best]:
        plot.symbol("star", float(rounds[best] + 1), float(table.values[best]), "best", int(table.numbers[best]))
    told = f"{count(int(shown.sum()), 'trial')} in {count(int(rounds[shown].max()) + 1, 'round')}"
    if best is not None:
        numbers = [str(table.numbers[row]) for row in line]
        told += f"; the best, {number(float(table.values[best]))}, came from the trials {', '.join(numbers)}"
    caption = (
        "Each point is a trial, a round of the training; lines lead to those that went on from it, strong ones where "
        "another took it over. The best one's way is orange."
    )
    if note:
        note = "Values far worse than the rest stand at the edge."
    return Chart(title, sentences(caption, note), plot.render(told))


def _parents(table: TrialTable) -> NDArray[np.int64]:
    """Return the place of the trial that each went on from, (n,); -1: none."""
    places = np.minimum(np.searchsorted(table.numbers, table.parents), max(len(table) - 1, 0))
    known = (table.parents > 0) & (table.numbers[places] == table.parents) if len(table) else table.parents > 0
    return np.where(known, places, -1)


def _rounds(parents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many trials came before each in its line, (n,): parents have lower numbers than their children."""
    rounds = np.zeros(len(parents), dtype=np.int64)
    for place in np.flatnonzero((parents >= 0) & (parents < np.arange(len(parents)))).tolist():
        rounds[place] = rounds[parents[place]] + 1
    return rounds


def _ancestors(parents: NDArray[np.int64], place: int | None) -> list[int]:
    """Return the trials that led to the one at `place`, the first one first, itself included."""
    line: list[int] = []
    while place is not None and place >= 0 and place not in line:
        line.insert(0, place)
        place = int(parents[place])
    return line


def _links(
    plot: Plot,
    table: TrialTable,
    rows: NDArray[np.int64],
    rounds: NDArray[np.int64],
    parents: NDArray[np.int64],
    line: list[int],
) -> None:
    """Draw a line from each trial to those that went on from it."""
    shown = set(rows.tolist())
    heirs = np.bincount(parents[parents >= 0], minlength=len(parents))
    xs, ys = plot.across(rounds + 1.0), plot.down(np.nan_to_num(table.values))
    groups: dict[str, list[str]] = {"link": [], "link taken": [], "link led": []}
    for row in rows.tolist():
        parent = int(parents[row])
        if parent not in shown:
            continue
        middle = written(float(xs[parent] + xs[row]) / 2)
        start, end = (f"{written(float(xs[at]))} {written(float(ys[at]))}" for at in (parent, row))
        curve = f"M{start}C{middle} {start.split()[1]} {middle} {end.split()[1]} {end}"
        look = "link led" if row in line else "link taken" if heirs[parent] > 1 else "link"
        groups[look].append(element("path", d=curve))
    for look, curves in groups.items():
        if curves:
            plot.mark(element("g", *curves, class_=look))
