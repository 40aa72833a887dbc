"""Errors for users: wording and remedies."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tunewell.spec.errors import SpecError, UserError, nearest, shown


def test_an_error_names_field_problem_and_remedy() -> None:
    """A spec error reads as sentences, with or without a remedy, and is a user's error."""
    assert str(SpecError("a.b", "5 is too much", "Write 4")) == "a.b: 5 is too much. Write 4."
    assert str(SpecError("a.b", "5 is too much")) == "a.b: 5 is too much."
    assert SpecError("a.b", "x").field == "a.b"
    assert issubclass(SpecError, UserError)


def test_the_nearest_name_is_the_remedy() -> None:
    """A close name is offered; without one all names are; without names there is no remedy."""
    assert nearest("learning_rte", ["momentum", "learning_rate"]) == "Did you mean 'learning_rate'"
    assert nearest("zzz", ["b", "a"]) == "Known: a, b"
    assert nearest("zzz", []) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0.1, "0.1"),
        ("a", "'a'"),
        (r"\w", r"'\w'"),
        ("a\nb", r"'a\nb'"),
        ([1, None], "[1, null]"),
        ({"a": True}, "{a: true}"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
        ("x" * 100, "'" + "x" * 56 + "..."),
    ],
)
def test_values_are_shown_as_a_spec_file_would_write_them(value: Any, text: str) -> None:
    """Values in messages look as the user wrote them, and never fill the screen."""
    assert shown(value) == text
