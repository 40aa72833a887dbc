"""Charts of a model's evaluation: confusion matrix, precision over recall, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from tunewell.reports.charts.theme import ACCENT, FADED, HIGHLIGHT, Chart, figure, label

#: Above this number of classes the cells are too small to be read: the list of confused pairs serves instead.
HEATMAP_CLASSES = 100
#: Up to this number of classes the counts stand in the cells.
NUMBERED_CLASSES = 20
#: Most classes whose curves are drawn, those of the least precision.
DRAWN_CURVES = 30


def confusion_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Chart:
    """Return the heat map of `matrix` (true x predicted class, counts), coloured by the share of a row."""
    title = "Confusion matrix"
    amount = len(classes)
    if amount > HEATMAP_CLASSES:
        return Chart(title, f"{amount} classes are too many for a picture; see the most confused pairs.", None)
    shares = [[cell / max(sum(row), 1) for cell in row] for row in matrix]
    names = [label(name, 16) for name in classes]
    side = min(max(26 * amount, 240), 620)
    plot = figure(height=side + 110)
    places = list(range(amount))
    plot.add_trace(
        go.Heatmap(
            z=shares,
            x=places,
            y=places,
            colorscale=[[0, "#ffffff"], [0.02, "#eaf0fb"], [1, ACCENT]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
            customdata=[
                [[names[true], names[predicted], count] for predicted, count in enumerate(row)]
                for true, row in enumerate(matrix)
            ],
            text=[[str(count) if count else "" for count in row] for row in matrix],
            texttemplate="%{text}" if amount <= NUMBERED_CLASSES else None,
            textfont={"size": 11},
            hovertemplate="true %{customdata[0]}, predicted %{customdata[1]}: %{customdata[2]}"
            " (%{z:.1%})<extra></extra>",
        )
    )
    axis = {
        "tickvals": places,
        "ticktext": names,
        "showgrid": False,
        "ticks": "",
        "showline": False,
        "ticklabelstandoff": 4,
    }
    plot.update_xaxes(**axis, title_text="predicted", side="top", tickangle=-45 if amount > 8 else 0)
    plot.update_yaxes(**axis, title_text="true", autorange="reversed")
    plot.update_layout(margin={"l": 20, "r": 10, "t": 20, "b": 10}, plot_bgcolor="#f2f4f7")
    return Chart(
        title,
        "Rows are the true classes; the colour is the share of a row.",
        plot,
        min_width=min(24 * amount + 120, 700),
    )


def precision_recall(curves: Mapping[str, Any]) -> Chart:
    """Return precision over recall of each class, and their mean.

    Args:
        curves: `recall`, the common recalls; `mean` and, in `classes`, for each name the precision at each of them.
    """
    title = "Precision and recall"
    recalls, by_class = curves["recall"], curves["classes"]
    if not by_class:
        return Chart(title, "No class occurs.", None)
    # A single class is its own mean.
    drawn = by_class if len(by_class) > 1 else ()
    weakest = sorted(drawn, key=lambda name: sum(by_class[name]))[:DRAWN_CURVES]
    plot = figure(320)
    for name in weakest:
        plot.add_scatter(
            x=recalls,
            y=by_class[name],
            mode="lines",
            showlegend=False,
            line={"width": 1, "color": FADED},
            hovertemplate=f"{label(name, 24)}: precision %{{y:.3f}} at recall %{{x:.2f}}<extra></extra>",
        )
    plot.add_scatter(
        x=recalls,
        y=curves["mean"],
        mode="lines",
        showlegend=True,
        name="mean" if weakest else label(next(iter(by_class)), 24),
        line={"width": 2.5, "color": ACCENT},
        hovertemplate="precision %{y:.3f} at recall %{x:.2f}<extra></extra>",
    )
    plot.update_xaxes(title_text="recall", range=[0, 1.02])
    plot.update_yaxes(title_text="precision", range=[0, 1.03])
    left_out = f" Of {len(by_class)} classes, the {len(weakest)} weakest." if len(weakest) < len(drawn) else ""
    return Chart(title, f"Each class in grey; hover for its name.{left_out}" if weakest else "", plot)


def calibration(bins: Sequence[Mapping[str, float]]) -> Chart:
    """Return how often what is predicted with a probability is so; each bin has `probability`, `present`, `count`."""
    plot = figure(300)
    plot.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", showlegend=False, hoverinfo="skip", line={"dash": "dot", "color": FADED}
    )
    plot.add_scatter(
        x=[item["probability"] for item in bins],
        y=[item["present"] for item in bins],
        mode="lines+markers",
        showlegend=False,
        line={"width": 2, "color": HIGHLIGHT},
        text=[f"{item['count']:.0f}" for item in bins],
        hovertemplate="probability %{x:.3f}: so in %{y:.1%} of %{text}<extra></extra>",
    )
    plot.update_xaxes(title_text="predicted probability", range=[0, 1.02])
    plot.update_yaxes(title_text="share that is so", range=[0, 1.03])
    return Chart("Calibration", "On the dotted line, probabilities are what they claim to be.", plot)
