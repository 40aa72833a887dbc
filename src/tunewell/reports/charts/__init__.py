"""Charts of a search as SVG: functions from a `SearchView` to a `Chart`."""

from tunewell.reports.charts.chart import Chart, picture, standalone, style
from tunewell.reports.charts.comparison import Course, compared_progress
from tunewell.reports.charts.curves import learning_curves, metric_curve
from tunewell.reports.charts.evaluation import calibration, confusion_matrix, precision_recall
from tunewell.reports.charts.history import best_steps, history_over_time, history_over_trials
from tunewell.reports.charts.lineage import lineage
from tunewell.reports.charts.outcomes import outcomes, timeline
from tunewell.reports.charts.parallel import parallel_coordinates
from tunewell.reports.charts.parameters import contour, contours, importance, parameter_slice, slices
from tunewell.reports.charts.ribbon import ribbon

__all__ = [
    "Chart",
    "Course",
    "best_steps",
    "calibration",
    "compared_progress",
    "confusion_matrix",
    "contour",
    "contours",
    "history_over_time",
    "history_over_trials",
    "importance",
    "learning_curves",
    "lineage",
    "metric_curve",
    "outcomes",
    "parallel_coordinates",
    "parameter_slice",
    "picture",
    "precision_recall",
    "ribbon",
    "slices",
    "standalone",
    "style",
    "timeline",
]
