"""Charts of a model's evaluation: confusion matrix, precision over recall, calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunewell.reports.charts.chart import FRAMES, Chart
from tunewell.reports.charts.plot import Label, Plot, drawing
from tunewell.reports.charts.ribbon import STRENGTHS
from tunewell.reports.charts.scales import linear_axis
from tunewell.reports.charts.svg import element, label, percent, title, words
from tunewell.spec.errors import count
from tunewell.spec.format import percent as share_text

#: Above this number of classes the cells are too small to be read: the list of confused pairs serves instead.
MOST_CLASSES = 60
#: Up to this number of classes the counts stand in the cells.
NUMBERED_CLASSES = 20
#: Most classes whose curves are drawn, those of the least precision.
DRAWN_CURVES = 30


def confusion_matrix(
    matrix: Sequence[Sequence[int]], classes: Sequence[str], link: Callable[[int, int], str] | None = None
) -> Chart:
    """Return the cells of `matrix` (true x predicted class, counts), coloured by the share of a row.

    Each cell has `data-true` and `data-predicted`, places in `classes`, and leads to the address that `link` gives.
    """
    heading = "Confusion matrix"
    amount = len(classes)
    if amount > MOST_CLASSES:
        return Chart(heading, f"{amount} classes are too many for a picture; see the most confused pairs.", None)
    side = 26 if amount <= NUMBERED_CLASSES else max(8, 520 // amount)
    depth = side * amount
    parts = [element("rect", class_="ground", width="100%", height=depth)]
    step = max(1, -(-14 // side))
    for place in range(0, amount, step):
        middle = place * side + side / 2
        parts.append(words(classes[place], 16, x="0", dx=-8, y=middle + 4, text_anchor="end"))
        turned = words(classes[place], 12, transform="rotate(-60)")
        parts.append(element("svg", turned, x=percent((place + 0.45) / amount), y=-8, overflow="visible"))
    for true, row in enumerate(matrix):
        total = max(sum(row), 1)
        for predicted, times in enumerate(row):
            if times:
                cell = _cell(classes, true, predicted, times, times / total, side)
                parts.append(element("a", cell, href=link(true, predicted)) if link else cell)
    parts.append(words("predicted →", class_="axis-title", x="0", dx=-8, y=-24, text_anchor="end"))
    parts.append(words("true ↓", class_="axis-title", x="0", dx=-8, y=-8, text_anchor="end"))
    right = sum(row[place] for place, row in enumerate(matrix) if place < len(row))
    facts = f"{right} of {sum(map(sum, matrix))} right, in {amount} classes"
    top, _, bottom, _ = FRAMES["matrix"]
    role = "group" if link else "img"
    drawn = drawing("matrix", depth + top + bottom, facts, *parts, wide=amount > 16, role=role)
    return Chart(heading, "Rows are the true classes; the colour is the share of a row.", drawn)


def _cell(classes: Sequence[str], true: int, predicted: int, times: int, share: float, side: int) -> str:
    """Return a cell with its count, where there is room for it."""
    amount = len(classes)
    shade = min(int(share * STRENGTHS), STRENGTHS - 1)
    names = label(classes[true], 30), label(classes[predicted], 30)
    told = title(f"true {names[0]}, predicted {names[1]}: {times} ({share_text(share)})")
    place = {"x": percent(predicted / amount), "y": true * side, "width": percent(1 / amount), "height": side}
    facts = {"data_true": true, "data_predicted": predicted}
    cell = element("rect", told, class_=f"cell strength-{shade}", **facts, **place)
    if amount > NUMBERED_CLASSES:
        return cell
    style = "count strong" if shade >= 4 else "count"
    middle = percent((predicted + 0.5) / amount)
    return cell + words(times, class_=style, x=middle, y=true * side + side / 2 + 4, text_anchor="middle")


def precision_recall(curves: Mapping[str, Any]) -> Chart:
    """Return precision over recall of each class, and their mean.

    Args:
        curves: `recall`, the common recalls; `mean` and, in `classes`, for each name the precision at each of them.
    """
    heading = "Precision and recall"
    recalls, by_class = curves["recall"], curves["classes"]
    if not by_class:
        return Chart(heading, "No class occurs.", None)
    drawn = by_class if len(by_class) > 1 else ()  # a single class is its own mean
    weakest = sorted(drawn, key=lambda name: sum(by_class[name]))[:DRAWN_CURVES]
    plot = Plot(linear_axis(0.0, 1.0, "recall"), linear_axis(0.0, 1.02, "precision"), frame="labelled")
    for name in weakest:
        plot.line(recalls, by_class[name], "faded", told=str(name))
    plot.line(recalls, curves["mean"], "best-line")
    mean = "mean" if weakest else str(next(iter(by_class)))
    labels = [Label(float(plot.down(curves["mean"][-1])), label(mean, 14), "accent")]
    if weakest:
        least = weakest[0]
        labels.append(Label(float(plot.down(by_class[least][-1])), label(least, 14), ""))
    plot.ends(labels)
    left_out = f" Of {len(by_class)} classes, the {len(weakest)} weakest." if len(weakest) < len(drawn) else ""
    caption = f"Each class in grey; hover for its name.{left_out}" if weakest else ""
    return Chart(heading, caption, plot.render(f"precision over recall of {len(by_class)} classes"))


def calibration(bins: Sequence[Mapping[str, float]]) -> Chart:
    """Return how often what is predicted with a probability is so; each bin has `probability`, `present`, `count`."""
    plot = Plot(linear_axis(0.0, 1.0, "predicted probability"), linear_axis(0.0, 1.02, "share that is true"))
    plot.line([0, 1], [0, 1], "ideal")
    places, shares = [item["probability"] for item in bins], [item["present"] for item in bins]
    if bins:
        plot.line(places, shares, "best-line")
    for item, x, y in zip(bins, plot.across(places).tolist(), plot.down(shares).tolist(), strict=True):
        text = f"probability {item['probability']:.3f}: so in {share_text(item['present'])} of {item['count']:.0f}"
        plot.mark(element("path", title(text), class_="end", d=f"M{x:.0f} {y:.1f}h0"))
    caption = "On the dotted line, probabilities are what they claim to be."
    return Chart("Calibration", caption, plot.render(f"{count(len(bins), 'bin')} of predicted probabilities"))
