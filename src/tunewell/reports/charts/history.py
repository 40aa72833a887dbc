"""Charts of the value over the course of the search, by trial and by time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.charts.chart import Chart
from tunewell.reports.charts.choosing import FEW, drawn, sentences, thinning
from tunewell.reports.charts.plot import Label, Plot, evenly
from tunewell.reports.charts.scales import Axis, linear_axis, time_unit, value_range
from tunewell.reports.charts.svg import label
from tunewell.reports.table import Flags, Floats, SearchView
from tunewell.spec.errors import count
from tunewell.spec.format import number
from tunewell.spec.states import TrialState

#: State → glyph that stands for it in keys, and what is drawn at a point as path data.
MARKS = {
    TrialState.SUCCEEDED: ("●", "h0"),
    TrialState.STOPPED: ("❙", "v6"),
    TrialState.PRUNED: ("■", "h0"),
}
#: Most corners of the line of the best so far.
MOST_STEPS = 400


def history_over_trials(view: SearchView) -> Chart:
    """Return the value of each trial by its number, with the best so far and the default's level."""
    title = "Progress over trials"
    table = view.table
    shown = table.measured
    if not shown.any():
        return Chart(title, "No trial has a value.", None)
    last = int(table.numbers[-1])
    axis = linear_axis(0.5, last + 0.5, "trial", whole=True)
    failed = table.in_state(TrialState.FAILED)
    plot, note = _history(view, axis, table.numbers.astype(np.float64), shown, failed)
    caption = "Each point is a trial; the line is the best value so far."
    if failed.any():
        caption += " Ticks at the bottom are failed trials."
    return Chart(title, sentences(caption, note), plot.render(facts(view)))


def history_over_time(view: SearchView) -> Chart:
    """Return the value of each trial by how long the search had been running when it ended."""
    title = "Progress over time"
    table = view.table
    timed = ~np.isnan(table.ended_after)
    shown = table.measured & timed
    if not shown.any():
        return Chart(title, "No trial has a value and a time.", None)
    unit, name = time_unit(float(table.ended_after[timed].max()))
    places = table.ended_after / unit
    axis = linear_axis(0.0, 1.02 * float(places[timed].max()), f"{name} of search time")
    plot, note = _history(view, axis, places, shown, table.in_state(TrialState.FAILED) & timed)
    return Chart(title, sentences("The same trials at the time they ended.", note), plot.render(facts(view)))


def _history(view: SearchView, axis: Axis, places: Floats, shown: Flags, failed: Flags) -> tuple[Plot, str]:
    """Return the chart of the trials `shown` at their `places` on the x axis, and a remark on it."""
    table = view.table
    low, high, note = value_range(table.values[shown], table.goal)
    low, high = _with_levels(view, low, high)
    plot = Plot(axis, linear_axis(low, high, label(view.metric)), frame="labelled")
    chosen = drawn(view, shown & (table.values >= low) & (table.values <= high))
    size = "few" if len(chosen) <= FEW else "many"
    for state, (_, shape) in MARKS.items():
        some = chosen[table.in_state(state)[chosen]]
        plot.points(places[some], table.values[some], f"{state} {size}", table.numbers[some].tolist(), shape)
    lost = drawn(view, failed, FEW)
    plot.ticks_below(places[lost], "failed", table.numbers[lost].tolist())
    _best_line(plot, view, axis, places, shown)
    best = table.best
    if best is not None and shown[best]:
        plot.symbol("star", float(places[best]), float(table.values[best]), "best", int(table.numbers[best]))
    _levels(plot, view)
    present = [state for state in MARKS if table.in_state(state)[shown].any()]
    if len(present) > 1 or failed.any():
        entries = [(MARKS[state][0], str(state), str(state)) for state in present]
        plot.key([*entries, *([("|", "failed", "failed")] if failed.any() else [])])
    return plot, sentences(note, thinning(view, shown, chosen) if not note else "")


def _levels(plot: Plot, view: SearchView) -> None:
    """Draw and name the levels of the default and the target, and name that of the best."""
    levels = {"default": _default(view), "target": view.target}
    shown = {name: value for name, value in levels.items() if value is not None and plot.y.holds(value)}
    for name, value in shown.items():
        plot.level(value, name)
    if view.table.best is not None:
        shown["best"] = float(view.table.values[view.table.best])
    plot.ends([Label(float(plot.down(value)), f"{name} {number(value)}", name) for name, value in shown.items()])


def _with_levels(view: SearchView, low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis with room for default and target, where these are no farther away than it is long."""
    span = high - low
    for level in (_default(view), view.target):
        if level is not None and low - span <= level <= high + span:
            low, high = min(low, level - 0.06 * span), max(high, level + 0.06 * span)
    return low, high


def _default(view: SearchView) -> float | None:
    """Return the value of the default configuration; None: there is none."""
    row = None if view.default_trial is None else view.table.row(view.default_trial)
    value = np.nan if row is None else view.table.values[row]
    return None if np.isnan(value) else float(value)


def _best_line(plot: Plot, view: SearchView, axis: Axis, places: Floats, shown: Flags) -> None:
    steps = best_steps(view, places, shown)
    if len(steps):
        values = view.table.values[steps]
        plot.line([*places[steps], axis.high], [*values, values[-1]], "best-line", stepped=True)


def best_steps(view: SearchView, places: Floats, shown: Flags) -> NDArray[np.int64]:
    """Return the trials that were the best until then, in the order of their places; of very many, some."""
    rows = np.flatnonzero(shown)
    steps = view.table.improvements(rows[np.argsort(places[rows], kind="stable")])
    return steps[evenly(len(steps), MOST_STEPS)]


def facts(view: SearchView) -> str:
    """Return what a history shows in a sentence."""
    table = view.table
    parts = [f"{view.metric} of {count(int(table.measured.sum()), 'trial')}"]
    best = table.best
    if best is not None:
        parts.append(f"best {number(float(table.values[best]))} by trial {table.numbers[best]}")
    default = _default(view)
    if default is not None:
        parts.append(f"default {number(default)}")
    if view.target is not None:
        parts.append(f"target {number(view.target)}")
    failed = int(table.in_state(TrialState.FAILED).sum())
    if failed:
        parts.append(f"{failed} failed")
    return ", ".join(parts)
