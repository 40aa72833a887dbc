"""Learning curves: the objective over the steps of single trials."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tunewell.reports.charts.chart import Chart
from tunewell.reports.charts.choosing import curved, sentences
from tunewell.reports.charts.plot import Label, Plot, evenly
from tunewell.reports.charts.scales import linear_axis, value_range
from tunewell.reports.charts.svg import label
from tunewell.reports.table import SearchView
from tunewell.spec.errors import count
from tunewell.spec.format import number
from tunewell.spec.states import TrialState

#: Most points of a curve of the best, and of another.
BEST_POINTS, FADED_POINTS = 300, 60


def learning_curves(view: SearchView) -> Chart:
    """Return the objective over steps, the best trials in colour with their numbers beside them, the others faded."""
    title = "Learning curves"
    curves = {number: curve for number, curve in view.curves.items() if len(curve) > 1}
    if not curves:
        return Chart(title, "No trial reported its metric at more than one step.", None)
    drawn = curved(np.array(list(curves)), view.top)
    faded = [trial for trial in drawn if trial not in view.top]
    best = [(rank, trial) for rank, trial in enumerate(view.top, start=1) if trial in curves]
    values = np.array([value for curve in curves.values() for value in curve.values()], dtype=np.float64)
    low, high, note = value_range(values, view.table.goal)
    first, last = min(min(curve) for curve in curves.values()), max(max(curve) for curve in curves.values())
    plot = Plot(
        linear_axis(first, last, "step", whole=True),
        linear_axis(low, high, label(view.metric)),
        height=340,
        frame="labelled",
    )
    for trial in faded:
        steps, heights = _points(curves[trial], FADED_POINTS)
        row = view.table.row(trial)
        is_pruned = row is not None and view.table.in_state(TrialState.PRUNED)[row]
        plot.line(steps, heights, "faded pruned" if is_pruned else "faded", trial=trial)
    labels = []
    for rank, trial in reversed(best):
        steps, heights = _points(curves[trial], BEST_POINTS)
        plot.line(steps, heights, f"rank-{rank}", trial=trial)
        labels.append(Label(float(plot.down(heights[-1])), f"trial {trial}", f"rank-{rank}"))
    plot.ends(labels)
    caption = f"The best trials in colour, {count(len(faded), 'other')} grey." if best and faded else ""
    if note:
        note = "Values far worse than the rest stand at the edge."
    told = [f"trial {trial} ended at {number(float(_points(curves[trial], 2)[1][-1]))}" for _, trial in best]
    facts = f"{view.metric} over {last - first + 1} steps of {count(len(best) + len(faded), 'trial')}"
    return Chart(title, sentences(caption, note), plot.render(": ".join([facts, ", ".join(told)]).strip(": ")))


def metric_curve(metric: str, curve: Mapping[int, float], best: Mapping[int, float], best_trial: int | None) -> Chart:
    """Return a metric of one trial over steps, with that of the best trial behind it, where that is another one."""
    title = f"{metric} over steps"
    if len(curve) < 2:
        return Chart(title, "It has been reported at one step only." if curve else "It has not been reported.", None)
    values = [*curve.values(), *best.values()]
    steps = [*curve, *best]
    plot = Plot(
        linear_axis(min(steps), max(steps), "step", whole=True),
        linear_axis(min(values), max(values), label(metric)),
        height=260,
        frame="labelled",
    )
    labels = []
    for name, style, line in ((f"trial {best_trial}", "rank-1", best), ("this one", "rank-2", curve)):
        if line:
            places, heights = _points(line, BEST_POINTS)
            plot.line(places, heights, style)
            labels.append(Label(float(plot.down(heights[-1])), name if best else "", style))
    plot.ends(labels)
    caption = f"The line behind it is trial {best_trial}, the best one." if best else ""
    last = number(curve[max(curve)])
    return Chart(title, caption, plot.render(f"{label(metric)} from step {min(curve)} to {max(curve)}, ends at {last}"))


def _points(curve: Mapping[int, float], most: int) -> tuple[list[int], list[float]]:
    """Return steps and values of a curve in order; of too many, evenly chosen ones with both ends."""
    steps = sorted(curve)
    chosen = [steps[place] for place in evenly(len(steps), most)]
    return chosen, [curve[step] for step in chosen]
