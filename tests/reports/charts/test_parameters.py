from __future__ import annotations

import numpy as np
import pytest

from tests.reports import examples
from tests.reports.charts.tables import SPACE, Drawn, table, view
from tunewell.reports.charts import contour, contours, importance, parameter_slice, slices
from tunewell.reports.importance import Importance, parameter_importances
from tunewell.reports.view import search_view
from tunewell.spec.declaration import parse_space


def test_a_slice_stands_on_the_scale_of_the_parameter() -> None:
    """The most important parameters have a slice each, marked on their own scale."""
    search = search_view(examples.hand_signs())
    found = parameter_importances(search.table)
    assert found is not None
    drawn = slices(search, found)
    assert [chart.title for chart in drawn] == [row.parameter for row in found[:4]]
    texts = Drawn(parameter_slice(search, "learning_rate")).texts
    assert {"1e-05", "0.0001", "0.001", "0.01", "0.1"} <= set(texts)
    assert {"sgd", "adamw", "rmsprop"} <= set(Drawn(parameter_slice(search, "optimizer")).texts)


def test_a_slice_marks_best_and_default() -> None:
    """Star and diamond stand where best and default do."""
    search = search_view(examples.hand_signs())
    drawn = Drawn(parameter_slice(search, "learning_rate"))
    assert [one.get("data-trial") for one in drawn.groups("best") if one.get("d")] == ["34"]
    assert [one.get("data-trial") for one in drawn.groups("standard")] == ["1"]


def test_only_trials_in_which_a_parameter_is_active_are_drawn() -> None:
    """A slice holds the trials in which its parameter is active, and says how many others there are."""
    view_ = examples.hand_signs()
    search = search_view(view_)
    active = {trial.number for trial in view_.trials if "momentum" in trial.parameters}
    chart = parameter_slice(search, "momentum")
    shown = set(Drawn(chart).trials("points"))
    assert shown == active & set(search.table.numbers[search.table.comparable].tolist())
    assert chart.caption.startswith(f"Inactive in {search.table.comparable.sum() - len(shown)} trials.")
    pair = contour(search, "learning_rate", "momentum")
    assert set(Drawn(pair).trials("points")) == shown
    assert "inactive" in pair.caption


def test_a_parameter_that_no_trial_has_gets_a_sentence() -> None:
    """Where no trial with a value has a parameter, it is said, and it has no slice among the others."""
    trials = table([0.1, 0.2], positions=np.array([[np.nan, 0.5], [np.nan, 0.5]], dtype=np.float32))
    assert parameter_slice(view(trials), "rate").svg is None
    assert contour(view(trials), "rate", "kind").svg is None
    assert [chart.title for chart in slices(view(trials), None)] == ["kind"]
    with pytest.raises(KeyError):
        parameter_slice(view(trials), "nothing")


def test_importance_has_a_bar_and_an_interval_for_each() -> None:
    """The bars are as long as the shares, the intervals reach from end to end, and the share is told."""
    rows = [Importance("rate", 0.75, 0.5, 1.0), Importance("kind", 0.25, 0.0, 0.5)]
    drawn = Drawn(importance(view(table([0.1] * 30)), rows))
    assert [one.get("width") for one in drawn.groups("bar")] == ["75%", "25%"]
    spans = [(one.get("x1"), one.get("x2")) for one in drawn.groups("interval") if one.get("x1") != one.get("x2")]
    assert spans == [("50%", "100%"), ("0%", "50%")]
    assert drawn.titles == ["rate: 75 % (50 % to 100 %)", "kind: 25 % (0 % to 50 %)"]
    assert drawn.root.get("aria-label") == "rate 75 %, kind 25 %"


def test_importance_says_what_it_lacks() -> None:
    """With too few trials, or where nothing tells them apart, the chart gives way to a sentence."""
    few = importance(search_view(examples.running()), None)
    assert few.svg is None
    assert few.caption == "It takes 20 comparable trials to tell the parameters apart, not 8."
    none = importance(view(table([0.1] * 30)), [Importance("rate", 0.0, 0.0, 0.0), Importance("kind", 0.0, 0.0, 0.0)])
    assert none.svg is None


def test_few_trials_over_two_parameters_are_points() -> None:
    """Each trial is a point in a shade by its rank, the best in the strongest."""
    drawn = Drawn(contour(view(table([0.1, 0.2, 0.3, 0.4])), "rate", "rate"))
    assert drawn.trials("strength-6") == [4]
    assert sorted(drawn.trials("shaded")) == [1, 2, 3, 4]
    assert contours(view(table([0.1])), None) == []


def test_many_trials_over_two_parameters_are_cells() -> None:
    """Of many trials, cells are drawn that say how many they hold, their mean and their best."""
    space = parse_space({"layers": {"low": 1, "high": 2}, "kind": ["a", "b"]})
    positions = np.tile(np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]], dtype=np.float32), (200, 1))
    values = np.tile([0.1, 0.2, 0.3], 200)
    values[5] = 0.9
    drawn = Drawn(contour(view(table(values.tolist(), space=space, positions=positions)), "layers", "kind"))
    assert sorted(drawn.titles) == [
        "200 trials, mean 0.1, best 0.1 (trial 1)",
        "200 trials, mean 0.2, best 0.2 (trial 2)",
        "200 trials, mean 0.303, best 0.9 (trial 6)",
    ]
    assert [one.get("x") for one in drawn.groups("cell")] == ["0%", "50%", "50%"]
    best = next(one for one in drawn.groups("cell") if "strength-6" in str(one.get("class")))
    assert best.get("y") == "0"


def test_a_hundred_thousand_trials_stay_small() -> None:
    """However many trials there are, each chart has at most some ten thousand bytes."""
    search = view(table(np.random.default_rng(0).random(100_000).tolist()))
    found = parameter_importances(search.table)
    for chart in [*slices(search, found), contour(search, "rate", "kind"), importance(search, found)]:
        assert chart.svg is not None and len(chart.svg) < 70_000
    assert {row.parameter for row in found or ()} == set(SPACE.names)
