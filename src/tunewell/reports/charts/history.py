"""Charts of the value over the course of the search, by trial and by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from tunewell.reports.charts.theme import (
    ACCENT,
    BEST_MARK,
    INK,
    STATE_COLOURS,
    Chart,
    axis_range,
    figure,
    label,
    point_mark,
    points,
    time_unit,
)
from tunewell.reports.view import ExperimentView, TrialView, best_so_far, ended_with_value
from tunewell.spec.format import number
from tunewell.spec.states import TrialState

FAILED_MARK = {
    "size": 7,
    "symbol": "x-thin",
    "line": {"width": 1.6, "color": STATE_COLOURS[TrialState.FAILED]},
}


def history_over_trials(view: ExperimentView) -> Chart:
    """Return the value of each trial by its number, with the best so far and the default's level."""
    title = "Progress over trials"
    trials = ended_with_value(view)
    if not trials:
        return Chart(title, "No trial has a value.", None)
    plot, note = _history(view, trials, {trial.number: trial.number for trial in trials})
    failed = [trial for trial in view.trials if trial.state is TrialState.FAILED]
    if failed:
        _mark_failed(plot, view, failed)
    last = max(trial.number for trial in view.trials)
    margin = 0.5 + 0.02 * last
    plot.update_xaxes(title_text="trial", range=[1 - margin, last + margin], tickformat="d", nticks=8)
    if last <= 8:
        plot.update_xaxes(dtick=1)
    caption = "Each point is a trial; the line is the best value so far."
    if failed:
        caption += " Crosses at the bottom are failed trials."
    return Chart(title, caption + note, plot)


def history_over_time(view: ExperimentView) -> Chart:
    """Return the value of each trial by how long the search had been running when it ended."""
    title = "Progress over time"
    ended = {trial.number: trial.ended_after for trial in ended_with_value(view) if trial.ended_after is not None}
    if not ended:
        return Chart(title, "No trial has a value and a time.", None)
    trials = sorted((view_trial for view_trial in view.trials if view_trial.number in ended), key=_end)
    unit, name = time_unit(max(ended.values()))
    plot, note = _history(view, trials, {trial: end / unit for trial, end in ended.items()})
    plot.update_xaxes(title_text=f"{name} of search time", rangemode="tozero")
    return Chart(title, "The same trials at the time they ended." + note, plot)


def _end(trial: TrialView) -> float:
    return trial.ended_after or 0.0


def _history(view: ExperimentView, trials: Sequence[TrialView], places: Mapping[int, float]) -> tuple[go.Figure, str]:
    """Return the chart of `trials` at their `places` on the x axis (by number), and a remark on it."""
    plot = figure()
    series = best_so_far(trials, view.goal)
    if series:
        plot.add_scatter(
            x=[places[trial.number] for trial, _ in series],
            y=[value for _, value in series],
            mode="lines",
            name="best so far",
            line={"shape": "hv", "width": 2, "color": ACCENT},
            hoverinfo="skip",
        )
    for state in (TrialState.SUCCEEDED, TrialState.STOPPED, TrialState.PRUNED):
        group = [trial for trial in trials if trial.state is state]
        if group:
            mark = point_mark(STATE_COLOURS[state], len(group))
            plot.add_trace(points(view, group, lambda trial: places[trial.number], str(state), mark))
    best, default = view.best, view.default
    if best is not None and best.number in places:
        plot.add_trace(
            points(view, [best], lambda trial: places[trial.number], f"best: trial {best.number}", BEST_MARK)
        )
    if default is not None and default.value is not None:
        _level(plot, default.value, "default", INK, "dash", above=view.goal == "minimize")
    if view.target is not None:
        target_colour = STATE_COLOURS[TrialState.RUNNING]
        _level(plot, view.target, "target", target_colour, "dot", above=view.goal == "maximize")
    ends, note = axis_range([trial.value for trial in trials if trial.value is not None], view.goal)
    plot.update_yaxes(title_text=label(view.metric), range=ends)
    return plot, note


def _level(plot: go.Figure, value: float, name: str, colour: str, dash: str, above: bool) -> None:
    """Draw a horizontal line, named at its right end above or below it."""
    plot.add_hline(
        y=value,
        line={"width": 1.2, "color": colour, "dash": dash},
        annotation={
            "text": f"{name} {number(value)}",
            "font": {"size": 11, "color": colour},
            "bgcolor": "rgba(255,255,255,0.75)",
            "xanchor": "right",
            "yanchor": "bottom" if above else "top",
            "x": 1,
        },
    )


def _mark_failed(plot: go.Figure, view: ExperimentView, failed: Sequence[TrialView]) -> None:
    """Mark the failed trials at the bottom edge, on a hidden axis of their own: they have no value."""
    marks = points(view, failed, lambda trial: trial.number, "failed", FAILED_MARK)
    marks.update(y=[0.0] * len(marks.x), yaxis="y2", cliponaxis=False)
    plot.add_trace(marks)
    hidden = {"overlaying": "y", "side": "right", "visible": False, "fixedrange": True}
    plot.update_layout(yaxis2={**hidden, "range": [-0.03, 1]})
