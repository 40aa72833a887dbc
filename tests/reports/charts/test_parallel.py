from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.reports import examples
from tests.reports.charts.tables import Drawn, table, view
from tunewell.reports.charts import parallel_coordinates
from tunewell.reports.charts.parallel import MOST_AXES, MOST_LINES
from tunewell.reports.importance import Importance, parameter_importances
from tunewell.reports.view import search_view
from tunewell.spec.declaration import parse_space
from tunewell.spec.states import TrialState


def points(path: str) -> list[tuple[float, float]]:
    """The corners of a line, from its data."""
    numbers = [float(number) for number in path.removeprefix("M").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_each_result_is_a_line_across_all_axes() -> None:
    """Every trial with a result has a line with a corner on each axis, the best in orange on top; others have none."""
    states = [TrialState.SUCCEEDED] * 29 + [TrialState.PRUNED]
    drawn = Drawn(parallel_coordinates(view(table([i / 30 for i in range(30)], states=states)), None))
    assert sorted(drawn.trials("lines")) == list(range(1, 30))
    assert drawn.trials("rank-1") == [29]
    assert drawn.trials("lines")[-1] == 29
    for line in (one for one in drawn.root.iter() if one.get("data-trial")):
        assert [round(x) for x, _ in points(line.get("d", ""))] == [167, 500, 833]


def test_axes_tell_a_script_what_their_places_mean() -> None:
    """Name, kind and ends stand on each axis, so that a stretch of it can be told in values."""
    space = parse_space(
        {
            "rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "layers": {"low": 1, "high": 4},
            "kind": ["a", True, None],
        }
    )
    drawn = Drawn(parallel_coordinates(view(table([0.25, 0.75], space=space)), None))
    rate, layers, kind, value = (one.attrib for one in drawn.groups("axis"))
    assert (rate["data-parameter"], rate["data-kind"], rate["data-log"]) == ("rate", "number", "true")
    assert [float(rate[f"data-{end}"]) for end in ("low", "high")] == pytest.approx([1e-4, 1e-2])
    assert [float(layers[f"data-{end}"]) for end in ("low", "high")] == pytest.approx([0.5, 4.5])
    assert "data-log" not in layers
    assert (kind["data-kind"], json.loads(kind["data-values"])) == ("choice", ["a", True, None])
    assert (value["data-parameter"], value["data-kind"]) == ("accuracy", "value")
    assert float(value["data-low"]) < 0.25 and float(value["data-high"]) > 0.75


def test_marks_of_a_log_axis_stand_where_its_ends_say() -> None:
    """A mark on a log axis stands at the place that its value has between the ends that a script is told."""
    drawn = Drawn(parallel_coordinates(search_view(examples.hand_signs()), None))
    axis = next(one for one in drawn.groups("axis") if one.get("data-parameter") == "learning_rate")
    low, high = (math.log(float(axis.get(f"data-{end}", ""))) for end in ("low", "high"))
    line = next(one for one in axis if one.get("class") == "base")
    depth = float(line.get("y2", ""))
    for text in axis:
        if text.get("class") == "halo":
            place = (math.log(float(text.text or "")) - low) / (high - low)
            assert float(text.get("y", "")) == pytest.approx(depth * (1 - place), abs=0.1)


def test_axes_stand_in_the_order_of_importance() -> None:
    """The most important parameter comes first, its importance below its name; the least important are left out."""
    names = [f"p{i}" for i in range(MOST_AXES + 3)]
    space = parse_space({name: {"low": 0.0, "high": 1.0} for name in names})
    found = [Importance(name, 1 / (i + 2), 0.0, 1.0) for i, name in enumerate(reversed(names))]
    chart = parallel_coordinates(view(table([0.1, 0.2], space=space)), found)
    drawn = Drawn(chart)
    assert [one.get("data-parameter") for one in drawn.groups("axis")] == [*names[:2:-1], "accuracy"]
    widths = [float(str(one.get("width")).rstrip("%")) for one in drawn.groups("bar")]
    assert widths == sorted(widths, reverse=True)
    assert "3 least important parameters left out." in chart.caption


def test_chosen_trials_stand_out() -> None:
    """Where a selection is made, its lines are in colour, on top of all others; the best is orange if it is chosen."""
    trials = table([i / 30 for i in range(30)])
    chosen = np.isin(trials.numbers, [3, 4])
    drawn = Drawn(parallel_coordinates(view(trials, chosen=chosen), None))
    assert sorted(drawn.trials("good")) == [3, 4]
    assert len(drawn.trials("faded")) == 28
    assert drawn.groups("rank-1") == []
    every = Drawn(parallel_coordinates(view(trials, chosen=np.ones(30, dtype=bool)), None))
    assert every.trials("rank-1") == [30] and every.groups("faded") == []


def test_inactive_parameters_have_a_place_of_their_own() -> None:
    """A line runs below an axis whose parameter is inactive in its trial, and the place is named."""
    search = search_view(examples.hand_signs())
    found = [Importance(name, 0.5, 0.0, 1.0) for name in ("momentum", "learning_rate")]
    drawn = Drawn(parallel_coordinates(search, found))
    assert "inactive" in drawn.texts
    depth = float(next(one for one in drawn.groups("base")).get("y2", ""))
    lows = {t.number for t in examples.hand_signs().trials if "momentum" not in t.parameters}
    for line in (one for one in drawn.root.iter() if one.get("data-trial")):
        _, height = points(line.get("d", ""))[0]
        assert (height > depth) == (int(line.get("data-trial", "")) in lows)


def test_very_many_trials_are_thinned_out() -> None:
    """Of 100,000 trials a few hundred lines are drawn, the best among them; the file stays small."""
    search = view(table(np.random.default_rng(0).random(100_000).tolist()))
    chart = parallel_coordinates(search, parameter_importances(search.table))
    lines = Drawn(chart).trials("lines")
    assert len(lines) < 1.1 * MOST_LINES + 5 and search.top[0] in lines
    assert chart.svg is not None and len(chart.svg) < 40_000
    assert f"Of 100000 trials, {len(lines)} are drawn." in chart.caption


def test_far_worse_values_stand_at_the_open_end() -> None:
    """Values far worse than the rest stand at the end of the axis of values, which is told to be open there."""
    values = [0.1 + 0.01 * i for i in range(38)] + [1e6, 1e7]
    chart = parallel_coordinates(view(table(values, goal="minimize")), None)
    (axis,) = [one for one in Drawn(chart).groups("axis") if one.get("data-kind") == "value"]
    assert axis.get("data-open") == "high" and float(axis.get("data-high", "")) < 1
    assert "Far worse values of accuracy stand at the end of its axis." in chart.caption


def test_one_trial_is_nothing_to_compare() -> None:
    """With fewer than two results, or nothing that differs, a sentence stands in its place."""
    assert parallel_coordinates(view(table([0.1])), None).svg is None
    assert parallel_coordinates(view(table([0.1, 0.2], space=parse_space({"fixed": 3}))), None).svg is None
    assert parallel_coordinates(view(table([0.1, 0.1])), None).svg is not None
