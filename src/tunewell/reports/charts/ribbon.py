"""The whole search as a strip: where it was good, where it failed, where the best was found, and what is left."""

from __future__ import annotations

import numpy as np

from tunewell.reports.charts.chart import Chart
from tunewell.reports.charts.plot import drawing
from tunewell.reports.charts.svg import element, percent
from tunewell.reports.table import SearchView
from tunewell.spec.errors import count
from tunewell.spec.format import number
from tunewell.spec.states import TrialState

#: Most stripes.
STRIPES = 180
#: Heights of a stripe, and of one that failed, in pixels.
HEIGHT, STUB = 28, 9
#: How many shades there are from the worst to the best.
STRENGTHS = 7


def ribbon(view: SearchView) -> Chart:
    """Return the strip: each stripe is a stretch of trials, and the stronger, the better its best trial."""
    title = "The search at a glance"
    table = view.table
    if not len(table):
        return Chart(title, "No trial has started yet.", None)
    total = max(int(table.numbers[-1]), view.max_trials or 0)
    stripes = min(total, STRIPES)
    # Stripe i holds the trials with the numbers bounds[i] + 1 … bounds[i + 1].
    bounds = np.linspace(0, total, stripes + 1).round().astype(np.int64)
    rows = np.searchsorted(table.numbers, bounds, side="right")
    losses = np.where(table.results, table.losses, np.inf)
    failed, running, waiting = (
        table.in_state(state) for state in (TrialState.FAILED, TrialState.RUNNING, TrialState.WAITING)
    )
    leaders = [int(first + np.argmin(losses[first:last])) if last > first else -1 for first, last in _pairs(rows)]
    reached = np.array([losses[leader] if leader >= 0 else np.inf for leader in leaders])
    strengths = strengths_of(reached)
    parts = [element("rect", class_="ground", width="100%", height=HEIGHT)]
    for i, (first, last) in enumerate(_pairs(rows)):
        if waiting[first:last].all():
            continue
        if leaders[i] == table.best:
            style = "best"
        elif 2 * failed[first:last].sum() >= last - first:
            style = "failed"
        elif np.isfinite(reached[i]):
            style = f"strength-{strengths[i]}"
        else:
            style = "running" if running[first:last].any() else "strength-0"
        start, end = bounds[i] / total, bounds[i + 1] / total
        low, high = int(table.numbers[first]), int(table.numbers[last - 1])
        parts.append(
            element(
                "rect",
                class_=style,
                x=percent(start),
                width=percent(end - start),
                y=HEIGHT - STUB if style == "failed" else None,
                height=STUB if style == "failed" else HEIGHT,
                data_trial=int(table.numbers[leaders[i]]),
                data_trials=f"{low}-{high}" if low < high else None,
            )
        )
    caption = (
        "Each stripe is a stretch of trials: a stronger colour is better, orange is the best, short and red failed."
    )
    return Chart(title, caption, drawing("bare", HEIGHT, _facts(view, total), *parts))


def _pairs(bounds: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[int, int]]:
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def strengths_of(losses: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    """Return a shade for each loss by its rank among those that are finite: equal ones have the same."""
    finite = np.sort(losses[np.isfinite(losses)])
    if not len(finite):
        return [0] * len(losses)
    better = len(finite) - np.searchsorted(finite, losses, side="left")  # how many are no better than it
    shades = np.ceil(better / len(finite) * STRENGTHS).astype(int) - 1
    return np.clip(shades, 0, STRENGTHS - 1).tolist()  # type: ignore[no-any-return]


def _facts(view: SearchView, total: int) -> str:
    table = view.table
    told = f"{len(table)} of {count(total, 'trial')}"
    best = table.best
    if best is not None:
        told += f"; the best, {number(float(table.values[best]))}, is trial {table.numbers[best]}"
    return told
