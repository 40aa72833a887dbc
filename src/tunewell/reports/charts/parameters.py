"""Charts of how single parameters bear on the objective: importance, slices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tunewell.reports.charts.theme import (
    ACCENT,
    BEST_MARK,
    DEFAULT_MARK,
    INK,
    STATE_COLOURS,
    Chart,
    axis_range,
    figure,
    label,
    parameter_axis,
    point_mark,
    points,
)
from tunewell.reports.importance import MIN_TRIALS, Importance
from tunewell.reports.view import ExperimentView, TrialView, comparable
from tunewell.spec.errors import count
from tunewell.spec.format import percent
from tunewell.spec.space import Choice, Parameter
from tunewell.spec.states import TrialState

#: Most parameters in the importance chart, and with a slice each.
IMPORTANCE_ROWS = 12
SLICES = 4


def importance(view: ExperimentView, importances: Sequence[Importance] | None) -> Chart:
    """Return a bar with an interval for each parameter."""
    title = "Parameter importance"
    if importances is None:
        amount = len(comparable(view))
        reason = f"It takes {MIN_TRIALS} comparable trials to tell the parameters apart, not {amount}."
        return Chart(title, reason, None)
    rows = [row for row in importances if view.space[row.parameter].size != 1][:IMPORTANCE_ROWS]
    if not any(row.share for row in rows):
        return Chart(title, "No parameter tells the best trials apart from the others.", None)
    rows.reverse()
    plot = figure(height=90 + 30 * len(rows))
    plot.add_bar(
        x=[100 * row.share for row in rows],
        y=[label(row.parameter, 28) for row in rows],
        orientation="h",
        width=0.6,
        marker={"color": ACCENT, "opacity": 0.8},
        error_x={
            "symmetric": False,
            "array": [100 * max(row.high - row.share, 0) for row in rows],
            "arrayminus": [100 * max(row.share - row.low, 0) for row in rows],
            "color": INK,
            "thickness": 1.2,
            "width": 4,
        },
        text=[f"{percent(row.share)} ({percent(row.low)} to {percent(row.high)})" for row in rows],
        textposition="none",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    plot.update_xaxes(title_text="share of the importance in %", range=[0, 104])
    plot.update_yaxes(showline=False, ticks="", showgrid=False, ticklabelstandoff=6)
    plot.update_layout(margin={"t": 8, "l": 20}, showlegend=False)
    caption = (
        "How much each parameter by itself decides whether a trial is among the best tenth (PED-ANOVA); the "
        "thin lines are 90 % intervals. What only a combination of parameters decides does not show."
    )
    return Chart(title, caption, plot)


def slices(view: ExperimentView, importances: Sequence[Importance] | None) -> list[Chart]:
    """Return the objective against each of the most important parameters (without importances: the first)."""
    trials = comparable(view)
    if len(trials) < 2:
        return []
    chosen = [name for name in by_importance(view, importances) if any(name in trial.parameters for trial in trials)]
    return [_slice(view, trials, view.space[name]) for name in chosen[:SLICES]]


def by_importance(view: ExperimentView, importances: Sequence[Importance] | None) -> list[str]:
    """Return the names of the parameters with more than one value, the most important first."""
    names = [row.parameter for row in importances] if importances else list(view.space.names)
    return [name for name in names if view.space[name].size != 1]


def _slice(view: ExperimentView, trials: Sequence[TrialView], parameter: Parameter) -> Chart:
    plot = figure(height=280)
    shown = [trial for trial in trials if parameter.name in trial.parameters]
    pruned = [trial for trial in shown if trial.state is TrialState.PRUNED]
    others = [trial for trial in shown if trial.state is not TrialState.PRUNED]
    best, default = view.best, view.default
    for name, group, mark in (
        ("pruned", pruned, point_mark(STATE_COLOURS[TrialState.PRUNED], len(pruned))),
        ("trials", others, point_mark(ACCENT, len(others))),
        ("default", [trial for trial in shown if trial is default], DEFAULT_MARK),
        ("best", [trial for trial in shown if trial is best], BEST_MARK),
    ):
        if group:
            plot.add_trace(points(view, group, partial(_place, parameter), name, mark))
    plot.update_xaxes(parameter_axis(parameter))
    ends, note = axis_range([trial.value for trial in shown if trial.value is not None], view.goal)
    plot.update_yaxes(title_text=label(view.metric), nticks=6, range=ends)
    without = len(trials) - len(shown)
    note = (f"Inactive in {count(without, 'trial')}." if without else "") + note
    return Chart(parameter.name, note.strip(), plot)


def _place(parameter: Parameter, trial: TrialView) -> float:
    """Return the place on the x axis; the points of a choice are spread sideways, so that none hides."""
    value = trial.parameters[parameter.name]
    if not isinstance(parameter, Choice):
        return float(value)
    return parameter.index(value) + ((trial.number * 0.618034) % 1 - 0.5) * 0.5
