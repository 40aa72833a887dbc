"""Plotly charts of an experiment: functions from an `ExperimentView` to a `Chart`."""

from tunewell.reports.charts.evaluation import calibration, confusion_matrix, precision_recall
from tunewell.reports.charts.history import history_over_time, history_over_trials
from tunewell.reports.charts.parallel import parallel_coordinates
from tunewell.reports.charts.parameters import importance, slices
from tunewell.reports.charts.progress import learning_curves, outcomes, timeline
from tunewell.reports.charts.theme import Chart

__all__ = [
    "Chart",
    "calibration",
    "confusion_matrix",
    "history_over_time",
    "history_over_trials",
    "importance",
    "learning_curves",
    "outcomes",
    "parallel_coordinates",
    "precision_recall",
    "slices",
    "timeline",
]
