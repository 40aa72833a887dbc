"""The progress of several searches on the same axes."""

from __future__ import annotations

import re

import pytest

from tunewell.reports.charts import Course, compared_progress


def course(letter: str, places: list[float], values: list[float], end: float) -> Course:
    """Return the course of a search."""
    return Course(f"search <{letter}>", letter, places, values, end)


def corners(svg: str, rank: int) -> list[float]:
    """Return how far from above the line of a search runs, from its beginning to its end."""
    (data,) = re.findall(rf'<path class="search-{rank}" d="([^"]*)"', svg)
    return [float(height) for height in re.findall(r"(?:M\S+ |V)([\d.]+)", data)]


def test_lines_on_the_same_axes() -> None:
    """Each search has its line to where it has come, and its letter with its value beside the end."""
    chart = compared_progress([course("A", [1, 3], [0.5, 0.7], 4), course("B", [1], [0.6], 10)], "accuracy", "maximize")
    assert chart.svg is not None
    first, second = corners(chart.svg, 1), corners(chart.svg, 2)
    assert first[0] > second[0] == second[-1] > first[-1]
    assert "A 0.7" in chart.svg and "B 0.6" in chart.svg
    assert "search &lt;A&gt;" in chart.svg and "<A>" not in chart.svg
    assert "hours" not in chart.svg


def test_over_time_has_a_unit() -> None:
    """Seconds are told in what suits the longest search."""
    chart = compared_progress([course("A", [60, 7200], [0.5, 0.7], 4 * 3600)], "loss", "minimize", over_time=True)
    assert chart.svg is not None
    assert "hours of search time" in chart.svg


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_bad_beginnings_flatten_nothing(goal: str) -> None:
    """First values far worse than all others stand at the edge, and the caption says so."""
    sign = 1 if goal == "maximize" else -1
    values = [-1e6 * sign, *(sign * (0.5 + number / 100) for number in range(12))]
    steps = [float(number) for number in range(1, 14)]
    chart = compared_progress([course("A", steps, values, 13)], "score", goal)  # type: ignore[arg-type]
    assert chart.svg is not None
    heights = corners(chart.svg, 1)
    assert abs(heights[1] - heights[-1]) > 100
    assert "begins at the edge" in chart.caption


def test_nothing_to_draw() -> None:
    """Without any result there is no chart, and one without a result is left out of a chart."""
    assert compared_progress([course("A", [], [], 0)], "accuracy", "maximize").svg is None
    chart = compared_progress([course("A", [], [], 0), course("B", [1], [0.6], 1)], "accuracy", "maximize")
    assert chart.svg is not None
    assert "search-2" in chart.svg and "search-1" not in chart.svg
