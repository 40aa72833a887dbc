"""Charts of an experiment by name, as JSON."""

from __future__ import annotations

import json

from tunewell.home.home import Home
from tunewell.service.types import Chart
from tunewell.service.verbs import ChartName
from tunewell.service.views import experiment_view
from tunewell.spec.errors import NotFoundError, nearest
from tunewell.store.store import Store


def draw(store: Store, home: Home, name: str, chart: ChartName) -> Chart:
    """Return a chart of an experiment; raises `NotFoundError`."""
    from tunewell.reports import charts  # brings in Plotly, which no other verb should wait for
    from tunewell.reports.html import importances_of

    drawn = {
        "history": charts.history_over_trials,
        "history-over-time": charts.history_over_time,
        "importance": lambda view: charts.importance(view, importances_of(view)),
        "learning-curves": charts.learning_curves,
        "outcomes": charts.outcomes,
        "parallel": lambda view: charts.parallel_coordinates(view, importances_of(view)),
        "timeline": charts.timeline,
    }
    if chart not in drawn:
        raise NotFoundError(f"There is no chart '{chart}'", remedy=nearest(chart, drawn))
    found = drawn[chart](experiment_view(store, home, name))
    figure = None if found.figure is None else json.loads(found.figure.to_json())
    return Chart(title=found.title, caption=found.caption, figure=figure)
