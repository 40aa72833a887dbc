"""Charts of how parameters matter to the objective: importance, slices, two at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.charts.chart import FRAMES, Chart
from tunewell.reports.charts.choosing import FEW, FEW_POINTS, drawn, sentences, thinning
from tunewell.reports.charts.plot import Plot, drawing
from tunewell.reports.charts.ribbon import STRENGTHS, strengths_of
from tunewell.reports.charts.scales import linear_axis, parameter_axis, value_range
from tunewell.reports.charts.svg import element, label, percent, title, words
from tunewell.reports.importance import MIN_TRIALS, Importance
from tunewell.reports.table import Flags, Floats, SearchView
from tunewell.spec.errors import count
from tunewell.spec.format import number, scalar
from tunewell.spec.format import percent as share_text
from tunewell.spec.space import Choice
from tunewell.spec.states import TrialState

#: Most parameters in the importance chart, and with a slice each.
IMPORTANCE_ROWS = 12
SLICES = 4
ROW = 28
#: From this number of trials on, or up to this number of cells, two parameters are drawn as cells.
CELLS_FROM, FEW_CELLS = 300, 60
#: Most cells across and down.
ACROSS, DOWN = 24, 16


def importance(view: SearchView, importances: Sequence[Importance] | None) -> Chart:
    """Return a bar with an interval for each parameter."""
    heading = "Parameter importance"
    if importances is None:
        amount = int(view.table.comparable.sum())
        reason = f"It takes {MIN_TRIALS} comparable trials to tell the parameters apart, not {amount}."
        return Chart(heading, reason, None)
    rows = [row for row in importances if view.table.space[row.parameter].size != 1][:IMPORTANCE_ROWS]
    if not any(row.share for row in rows):
        return Chart(heading, "No parameter tells the best trials apart from the others.", None)
    most = max(max(row.share, row.high) for row in rows)
    parts = []
    for place, row in enumerate(rows):
        middle = place * ROW + ROW / 2
        interval = f"{share_text(row.low)} to {share_text(row.high)}"
        bar = {"x": "0", "width": percent(row.share / most), "y": middle - 8, "height": 16, "rx": 2}
        told = title(f"{row.parameter}: {share_text(row.share)} ({interval})")
        parts.append(words(row.parameter, 24, class_="name-beside", x="0", dx=-10, y=middle + 4, text_anchor="end"))
        parts.append(element("rect", told, class_="bar succeeded", data_parameter=label(row.parameter, 200), **bar))
        low, high = percent(row.low / most), percent(max(row.high, row.share) / most)
        parts.append(element("line", class_="interval", x1=low, x2=high, y1=middle, y2=middle))
        parts += [element("line", class_="interval", x1=x, x2=x, y1=middle - 4, y2=middle + 4) for x in (low, high)]
        parts.append(words(share_text(row.share), class_="amount", x="100%", dx=56, y=middle + 4, text_anchor="end"))
    top, _, bottom, _ = FRAMES["names"]
    caption = (
        "How much each parameter by itself decides whether a trial is among the best tenth (PED-ANOVA); the "
        "thin lines are 90 % intervals. What only a combination of parameters decides does not show."
    )
    facts = ", ".join(f"{row.parameter} {share_text(row.share)}" for row in rows)
    return Chart(heading, caption, drawing("names", top + bottom + ROW * len(rows), facts, *parts))


def by_importance(view: SearchView, importances: Sequence[Importance] | None) -> list[str]:
    """Return the names of the parameters with more than one value, the most important first."""
    space = view.table.space
    names = [row.parameter for row in importances] if importances else list(space.names)
    return [name for name in names if space[name].size != 1]


def slices(view: SearchView, importances: Sequence[Importance] | None) -> list[Chart]:
    """Return the objective against each of the most important parameters (without importances: the first)."""
    shown = view.table.comparable
    if shown.sum() < 2:
        return []
    space = view.table.space
    tried = {n for i, n in enumerate(space.names) if not np.isnan(view.table.positions[shown, i]).all()}
    names = [name for name in by_importance(view, importances) if name in tried]
    return [parameter_slice(view, name) for name in names[:SLICES]]


def parameter_slice(view: SearchView, name: str) -> Chart:
    """Return the objective against a parameter. Raises KeyError."""
    table = view.table
    parameter = table.space[name]
    places = table.positions[:, table.space.names.index(name)].astype(np.float64)
    comparable = table.comparable
    shown = comparable & ~np.isnan(places)
    if not shown.any():
        return Chart(name, "No trial with a value has it.", None)
    low, high, note = value_range(table.values[shown], table.goal)
    plot = Plot(parameter_axis(parameter), linear_axis(low, high, label(view.metric)), height=260)
    chosen = drawn(view, shown & (table.values >= low) & (table.values <= high), FEW_POINTS)
    positions = places
    if isinstance(parameter, Choice):  # spread sideways within their share, so that none hides another
        positions = places + ((table.numbers * 0.41421356) % 1 - 0.5) * 0.5 / parameter.size
    pruned = table.in_state(TrialState.PRUNED)[chosen]
    size = "few" if len(chosen) <= FEW else "many"
    for some, style in ((chosen[pruned], "pruned"), (chosen[~pruned], "succeeded")):
        plot.points(positions[some], table.values[some], f"{style} {size}", table.numbers[some].tolist())
    _special(plot, view, positions, table.values, shown)
    without = int((comparable & ~shown).sum())
    inactive = f"Inactive in {count(without, 'trial')}." if without else ""
    best = table.best
    facts = f"{view.metric} of {count(int(shown.sum()), 'trial')} against {name}"
    if best is not None and shown[best]:
        facts += f"; the best stands at {scalar(parameter.from_unit(float(places[best])))}"
    rest = note or thinning(view, shown, chosen)
    return Chart(name, sentences(inactive, rest), plot.render(facts))


def _special(plot: Plot, view: SearchView, xs: Floats, ys: Floats, shown: Flags) -> None:
    """Mark the default and the best trial, as far as they are among those shown."""
    table = view.table
    default = None if view.default_trial is None else table.row(view.default_trial)
    if default is not None and shown[default] and plot.y.holds(float(ys[default])):
        plot.symbol("diamond", float(xs[default]), float(ys[default]), "standard", int(table.numbers[default]))
    best = table.best
    if best is not None and shown[best]:
        plot.symbol("star", float(xs[best]), float(ys[best]), "best", int(table.numbers[best]))


def contours(view: SearchView, importances: Sequence[Importance] | None) -> list[Chart]:
    """Return the objective over the most important parameter and each of the next two; nothing where none is known."""
    names = by_importance(view, importances)[:3] if importances else []
    return [chart for name in names[1:] if (chart := contour(view, names[0], name)).svg]


def contour(view: SearchView, across: str, down: str) -> Chart:
    """Return the objective over two parameters: single trials, or cells where there are many. Raises KeyError."""
    table = view.table
    heading = f"{label(across)} and {label(down)}"
    names = table.space.names
    xs, ys = (table.positions[:, names.index(name)].astype(np.float64) for name in (across, down))
    shown = table.comparable & ~np.isnan(xs) & ~np.isnan(ys)
    amount = int(shown.sum())
    if not amount:
        return Chart(heading, "No trial with a value has both of them.", None)
    plot = Plot(parameter_axis(table.space[across]), parameter_axis(table.space[down]), height=340)
    columns, lines = (min(table.space[name].size or most, most) for name, most in ((across, ACROSS), (down, DOWN)))
    if amount < CELLS_FROM and columns * lines > FEW_CELLS:
        shades = np.array(strengths_of(np.where(shown, table.losses, np.inf)))
        for shade in range(STRENGTHS):
            some = np.flatnonzero(shown & (shades == shade))
            plot.points(xs[some], ys[some], f"shaded strength-{shade}", table.numbers[some].tolist())
        caption = "Each point is a trial; stronger is better."
    else:
        _cells(plot, view, _indices(xs, columns) * lines + _indices(ys, lines), shown, (columns, lines))
        caption = "Each cell holds the trials that lie in it; the stronger, the better they are on average."
    _special(plot, view, xs, ys, shown)
    plot.shades(STRENGTHS)
    without = int(table.comparable.sum()) - amount
    left = f"One of them is inactive in {count(without, 'trial')}." if without else ""
    return Chart(heading, sentences(caption, left), plot.render(f"{view.metric} of {count(amount, 'trial')}"))


def _indices(positions: Floats, amount: int) -> NDArray[np.int64]:
    """Return which of `amount` equal parts of the unit interval each position lies in (NaN: the first)."""
    return np.clip(np.nan_to_num(positions) * amount, 0, amount - 1).astype(np.int64)


def _cells(plot: Plot, view: SearchView, places: NDArray[np.int64], shown: Flags, size: tuple[int, int]) -> None:
    """Draw cells of a grid (columns, lines), each in the shade of the mean rank of its trials; `places` by column."""
    table = view.table
    rows = np.flatnonzero(shown)
    ranks = np.argsort(np.argsort(table.losses[rows], kind="stable")).astype(np.float64)
    found, inverse, amounts = np.unique(places[rows], return_inverse=True, return_counts=True)
    leaders = rows[np.lexsort((ranks, inverse))[np.cumsum(amounts) - amounts]]
    means = np.bincount(inverse, table.values[rows] / amounts[inverse])
    shades = strengths_of(np.bincount(inverse, ranks) / amounts)
    columns, lines = size
    height = plot.depth / lines
    for place, shade, leader, amount, mean in zip(
        found.tolist(), shades, leaders.tolist(), amounts.tolist(), means.tolist(), strict=True
    ):
        column, line = divmod(place, lines)
        best = f"best {number(float(table.values[leader]))} (trial {table.numbers[leader]})"
        told = title(f"{count(amount, 'trial')}, mean {number(mean)}, {best}")
        area = {"x": percent(column / columns), "width": percent(1 / columns), "height": height}
        style = f"cell strength-{shade}"
        plot.below(element("rect", told, class_=style, y=plot.depth - (line + 1) * height, **area))
