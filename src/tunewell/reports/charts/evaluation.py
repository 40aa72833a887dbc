"""The confusion matrix as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from tunewell.reports.charts.theme import ACCENT, Chart, figure, label

#: Above this number of classes the cells are too small to be read: the list of confused pairs serves instead.
HEATMAP_CLASSES = 100
#: Up to this number of classes the counts stand in the cells.
NUMBERED_CLASSES = 20


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
