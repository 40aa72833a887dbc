"""The common look of all charts: one accent colour, one highlight, a fixed colour for each state."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from tunewell.reports.view import ExperimentView, Goal, TrialView
from tunewell.spec.errors import count
from tunewell.spec.format import number, scalar, shortened
from tunewell.spec.space import Choice, Parameter
from tunewell.spec.states import TrialState

INK = "#1f2933"
MUTED = "#66727f"
GRID = "#e6eaee"
FADED = "#c5ccd4"
ACCENT = "#2360c5"
#: The best trial, everywhere.
HIGHLIGHT = "#d9661f"
STATE_COLOURS = {
    TrialState.SUCCEEDED: ACCENT,
    TrialState.STOPPED: "#7c6fa8",
    TrialState.PRUNED: "#c29a2b",
    TrialState.FAILED: "#c0392f",
    TrialState.RUNNING: "#2a9187",
    TrialState.WAITING: FADED,
}
#: The five best trials, the best first.
RANK_COLOURS = (HIGHLIGHT, ACCENT, "#2a9187", "#7b4fa3", "#6b6b1f")
#: Most trials that are marked in one chart: a browser draws more too slowly.
MOST_POINTS = 2000
#: Most values of a choice that are named on its axis.
MOST_TICKS = 40
#: Share of the values, the worst, that may be left out of a chart → how much smaller that must make its range.
OUTLIERS = {0.05: 4, 0.1: 10, 0.2: 20}
BEST_MARK = {"size": 12, "color": HIGHLIGHT, "symbol": "star", "line": {"width": 1, "color": "white"}}
DEFAULT_MARK = {"size": 10, "color": INK, "symbol": "diamond-open", "line": {"width": 2}}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of the report."""

    title: str
    #: What it shows and how to read it. Without a figure: why there is none.
    caption: str
    figure: go.Figure | None
    #: Below this width in pixels it is scrolled sideways.
    min_width: int = 300


def figure(height: int = 340) -> go.Figure:
    """Return an empty figure in the common look."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": "#9aa5b1",
        "showline": True,
        "ticks": "outside",
        "tickcolor": "#9aa5b1",
        "ticklen": 4,
        "automargin": True,
        "title": {"standoff": 10},
    }
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 56, "r": 20, "t": 36, "b": 48},
            "font": {"family": FONT, "size": 12, "color": INK},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": "white",
                "bordercolor": FADED,
                "font": {"size": 12, "color": INK},
                "align": "left",
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def label(text: object, length: int = 40) -> str:
    """Return a user's text shortened, and escaped for Plotly, which reads some HTML in texts."""
    return html.escape(shortened(str(text), length), quote=False)


def describe_trial(trial: TrialView, metric: str) -> str:
    """Return the text that appears over a trial's mark: number, value, parameters."""
    lines = [f"<b>trial {trial.number}</b> ({trial.state})"]
    if trial.value is not None:
        lines.append(f"{label(metric)}: {number(trial.value)}")
    lines += [f"{label(name)}: {label(scalar(value))}" for name, value in list(trial.parameters.items())[:12]]
    return "<br>".join(lines)


def point_mark(colour: str, amount: int) -> dict[str, Any]:
    """Return how `amount` trials are marked in a scatter plot."""
    return {"size": 7 if amount <= 200 else 5, "color": colour, "opacity": 0.5}


def points(
    view: ExperimentView,
    trials: Sequence[TrialView],
    place: Callable[[TrialView], float],
    name: str,
    marker: Mapping[str, Any],
) -> go.Scatter:
    """Return a mark for each trial at `place` and its value; of too many, evenly chosen ones."""
    shown = trials[:: -(-len(trials) // MOST_POINTS)]
    return go.Scatter(
        x=[place(trial) for trial in shown],
        y=[trial.value for trial in shown],
        mode="markers",
        name=name,
        marker=marker,
        text=[describe_trial(trial, view.metric) for trial in shown],
        hovertemplate="%{text}<extra></extra>",
    )


def axis_range(values: Sequence[float], goal: Goal) -> tuple[list[float] | None, str]:
    """Return a range that leaves out the worst values if they flatten the rest, and a sentence about it.

    Left out is the smallest share of `OUTLIERS` that makes the range smaller by the factor beside it.
    (None, "") if there is none, or if there are fewer than 10 values.
    """
    ordered = sorted(values, reverse=goal == "maximize")  # best first
    if len(ordered) < 10:
        return None, ""
    best, worst = ordered[0], ordered[-1]
    for share, factor in OUTLIERS.items():
        kept = ordered[-1 - max(1, int(share * len(ordered)))]
        if kept != best and abs(worst - best) >= factor * abs(kept - best):
            margin = 0.08 * (kept - best)
            ends = sorted((best - margin, kept + margin))
            outside = sum(not ends[0] <= value <= ends[1] for value in ordered)
            return ends, f" Left out: {count(outside, 'trial')} far worse than the rest (double-click to see)."
    return None, ""


def time_unit(span_seconds: float) -> tuple[float, str]:
    """Return the seconds of a unit that suits a time axis of this length, and the unit's name."""
    for seconds, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if span_seconds >= 2 * seconds:
            return seconds, name
    return 1.0, "seconds"


def _log_marks(low: float, high: float) -> list[float]:
    """Return the powers of ten from 10 ** low to 10 ** high; where they are few, their doubles and fivefolds, too."""
    powers = range(math.floor(low), math.floor(high + 1e-9) + 1)
    marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    marks = [mark for mark in marks if low - 1e-9 <= math.log10(mark) <= high + 1e-9]
    tens = [mark for mark in marks if math.log10(mark).is_integer()]
    return tens if len(tens) > 2 else marks


def parameter_axis(parameter: Parameter) -> dict[str, Any]:
    """Return the settings of an x axis for a parameter; a choice's values stand at 0, 1, 2, …"""
    title = {"text": label(parameter.name), "standoff": 10}
    if isinstance(parameter, Choice):
        places = list(range(0, parameter.size, -(-parameter.size // MOST_TICKS)))
        texts = [label(scalar(parameter.values_[place]), 16) for place in places]
        return {"title": title, "tickvals": places, "ticktext": texts, "range": [-0.6, parameter.size - 0.4]}
    if parameter.log:
        low, high = math.log10(parameter.low), math.log10(parameter.high)
        margin = 0.04 * (high - low) or 0.1
        settings: dict[str, Any] = {"title": title, "type": "log", "range": [low - margin, high + margin]}
        marks = _log_marks(low, high)
        if len(marks) > 2:
            settings |= {"tickvals": marks, "ticktext": [scalar(mark) for mark in marks]}
        return settings
    margin = 0.04 * (parameter.high - parameter.low) or 0.5
    settings = {"title": title, "range": [parameter.low - margin, parameter.high + margin], "nticks": 6}
    if parameter.size is not None and parameter.size <= 10:
        values = parameter.values(10)
        settings |= {"tickvals": values, "ticktext": [scalar(value) for value in values]}
    return settings
