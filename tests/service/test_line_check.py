"""Looking at a line of a program's output."""

from __future__ import annotations

import math

import pytest

from tunewell.service.line_check import look_at_line
from tunewell.spec.errors import SpecError
from tunewell.spec.metric_line import Found, look


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("epoch 3: accuracy=0.5", None),
        ("epoch 3: accuracy is 0.5, F1 is inf", r"(?P<name>\w+) is (?P<value>\S+)"),
        ("accuracy is high \udcff \U0001f600", r"(?P<name>\w+) is (?P<value>\S+)"),
        ("nothing", r"(?P<name>\w+) is (?P<value>\S+)"),
    ],
)
def test_what_is_found_is_the_same_everywhere(line: str, pattern: str | None) -> None:
    """A user's pattern, tried in a process of its own, finds what it finds in the output of a trial."""
    assert look_at_line(line, pattern, "accuracy") == look(line, pattern, "accuracy")


def test_numbers_that_are_none_come_back() -> None:
    """Infinity is found as such."""
    found = look_at_line("a is -inf", r"(?P<name>\w+) is (?P<value>\S+)", "a")
    assert found == Found(None, {"a": -math.inf}, is_unread=False)


def test_a_pattern_that_takes_for_ever_is_refused() -> None:
    """A pattern with exponential time is given up after a second, with an error that names field and remedy."""
    with pytest.raises(SpecError, match=r"metric_pattern: it takes longer than 1 s for this line\. Write no repeat"):
        look_at_line("a" * 60 + "!", r"(?P<name>(a+)+)=(?P<value>.*)$", "a")
