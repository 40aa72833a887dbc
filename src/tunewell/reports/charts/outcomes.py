"""How trials ended, and when each ran."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np

from tunewell.reports.charts.chart import FRAMES, Chart
from tunewell.reports.charts.plot import ACROSS, Plot, drawing
from tunewell.reports.charts.scales import Axis, linear_axis, time_unit
from tunewell.reports.charts.svg import element, percent, words, written
from tunewell.reports.table import CAUSES, STATES, SearchView, TrialTable
from tunewell.spec.errors import count
from tunewell.spec.format import duration
from tunewell.spec.format import percent as share_text
from tunewell.spec.states import TrialState

ROW = 30
#: Most bars of a timeline, as far as its rows allow; shorter trials than it can tell apart are drawn as one bar.
MOST_BARS = 1000
#: Rows of a timeline are so high, in pixels, as long as they are few; all of them together are no higher than this.
LANE, LANES = 22, 360


def outcomes(view: SearchView) -> Chart:
    """Return how many trials ended in which way, failures by cause."""
    title = "Outcomes"
    table = view.table
    if not len(table):
        return Chart(title, "There are no trials.", None)
    rows = _outcomes(table)
    most = max(amount for _, amount, _ in rows)
    top, _, bottom, _ = FRAMES["names"]
    parts = []
    for place, (name, amount, style) in enumerate(rows):
        middle = place * ROW + ROW / 2
        width = 0.8 * amount / most
        text = f"{amount} ({share_text(amount / len(table))})" if len(rows) > 1 else str(amount)
        parts.append(words(name, 26, class_="name-beside", x="0", dx=-10, y=middle + 4, text_anchor="end"))
        bar = {"x": "0", "width": percent(width), "y": middle - 9, "height": 18, "rx": 2}
        parts.append(element("rect", class_=f"bar {style}", data_outcome=style, **bar))
        parts.append(words(text, class_="amount", x=percent(width), dx=7, y=middle + 4))
    told = ", ".join(f"{name} {amount}" for name, amount, _ in rows)
    height = top + bottom + ROW * len(rows)
    return Chart(title, f"How {count(len(table), 'trial')} ended.", drawing("names", height, told, *parts))


def _outcomes(table: TrialTable) -> list[tuple[str, int, str]]:
    """Return (name, number of trials, style) of each way to end, failures by cause with the most frequent first."""
    rows = []
    for state in TrialState:
        amount = int(table.in_state(state).sum())
        if amount and state is not TrialState.FAILED:
            rows.append((str(state), amount, str(state)))
    codes = table.causes[table.in_state(TrialState.FAILED)]
    causes = [(int((codes == code).sum()), "unknown" if code < 0 else str(CAUSES[code])) for code in np.unique(codes)]
    causes.sort(key=lambda one: (-one[0], one[1]))
    return rows + [(f"failed: {cause}", amount, "failed") for amount, cause in causes]


@dataclass(frozen=True, slots=True)
class Bar:
    """A trial in a row of the timeline, or several too short to be told apart."""

    lane: int
    start: float
    end: float
    state: TrialState
    trial: int


def timeline(view: SearchView) -> Chart:
    """Return when each trial ran (its latest attempt), those at the same time below each other."""
    title = "Timeline"
    table = view.table
    started = ~np.isnan(table.started_at)
    if not started.any():
        return Chart(title, "No trial has started.", None)
    ended = ~np.isnan(table.ended_at)
    now = max(float(np.nanmax(np.concatenate([table.ended_at, table.started_at]))), view.as_of or 0.0)
    first = float(table.started_at[started].min())
    unit, name = time_unit(now - first)
    bars, lanes = _bars(table, first, now)
    lane = max(4.0, min(LANE, LANES / lanes))
    axis = linear_axis(0.0, max((now - first) / unit, 1e-9), f"{name} since the start")
    top, _, bottom, _ = FRAMES["numbers"]
    plot = Plot(axis, Axis(0.0, 1.0, ()), height=round(top + bottom + lane * lanes))
    best = None if table.best is None else int(table.numbers[table.best])
    groups: dict[str, list[str]] = {}
    for bar in bars:
        left, right = axis.place((bar.start - first) / unit), axis.place((bar.end - first) / unit)
        look = "best" if bar.trial == best else str(bar.state)
        groups.setdefault(look, []).append(_span(ACROSS * left, ACROSS * right, bar, lane))
    for look, marks in groups.items():
        plot.mark(element("g", *marks, class_=f"spans {look}"))
    present = [state for state in TrialState if table.in_state(state)[started].any()]
    plot.key([("■", str(state), str(state)) for state in present])
    busy = float((np.where(ended, table.ended_at, now) - table.started_at)[started].sum())
    used = f" They were busy {share_text(busy / (lanes * (now - first)))} of the time." if now > first else ""
    caption = f"When each trial ran (its last attempt), in {count(lanes, 'slot')}.{used if lanes > 1 else ''}"
    told = f"{count(int(started.sum()), 'trial')} in {count(lanes, 'slot')} over {duration(now - first)}"
    return Chart(title, caption, plot.render(told))


def _span(left: float, right: float, bar: Bar, lane: float) -> str:
    """Return the mark of a bar from `left` to `right`, in units of the inner drawing; rows are `lane` pixels high."""
    width, height = max(right - left - 0.6, 0.8), lane - 2
    data = f"M{written(left)} {written(bar.lane * lane + 1)}h{written(width)}v{written(height)}H{written(left)}z"
    return element("path", data_trial=bar.trial, d=data)


def _bars(table: TrialTable, first: float, now: float) -> tuple[list[Bar], int]:
    """Return the bars, and how many rows they take; a row is the first that is free when a trial starts."""
    rows = np.flatnonzero(~np.isnan(table.started_at))
    rows = rows[np.lexsort((table.numbers[rows], table.started_at[rows]))]
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    spans: list[Bar] = []
    lanes = 0
    for row in rows.tolist():
        start = float(table.started_at[row])
        end = now if np.isnan(table.ended_at[row]) else max(start, float(table.ended_at[row]))
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, lanes = lanes, lanes + 1
        heapq.heappush(busy, (end, lane))
        spans.append(Bar(lane, start, end, STATES[table.states[row]], int(table.numbers[row])))
    if len(spans) <= MOST_BARS:
        return spans, lanes
    return _merged(spans, (now - first) / max(MOST_BARS // lanes, 20)), lanes


def _merged(spans: list[Bar], shortest: float) -> list[Bar]:
    """Return bars that are no shorter than `shortest`, as far as others follow them: the longest gives the state."""
    told: list[Bar] = []
    latest: dict[int, tuple[int, float]] = {}  # lane → place of its last bar, and the longest time in that
    for bar in spans:
        took = bar.end - bar.start
        place, longest = latest.get(bar.lane, (-1, 0.0))
        if place >= 0 and bar.end - told[place].start < shortest:
            leader = bar if took > longest else told[place]
            told[place] = replace(told[place], end=bar.end, state=leader.state, trial=leader.trial)
            latest[bar.lane] = (place, max(took, longest))
        else:
            latest[bar.lane] = (len(told), took)
            told.append(bar)
    return told
