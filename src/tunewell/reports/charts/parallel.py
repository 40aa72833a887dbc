"""Parallel coordinates: each trial as a line across the axes of its parameters and its value."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.charts.chart import FRAMES, Chart
from tunewell.reports.charts.choosing import drawn, sentences, thinning
from tunewell.reports.charts.parameters import by_importance
from tunewell.reports.charts.plot import ACROSS, drawing, inner_drawing
from tunewell.reports.charts.scales import Axis, linear_axis, parameter_axis, value_range
from tunewell.reports.charts.svg import element, label, percent, title, words
from tunewell.reports.importance import Importance
from tunewell.reports.table import Floats, SearchView
from tunewell.spec.errors import count
from tunewell.spec.format import percent as share_text
from tunewell.spec.space import Choice, Parameter

#: Most parameters that have an axis, and most lines.
MOST_AXES = 9
MOST_LINES = 400
#: Most values of a choice that scripts are told.
MOST_VALUES = 100
HEIGHT = 380
#: Space below the axes where lines run while their parameter is inactive, in pixels.
INACTIVE = 26


def parallel_coordinates(view: SearchView, importances: Sequence[Importance] | None) -> Chart:
    """Return one line per trial across the axes of the most important parameters and of the objective.

    Each axis is a `g` with what a script needs to select on it: `data-parameter`, `data-kind` (`number`, `choice` or
    `value`), `data-low`, `data-high`, `data-log`, for choices `data-values` (JSON).
    """
    heading = "Parallel coordinates"
    table = view.table
    names = by_importance(view, importances)
    shown = table.results
    if shown.sum() < 2 or not names:
        return Chart(heading, "It takes two trials with a result to compare.", None)
    parameters = [table.space[name] for name in names[:MOST_AXES]]
    low, high, note = value_range(table.values[shown], table.goal)
    value_axis = linear_axis(low, high, label(view.metric, 18), most=6)
    rows = drawn(view, shown, MOST_LINES)
    rows = rows[np.argsort(-table.losses[rows], kind="stable")]  # worst first: the best lie on top
    positions = table.positions[:, [table.space.names.index(p.name) for p in parameters]].astype(np.float64)
    any_inactive = bool(np.isnan(positions[shown]).any())
    top, _, bottom, _ = FRAMES["parallel"]
    depth = HEIGHT - top - bottom - (INACTIVE if any_inactive else 0)
    heights = np.column_stack([positions[rows], value_axis.places(table.values[rows])])
    downs = np.where(np.isnan(heights), depth + INACTIVE - 8, depth * (1 - heights))
    lines = inner_drawing(HEIGHT - top - bottom, *_groups(view, rows, downs), class_="lines")
    shares = {row.parameter: row.share for row in importances or ()}
    amount = len(parameters) + 1
    axes = [
        _axis((i + 0.5) / amount, depth, parameter_axis(p), _share(i, amount, shares.get(p.name)), **_facts(p))
        for i, p in enumerate(parameters)
    ]
    open_end = None if not note else "low" if table.goal == "maximize" else "high"
    ends = {"data_low": repr(value_axis.low), "data_high": repr(value_axis.high), "data_open": open_end}
    value = {"data_parameter": view.metric, "data_kind": "value", **ends}
    axes.append(_axis((amount - 0.5) / amount, depth, value_axis, "", **value))
    inactive = words("inactive", class_="halo", x=percent(0.5 / amount), dx=5, y=depth + INACTIVE - 4)
    parts = [lines, *axes, inactive if any_inactive else ""]
    kind = "least important parameter" if importances else "further parameter"
    caption = sentences(
        "Each line is a trial: where it crosses an axis, it has that value.",
        f"Far worse values of {label(view.metric)} stand at the end of its axis." if note else "",
        f"{count(len(names) - MOST_AXES, kind)} left out." if len(names) > MOST_AXES else "",
        thinning(view, shown, rows),
    )
    told = f"{count(len(rows), 'trial')} over {', '.join(p.name for p in parameters)} and {view.metric}"
    return Chart(heading, caption, drawing("parallel", HEIGHT, told, *parts, wide=amount > 4))


def _groups(view: SearchView, rows: NDArray[np.int64], downs: Floats) -> list[str]:
    """Return the lines in groups of one look; `rows` and their heights (n, axes) from the worst to the best."""
    table = view.table
    amount = downs.shape[1]
    xs = [f"{ACROSS * (i + 0.5) / amount:.0f}" for i in range(amount)]
    paths = [
        f'<path data-trial="{trial}" d="M{" ".join(f"{x} {y:.0f}" for x, y in zip(xs, line, strict=True))}"/>'
        for trial, line in zip(table.numbers[rows].tolist(), downs.tolist(), strict=True)
    ]
    best = table.best
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[:] = np.arange(len(rows))[::-1]  # 0: the best
    is_best = rows == best
    if view.chosen is None:
        tenth, third = max(1, len(rows) // 10), max(1, len(rows) // 3)
        looks = np.where(ranks <= tenth, "good", np.where(ranks <= third, "fair", "faded"))
    else:
        looks = np.where(view.chosen[rows], "good", "faded")
        is_best &= view.chosen[rows]
    looks = np.where(is_best, "rank-1", looks)
    return [
        element("g", *[path for path, own in zip(paths, looks, strict=True) if own == look], class_=look)
        for look in ("faded", "fair", "good", "rank-1")
        if (looks == look).any()
    ]


def _facts(parameter: Parameter) -> dict[str, object]:
    """Return the attributes that say what a place on the axis of a parameter means."""
    name = {"data_parameter": parameter.name}
    if isinstance(parameter, Choice):
        values = json.dumps(parameter.values_) if parameter.size <= MOST_VALUES else None
        return {**name, "data_kind": "choice", "data_size": parameter.size, "data_values": values}
    # The unit interval of a discrete parameter reaches beyond its outer values.
    low, high = (math.log(end) if parameter.log else float(end) for end in (parameter.low, parameter.high))
    first, last = parameter.to_unit(parameter.low), parameter.to_unit(parameter.high)
    unit = (high - low) / (last - first)
    ends = [low - first * unit, high + (1 - last) * unit]
    told = [repr(math.exp(end) if parameter.log else end) for end in ends]
    log = "true" if parameter.log else None
    return {**name, "data_kind": "number", "data_low": told[0], "data_high": told[1], "data_log": log}


def _axis(place: float, depth: int, axis: Axis, share: str, **facts: object) -> str:
    """Return an axis at `place` of the width, with its name, the bar `share` below that, and its marks."""
    x = percent(place)
    line = element("line", class_="base", x1=x, x2=x, y1=0, y2=depth)
    first, second = _lines(axis.title)
    name = words(second, 14, class_="name", x=x, y=-30, text_anchor="middle")
    if first:
        name = words(first, 14, class_="name", x=x, y=-44, text_anchor="middle") + name
    ticks = [words(t.text, 14, class_="halo", x=x, dx=5, y=depth * (1 - t.place), dy=4) for t in axis.ticks]
    return element("g", line, name, share, *ticks, class_="axis", **facts)


def _lines(name: str) -> tuple[str, str]:
    """Return a name in two lines, the first one empty where it is short enough for one."""
    breaks = [place + 1 for place, character in enumerate(name) if character in "_-. "]
    if len(name) <= 9 or not breaks:
        return "", name
    place = min(breaks, key=lambda place: abs(place - len(name) / 2))
    return name[:place], name[place:]


def _share(place: int, amount: int, share: float | None) -> str:
    """Return the bar of a parameter's importance below its name; nothing without one."""
    if share is None:
        return ""
    width = 0.6 / amount
    start = percent((place + 0.5) / amount - width / 2)
    told = title(f"importance {share_text(share)}")
    track = element("rect", class_="track", x=start, width=percent(width), y=-21, height=4, rx=2)
    return track + element("rect", told, class_="bar", x=start, width=percent(width * share), y=-21, height=4, rx=2)
