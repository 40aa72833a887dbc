from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.reports import examples
from tunewell.reports import charts
from tunewell.reports.charts import Chart
from tunewell.reports.charts.theme import MOST_POINTS, axis_range, parameter_axis
from tunewell.reports.importance import Importance, parameter_importances
from tunewell.reports.view import ExperimentView, ended_with_value
from tunewell.spec.space import Numeric


def importances(view: ExperimentView) -> Sequence[Importance] | None:
    """Importances of an example."""
    trials = ended_with_value(view)
    values = [trial.value for trial in trials if trial.value is not None]
    return parameter_importances(view.space, [trial.parameters for trial in trials], values, view.goal)


def all_charts(view: ExperimentView) -> list[Chart]:
    """Every chart of an experiment."""
    found = importances(view)
    return [
        charts.history_over_trials(view),
        charts.history_over_time(view),
        charts.learning_curves(view),
        charts.parallel_coordinates(view, found),
        charts.importance(view, found),
        *charts.slices(view, found),
        charts.outcomes(view),
        charts.timeline(view),
    ]


def traces(chart: Chart) -> dict[str, Any]:
    """Trace name → trace."""
    assert chart.figure is not None
    return {trace.name: trace for trace in chart.figure.data}


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_every_chart_copes_with_every_experiment(make: Callable[[], ExperimentView]) -> None:
    """With one trial, a thousand, none, or none that succeeded, each chart has a figure or says why not."""
    for chart in all_charts(make()):
        if chart.figure is None:
            assert chart.caption.endswith(".")
        else:
            assert chart.figure.data
            assert 'NaN"' not in chart.figure.to_json()


def test_history_shows_values_best_so_far_default_and_failures() -> None:
    """The history has every value, a monotone best line, levels for default and target, and the failed trials."""
    view = examples.hand_signs()
    chart = charts.history_over_trials(view)
    found = traces(chart)
    values = {(x, y) for name in ("succeeded", "pruned") for x, y in zip(found[name].x, found[name].y, strict=True)}
    assert values == {(trial.number, trial.value) for trial in ended_with_value(view)}
    assert list(found["best so far"].y) == sorted(found["best so far"].y)
    assert len(found["failed"].x) == 7
    assert found["best: trial 34"].y[0] == max(found["succeeded"].y)
    assert chart.figure is not None
    texts = [annotation.text for annotation in chart.figure.layout.annotations]
    assert texts == ["default 0.9772", "target 0.995"]


def test_history_over_time_counts_the_time_of_the_search() -> None:
    """Time is counted in a fitting unit, and is that which the search had been running."""
    view = examples.hand_signs()
    chart = charts.history_over_time(view)
    assert chart.figure is not None
    assert chart.figure.layout.xaxis.title.text == "minutes of search time"
    best = traces(chart)["best so far"].x
    assert best[0] == pytest.approx(view.trials[0].cost_seconds / 60)
    assert list(best) == sorted(best)


def test_learning_curves_colour_the_best_and_join_the_rest() -> None:
    """Each of the best trials has a curve of its own, all others are one faded trace with gaps."""
    view = examples.hand_signs()
    found = traces(charts.learning_curves(view))
    assert set(found) == {*(f"trial {number}" for number in view.top), "other trials"}
    best = view.trial(view.top[0])
    assert list(found[f"trial {best.number}"].y) == list(best.curve.values())
    others = [trial for trial in view.trials if trial.curve and trial.number not in view.top]
    assert list(found["other trials"].x).count(None) == len(others)


def test_slices_use_the_scale_of_the_parameter() -> None:
    """The most important parameters have a slice each, on a log axis where the parameter is logarithmic."""
    view = examples.hand_signs()
    found = importances(view)
    assert found is not None
    slices = charts.slices(view, found)
    assert [chart.title for chart in slices] == [importance.parameter for importance in found[:4]]
    for chart in slices:
        parameter = view.space[chart.title]
        assert chart.figure is not None
        is_log = chart.figure.layout.xaxis.type == "log"
        assert is_log == (isinstance(parameter, Numeric) and parameter.log)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(1e-4, 0.1, ["0.0001", "0.001", "0.01", "0.1"]), (2e-4, 3e-3, ["0.0002", "0.0005", "0.001", "0.002"])],
)
def test_log_axes_have_round_marks(low: float, high: float, marks: list[str]) -> None:
    """Powers of ten mark a log axis; a short one has their doubles and fivefolds, too, written in full."""
    assert parameter_axis(Numeric("rate", low=low, high=high, log=True))["ticktext"] == marks


