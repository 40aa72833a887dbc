"""Parallel coordinates: each trial as a line across the axes of its parameters and its value.

Drawn with plain lines: Plotly's own parallel coordinates need WebGL, which print and some browsers lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tunewell.reports.charts.parameters import by_importance
from tunewell.reports.charts.theme import ACCENT, FADED, GRID, HIGHLIGHT, INK, MUTED, Chart, axis_range, figure, label
from tunewell.reports.importance import Importance
from tunewell.reports.view import ExperimentView, TrialView, ranked
from tunewell.spec.errors import count
from tunewell.spec.format import number, scalar
from tunewell.spec.space import Parameter

#: Most parameters that have an axis.
MOST_AXES = 9
#: Most lines of one colour.
MOST_LINES = 300
#: Where a line runs while its parameter is inactive; the axes go from 0 to 1.
INACTIVE = -0.12


def parallel_coordinates(view: ExperimentView, importances: Sequence[Importance] | None) -> Chart:
    """Return one line per trial across the axes of the most important parameters and of the objective."""
    title = "Parallel coordinates"
    order = ranked(view)
    names = by_importance(view, importances)
    if len(order) < 2 or not names:
        return Chart(title, "It takes two trials with a result to compare.", None)
    parameters = [view.space[name] for name in names[:MOST_AXES]]
    values = [trial.value for trial in order if trial.value is not None]
    ends, _ = axis_range(values, view.goal)
    low, high = min(values), max(values)
    if ends:
        low, high = max(low, ends[0]), min(high, ends[1])
    plot = figure(height=400)
    tenth = max(1, len(order) // 10)
    third = max(tenth, len(order) // 3)
    for name, group, line, opacity in (
        ("other trials", order[third:], {"width": 1, "color": FADED}, 0.55),
        ("best third", order[tenth:third], {"width": 1, "color": ACCENT}, 0.35 if third < 100 else 0.15),
        ("best tenth", order[1:tenth], {"width": 1.6, "color": ACCENT}, 0.8 if tenth < 30 else 0.4),
        (f"best: trial {order[0].number}", order[:1], {"width": 3, "color": HIGHLIGHT}, 1.0),
    ):
        if group:
            trace = _lines(parameters, group[:: -(-len(group) // MOST_LINES)], low, high)
            plot.add_trace(trace.update(name=name, line=line, opacity=opacity))
    any_inactive = any(parameter.name not in trial.parameters for parameter in parameters for trial in order)
    _draw_axes(plot, parameters, view.metric, (low, high), any_inactive)
    caption = "Each line is a trial: where it crosses an axis, it has that value."
    if ends:
        caption += f" Far worse values of {view.metric} stand at the end of its axis."
    if len(names) > MOST_AXES:
        kind = "least important parameter" if importances else "further parameter"
        caption += f" {count(len(names) - MOST_AXES, kind)} left out."
    return Chart(title, caption, plot, min_width=100 * (len(parameters) + 1))


def _lines(parameters: Sequence[Parameter], trials: Sequence[TrialView], low: float, high: float) -> go.Scatter:
    """Return the lines of `trials` as one trace with gaps: hundreds of traces would be slow."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str | None] = []
    for trial in trials:
        value = trial.value or 0.0
        height = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.5
        x += [*range(len(parameters) + 1), None]
        y += [*(_position(parameter, trial) for parameter in parameters), height, None]
        texts += [f"trial {trial.number}: {number(value)}"] * (len(parameters) + 1) + [None]
    return go.Scatter(x=x, y=y, mode="lines", text=texts, hovertemplate="%{text}<extra></extra>")


def _position(parameter: Parameter, trial: TrialView) -> float:
    if parameter.name not in trial.parameters:
        return INACTIVE
    return float(parameter.to_unit(trial.parameters[parameter.name]))


def _draw_axes(
    plot: go.Figure, parameters: Sequence[Parameter], metric: str, ends: tuple[float, float], any_inactive: bool
) -> None:
    """Draw an axis for each parameter, one for the value, and the place of inactive parameters."""
    last = len(parameters)
    lines = [_line((place, 0), (place, 1), color=MUTED) for place in range(last)]
    texts = [_head(place, label(parameter.name, 17)) for place, parameter in enumerate(parameters)]
    texts += [_tick(x, y, label(text, 14)) for x, parameter in enumerate(parameters) for y, text in _ticks(parameter)]
    low, high = ends
    lines.append(_line((last, 0), (last, 1), color=INK, width=2))
    texts.append(_head(last, f"<b>{label(metric, 17)}</b>"))
    values = [(0.0, low), (1.0, high)] if high > low else [(0.5, low)]
    texts += [_tick(last, y, number(value, 3)) for y, value in values]
    if any_inactive:
        lines.append(_line((0, INACTIVE), (last - 1, INACTIVE), color=GRID, dash="dot"))
        texts.append(_tick(0, INACTIVE, "inactive"))
    plot.update_layout(
        shapes=lines,
        annotations=texts,
        margin={"l": 10, "r": 10, "t": 36, "b": 44},
        legend={"y": -0.02, "yanchor": "top"},
    )
    plot.update_xaxes(visible=False, range=[-0.5, last + 0.5], fixedrange=True)
    plot.update_yaxes(visible=False, range=[(INACTIVE if any_inactive else 0) - 0.06, 1.06], fixedrange=True)


def _ticks(parameter: Parameter) -> list[tuple[float, str]]:
    """Return (position, text) of the marks on a parameter's axis: all values if they are few."""
    if parameter.size is not None and parameter.size <= 8:
        return [(parameter.to_unit(value), scalar(value)) for value in parameter.values(8)]
    return [(position, scalar(parameter.from_unit(position))) for position in (0.0, 0.5, 1.0)]


def _line(start: tuple[float, float], end: tuple[float, float], **look: object) -> dict[str, Any]:
    return {"type": "line", "x0": start[0], "y0": start[1], "x1": end[0], "y1": end[1], "line": {"width": 1, **look}}


def _head(x: float, text: str) -> dict[str, Any]:
    """Return a name above an axis."""
    font = {"size": 12, "color": INK}
    return {"x": x, "y": 1, "yshift": 10, "yanchor": "bottom", "text": text, "showarrow": False, "font": font}


def _tick(x: float, y: float, text: str) -> dict[str, Any]:
    """Return the text of a mark, to the right of its axis."""
    return {
        "x": x,
        "y": y,
        "xshift": 4,
        "xanchor": "left",
        "text": text,
        "showarrow": False,
        "font": {"size": 10, "color": INK},
        "bgcolor": "rgba(255,255,255,0.8)",
        "borderpad": 1,
    }
