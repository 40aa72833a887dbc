"""How much more time is advised."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tunewell.service.advice import ample


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (0.4, timedelta(seconds=1)),
        (45, timedelta(seconds=45)),
        (46, timedelta(minutes=1)),
        (61 * 60, timedelta(minutes=90)),
        (7 * 3600 - 1, timedelta(hours=8)),
        (100 * 3600, timedelta(days=5)),
    ],
)
def test_times_are_rounded_up_to_what_people_give(seconds: float, time: timedelta) -> None:
    """No advice is shorter than what is needed."""
    assert ample(seconds) == time
