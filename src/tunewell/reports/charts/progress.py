"""Charts of single trials' courses: learning curves, outcomes, timeline."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from tunewell.reports.charts.theme import (
    FADED,
    MOST_POINTS,
    RANK_COLOURS,
    STATE_COLOURS,
    Chart,
    axis_range,
    figure,
    label,
    time_unit,
)
from tunewell.reports.view import ExperimentView, TrialView, counts, failures_by_cause
from tunewell.spec.errors import count
from tunewell.spec.format import duration
from tunewell.spec.states import TrialState

#: Most learning curves that are drawn besides those of the best trials, and most points of one curve.
FADED_CURVES = 150
CURVE_POINTS = 400


def learning_curves(view: ExperimentView) -> Chart:
    """Return the objective over steps, the best trials coloured, the others faded."""
    title = "Learning curves"
    curved = [trial for trial in view.trials if len(trial.curve) > 1]
    if not curved:
        return Chart(title, "No trial reported its metric at more than one step.", None)
    others = [trial for trial in curved if trial.number not in view.top]
    shown = others[:: max(1, -(-len(others) // FADED_CURVES))]
    plot = figure(380)
    if shown:
        _draw_faded(plot, shown)
    best = [(colour, view.trial(number)) for colour, number in zip(RANK_COLOURS, view.top, strict=False)]
    for colour, trial in reversed(best):
        if len(trial.curve) > 1:
            _draw_best(plot, trial, colour)
    ends, note = axis_range([value for trial in curved for value in trial.curve.values()], view.goal)
    plot.update_xaxes(title_text="step", tickformat="d", nticks=10)
    if max(step for trial in curved for step in trial.curve) - min(min(trial.curve) for trial in curved) < 10:
        plot.update_xaxes(dtick=1)
    plot.update_yaxes(title_text=label(view.metric), range=ends)
    plot.update_layout(legend_traceorder="reversed")
    caption = "The best trials in colour, all others grey." if best and others else ""
    if note:
        caption += " Values far worse than the rest are left out (double-click to see)."
    if len(shown) < len(others):
        caption += f" Of {len(others)} other trials, {len(shown)} are drawn."
    return Chart(title, caption.strip(), plot)


def _draw_best(plot: go.Figure, trial: TrialView, colour: str) -> None:
    steps = _steps(trial)
    plot.add_scatter(
        x=steps,
        y=[trial.curve[step] for step in steps],
        mode="lines+markers" if len(steps) <= 50 else "lines",
        name=f"trial {trial.number}",
        line={"width": 2, "color": colour},
        marker={"size": 4},
        hovertemplate=f"trial {trial.number}, step %{{x}}: %{{y:.4g}}<extra></extra>",
    )


def _draw_faded(plot: go.Figure, trials: Sequence[TrialView]) -> None:
    """Draw all curves as one line with gaps: hundreds of lines of their own would be slow."""
    x: list[int | None] = []
    y: list[float | None] = []
    for trial in trials:
        steps = _steps(trial)
        x += [*steps, None]
        y += [*(trial.curve[step] for step in steps), None]
    plot.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name="other trials",
        line={"width": 1, "color": FADED},
        opacity=0.8 if len(trials) < 40 else 0.5,
        hoverinfo="skip",
    )


def _steps(trial: TrialView) -> list[int]:
    """Return the steps of a curve in order; of too many, evenly chosen ones and the last."""
    steps = sorted(trial.curve)
    chosen = steps[:: -(-len(steps) // CURVE_POINTS)]
    return chosen if chosen[-1] == steps[-1] else [*chosen, steps[-1]]


def outcomes(view: ExperimentView) -> Chart:
    """Return how many trials ended in which way, failures by cause."""
    title = "Outcomes"
    if not view.trials:
        return Chart(title, "There are no trials.", None)
    by_state = counts(view)
    rows = [
        (str(state), by_state[state], STATE_COLOURS[state])
        for state in TrialState
        if by_state[state] and state is not TrialState.FAILED
    ]
    rows += [
        (f"failed: {cause}", len(trials), STATE_COLOURS[TrialState.FAILED])
        for cause, trials in failures_by_cause(view).items()
    ]
    rows.reverse()
    plot = figure(height=70 + 34 * len(rows))
    plot.add_bar(
        x=[amount for _, amount, _ in rows],
        y=[name for name, _, _ in rows],
        orientation="h",
        marker={"color": [colour for _, _, colour in rows]},
        text=[str(amount) for _, amount, _ in rows],
        textposition="outside",
        cliponaxis=False,
        width=0.6,
        hoverinfo="skip",
    )
    plot.update_xaxes(visible=False)
    plot.update_yaxes(showline=False, ticks="", showgrid=False, ticklabelstandoff=6)
    plot.update_layout(margin={"l": 110, "r": 40, "t": 8, "b": 8}, showlegend=False)
    return Chart(title, f"How {count(len(view.trials), 'trial')} ended.", plot)


def timeline(view: ExperimentView) -> Chart:
    """Return when each trial ran, those at the same time below each other."""
    title = "Timeline"
    ran = [trial for trial in view.trials if trial.started_at is not None and trial.ended_at is not None]
    if not ran:
        return Chart(title, "No trial has ended.", None)
    if len(ran) > MOST_POINTS:
        return Chart(title, f"{count(len(ran), 'trial')} are too many for it.", None)
    ran.sort(key=lambda trial: (_times(trial), trial.number))
    start = _times(ran[0])[0]
    unit, name = time_unit(max(_times(trial)[1] for trial in ran) - start)
    lanes = _lanes(ran)
    rows = max(lanes.values()) + 1
    plot = figure(height=110 + 26 * min(rows, 16))
    for state in TrialState:
        group = [trial for trial in ran if trial.state is state]
        if group:
            spans = [_times(trial) for trial in group]
            plot.add_bar(
                base=[(begin - start) / unit for begin, _ in spans],
                x=[(end - begin) / unit for begin, end in spans],
                y=[lanes[trial.number] for trial in group],
                orientation="h",
                width=0.7,
                name=str(state),
                marker={"color": STATE_COLOURS[state], "opacity": 0.85, "line": {"color": "white", "width": 0.5}},
                text=[f"trial {trial.number} ({state})<br>took {duration(trial.cost_seconds)}" for trial in group],
                textposition="none",
                hovertemplate="%{text}<extra></extra>",
            )
    plot.update_xaxes(title_text=f"{name} since the first trial started")
    plot.update_yaxes(visible=False, autorange="reversed")
    plot.update_layout(barmode="overlay", margin={"l": 20})
    return Chart(title, f"When each trial ran (its last attempt): up to {rows} at once.", plot)


def _times(trial: TrialView) -> tuple[float, float]:
    return trial.started_at or 0.0, trial.ended_at or 0.0


def _lanes(trials: Sequence[TrialView]) -> dict[int, int]:
    """Return trial number → first row that is free when the trial starts; `trials` by start."""
    ends: list[float] = []
    lanes: dict[int, int] = {}
    for trial in trials:
        started, ended = _times(trial)
        lane = next((i for i, end in enumerate(ends) if end <= started), len(ends))
        ends[lane : lane + 1] = [ended]
        lanes[trial.number] = lane
    return lanes
