from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.reports.charts.scales import CHARACTER, NARROW, linear_axis, parameter_axis, round_numbers, value_range
from tunewell.reports.table import Goal
from tunewell.spec.declaration import parse_space
from tunewell.spec.space import Choice, Numeric, Parameter

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.981, 0.984, ["0.9810", "0.9815", "0.9820", "0.9825", "0.9830", "0.9835", "0.9840"]),
        (-3.0, 2.0, ["−3", "−2", "−1", "0", "1", "2"]),
        (0.0, 41000.0, ["0", "10 000", "20 000", "30 000", "40 000"]),
        (0.0, 3e-9, ["0", "5e-10", "1e-09", "1.5e-09", "2e-09", "2.5e-09", "3e-09"]),
        (0.98123456, 0.98123458, ["0.98123456", "0.981234565", "0.98123457", "0.981234575", "0.98123458"]),
        (0.0, 2e12, ["0", "5e11", "1e12", "1.5e12", "2e12"]),
    ],
)
def test_marks_are_round_and_have_no_more_digits_than_they_need(low: float, high: float, texts: list[str]) -> None:
    """Marks stand at round numbers, with as many decimals as tell them apart."""
    told = [
        text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("e+", "e") for _, text in round_numbers(low, high, 7)
    ]
    assert told == texts


def test_numbers_of_trials_are_whole() -> None:
    """An axis of whole numbers has no halves, however short it is."""
    assert [tick.text for tick in linear_axis(0.5, 2.5, whole=True).ticks] == ["1", "2"]
    assert [tick.text for tick in linear_axis(0.5, 1.5, whole=True).ticks] == ["1"]


@given(finite, finite)
def test_any_two_ends_make_an_axis(first: float, second: float) -> None:
    """Whatever the ends, equal, tiny or as far apart as numbers get, marks and values stand within."""
    axis = linear_axis(min(first, second), max(first, second))
    assert all(0 <= tick.place <= 1 and tick.text for tick in axis.ticks)
    assert 0 <= axis.place(first) <= 1 and 0 <= axis.place(second) <= 1
    assert len(axis.ticks) <= 8


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(1e-4, 0.1, ["0.0001", "0.001", "0.01", "0.1"]), (2e-4, 3e-3, ["0.0002", "0.0005", "0.001", "0.002"])],
)
def test_log_axes_have_round_marks(low: float, high: float, marks: list[str]) -> None:
    """Powers of ten mark a log axis; a short one has their doubles and fivefolds, too, each at its place."""
    ticks = parameter_axis(Numeric("rate", low=low, high=high, log=True)).ticks
    assert [tick.text for tick in ticks] == marks
    for tick in ticks:
        assert tick.place == pytest.approx(math.log(float(tick.text) / low) / math.log(high / low))


@pytest.mark.parametrize(
    ("parameter", "marks"),
    [
        (Numeric("layers", 1, 4, integer=True), ["1", "2", "3", "4"]),
        (Numeric("share", 0.0, 0.2, step=0.1), ["0", "0.1", "0.2"]),
        (Choice("kind", ("a", True, None)), ["a", "true", "null"]),
        (Numeric("width", 1, 1000, integer=True), ["200", "400", "600", "800", "1000"]),
    ],
)
def test_axes_of_parameters_name_their_values(parameter: Parameter, marks: list[str]) -> None:
    """A parameter with few values has all of them on its axis, at the places where its trials stand."""
    ticks = parameter_axis(parameter).ticks
    assert [tick.text for tick in ticks] == marks
    assert [tick.place for tick in ticks] == sorted(tick.place for tick in ticks)


def test_a_choice_among_many_names_some() -> None:
    """Of very many values some are named, none of them longer than there is room for."""
    ticks = parameter_axis(Choice("kind", tuple("x" * 500 + str(i) for i in range(500)))).ticks
    assert 5 < len(ticks) <= 12
    assert max(len(tick.text) for tick in ticks) < 20


def test_outliers_do_not_flatten_the_rest() -> None:
    """A few values that are far worse are left out of the range, good or ordinary ones never, and it is said."""
    values = np.array([0.1 + 0.01 * i for i in range(38)] + [1e6, math.pi * 1e6])
    low, high, note = value_range(values, "minimize")
    assert low <= values.min() and high < 1
    assert "2 trials far worse" in note
    assert value_range(values, "maximize")[1] > 3e6
    assert value_range(values[:38], "minimize")[2] == ""
    assert value_range(values[[0, 38]], "minimize")[2] == ""


@given(st.lists(finite, min_size=1, max_size=40), st.sampled_from(["maximize", "minimize"]))
def test_the_best_is_never_left_out(values: list[float], goal: Goal) -> None:
    """Whatever the values, their range is finite and holds the best."""
    low, high, _ = value_range(np.array(values), goal)
    assert math.isfinite(low) and math.isfinite(high)
    best = max(values) if goal == "maximize" else min(values)
    assert low <= best <= high or abs(best) > 1.6e308


@pytest.mark.parametrize(
    "declared",
    [
        {"low": 0.0, "high": 0.5, "step": 0.05},
        {"low": 1, "high": 30_000},
        {"choices": ["a rather long word", "another one", "and more", "x"]},
        {"low": 1e-9, "high": 1.0, "log": True},
    ],
)
def test_marks_have_room_on_a_phone(declared: dict[str, Any]) -> None:
    """What is left of the marks where there is little room fits beside each other; the first one is always there."""
    (parameter,) = parse_space({"p": declared})
    ticks = parameter_axis(parameter).ticks
    kept = [tick for tick in ticks if not tick.spare]
    assert kept[0] == ticks[0]
    widest = max(len(tick.text) for tick in kept) * CHARACTER
    places = [tick.place * NARROW for tick in kept]
    assert all(right - left > 0.7 * widest for left, right in pairwise(places))
