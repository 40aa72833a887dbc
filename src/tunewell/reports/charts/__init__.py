"""Plotly charts of an experiment: functions from an `ExperimentView` to a `Chart`."""

from tunewell.reports.charts.evaluation import confusion_matrix
from tunewell.reports.charts.history import history_over_time, history_over_trials
from tunewell.reports.charts.parallel import parallel_coordinates
from tunewell.reports.charts.parameters import importance, slices
from tunewell.reports.charts.progress import learning_curves, outcomes, timeline
from tunewell.reports.charts.theme import Chart

__all__ = [
    "Chart",
    "confusion_matrix",
    "history_over_time",
    "history_over_trials",
    "importance",
    "learning_curves",
    "outcomes",
    "parallel_coordinates",
    "slices",
    "timeline",
]
