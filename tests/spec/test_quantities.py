"""Durations and sizes as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.quantities import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86400),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2d", 172800),
        ("1.5h", 5400),
        ("90S", 90),
        (90, 90),
        (0.5, 0.5),
        (timedelta(minutes=1), 60),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    """Days, hours, minutes and seconds, in this order, or a number of seconds."""
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "h", "30m1h", "5 minutes", "-5s", "0h", 0, -1, True, None, "1e3s", float("inf")])
def test_no_durations(text: Any) -> None:
    """Anything else, and nothing that is not above zero, is no duration."""
    with pytest.raises(ValueError, match=r"is no duration|is not above zero"):
        parse_duration(text)


@given(st.integers(1, 10**7))
def test_whole_seconds_come_back(seconds: int) -> None:
    """A duration of whole seconds is written exactly."""
    assert parse_duration(format_duration(timedelta(seconds=seconds))).total_seconds() == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4s"), (9.96, "10s"), (5, "5s"), (125, "2m5s"), (5400, "1h30m"), (86400, "24h"), (0, "0s")],
)
def test_durations_are_written_as_people_do(seconds: float, text: str) -> None:
    """Short durations have a decimal, long ones no parts that are zero."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("500M", 500 * 2**20), ("8G", 2**33), ("8 GiB", 2**33), ("1.5k", 1536), ("2TB", 2**41), (1024, 1024)],
)
def test_sizes(text: Any, size: int) -> None:
    """K is 1024 bytes, M 1024 K, and so on, however it is spelled."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["8", "G", "-1G", "0M", 0, -5, 1.5, True, "8X", None])
def test_no_sizes(text: Any) -> None:
    """A text without a unit is no size, nor is anything that is not above zero."""
    with pytest.raises(ValueError, match=r"is no size|is not above zero"):
        parse_size(text)