def test_a_single_class_has_one_curve() -> None:
    """The mean of one class would be that class: it is drawn once, under its name."""
    chart = charts.precision_recall({"recall": [0, 1], "mean": [1, 0], "classes": {"cell": [1, 0]}})
    assert set(traces(chart)) == {"cell"}
    assert not chart.caption


def test_conditional_parameters_show_where_they_are_active() -> None:
    """A slice holds only the trials in which its parameter is active; parallel lines mark the others as inactive."""
    view = examples.hand_signs()
    momentum_first = [Importance("momentum", 1.0, 1.0, 1.0)]
    (chart,) = charts.slices(view, momentum_first)
    active = [trial for trial in ended_with_value(view) if "momentum" in trial.parameters]
    points = {name: len(trace.x) for name, trace in traces(chart).items() if name in ("trials", "pruned")}
    assert sum(points.values()) == len(active)
    assert chart.caption.startswith(f"Inactive in {len(ended_with_value(view)) - len(active)} trials.")
    figure = charts.parallel_coordinates(view, momentum_first).figure
    assert figure is not None
    assert "inactive" in [annotation.text for annotation in figure.layout.annotations]


def test_importance_says_what_it_lacks() -> None:
    """With too few trials the chart gives way to a sentence with both numbers."""
    chart = charts.importance(examples.running(), None)
    assert chart.figure is None
    assert chart.caption == "It takes 20 comparable trials to tell the parameters apart, not 8."


def test_outcomes_count_every_trial() -> None:
    """The bars sum up to the number of trials, with a bar for each cause of failure."""
    view = examples.hand_signs()
    figure = charts.outcomes(view).figure
    assert figure is not None
    (bars,) = figure.data
    assert sum(bars.x) == len(view.trials)
    assert set(bars.y) == {"succeeded", "pruned", "failed: gpu_oom", "failed: crashed", "failed: non_finite"}


def test_trials_that_run_at_once_have_rows_of_their_own() -> None:
    """No two bars of the timeline overlap."""
    figure = charts.timeline(examples.hand_signs()).figure
    assert figure is not None
    spans = sorted(
        (lane, base, base + x) for bar in figure.data for lane, base, x in zip(bar.y, bar.base, bar.x, strict=True)
    )
    for (lane, _, end), (other, begin, _) in pairwise(spans):
        assert lane != other or begin >= end - 1e-9


def test_many_trials_are_thinned_out() -> None:
    """A chart never gets more marks than a browser can draw quickly, and keeps the best trial."""
    view = examples.thousand(3 * MOST_POINTS)
    found = traces(charts.history_over_trials(view))
    assert len(found["succeeded"].x) <= MOST_POINTS
    assert len(found["best so far"].x) == 3 * MOST_POINTS
    assert found[f"best: trial {view.top[0]}"].x == (view.top[0],)
    assert charts.timeline(view).figure is None


def test_outliers_do_not_flatten_the_rest() -> None:
    """A few values that are far worse are left out of the range, good or ordinary ones never, and it is said."""
    values = [0.1 + 0.01 * i for i in range(38)] + [1e6, math.pi * 1e6]
    ends, note = axis_range(values, "minimize")
    assert ends is not None
    assert ends[0] <= min(values)
    assert ends[1] < 1
    assert "2 trials far worse" in note
    assert axis_range(values, "maximize") == (None, "")
    assert axis_range(values[:38], "minimize") == (None, "")
    assert axis_range([0.1, 1e6], "minimize") == (None, "")


def test_confusion_matrices_with_too_many_classes_are_not_drawn() -> None:
    """Above a hundred classes a sentence points to the confused pairs instead."""
    small = charts.confusion_matrix([[3, 1], [0, 0]], ["cat", "dog"])
    assert small.figure is not None
    assert [list(row) for row in small.figure.data[0].z] == [[0.75, 0.25], [0.0, 0.0]]
    names = [str(i) for i in range(101)]
    assert charts.confusion_matrix([[0] * 101] * 101, names).figure is None


def test_texts_of_users_are_escaped_for_plotly() -> None:
    """Plotly reads some HTML in its texts: no `<` of a user reaches it."""
    planted = "<a href='javascript:1'>x</a>"
    view = examples.planted(planted)
    for chart in all_charts(replace(view, top=view.top)):
        if chart.figure is not None:
            assert "<a" not in chart.figure.to_json()
