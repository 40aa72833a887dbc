"""Errors for users: wording and remedies."""

from __future__ import annotations

import datetime
import json
import pickle
from typing import Any

import pytest

from tunewell.spec.errors import (
    MOST_ERRORS,
    NO_VALUE,
    ConflictError,
    DataError,
    NotFoundError,
    SpecError,
    SpecErrors,
    UserError,
    nearest,
    shown,
)


def test_an_error_names_field_problem_and_remedy() -> None:
    """A spec error reads as sentences, with or without a remedy, and is a user's error."""
    assert str(SpecError("a.b", "5 is too much", "Write 4")) == "a.b: 5 is too much. Write 4."
    assert str(SpecError("a.b", "5 is too much")) == "a.b: 5 is too much."
    assert SpecError("a.b", "x").field == "a.b"
    assert issubclass(SpecError, UserError)


def test_an_error_without_field_or_remedy_is_the_bare_sentence() -> None:
    """What is wrong stands alone where there is nothing else to say, and ends with one full stop."""
    assert str(UserError("nothing works")) == "nothing works."
    assert str(UserError("Nothing works.")) == "Nothing works."
    assert str(DataError("it is damaged", field="a.csv", remedy="Fix it.")) == "a.csv: it is damaged. Fix it."


def test_parts_of_an_error_as_json() -> None:
    """The JSON form has the same keys for every error, and the kind tells the class where none is given."""
    error = ConflictError("it exists", field="name", value="x", remedy="Choose another", experiment="x")
    assert error.to_json() == {
        "kind": "conflict",
        "field": "name",
        "value": "x",
        "what": "it exists",
        "remedy": "Choose another",
        "facts": {"experiment": "x"},
        "errors": [],
    }
    assert UserError("x", kind="own").kind == "own"
    kinds = [kind("x").kind for kind in (UserError, DataError, NotFoundError, ConflictError)]
    assert [*kinds, SpecError("a", "x").kind] == ["wrong-input", "bad-data", "not-found", "conflict", "invalid-field"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NO_VALUE, None),
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("a", "a"),
        ([1, "b"], "[1, 'b']"),
        ({"a": 1}, "{a: 1}"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        pytest.param(10**400, "a number of 401 digits", id="401 digits"),
        pytest.param(10**5000, "a number of 5001 digits", id="thousands of digits"),
        (datetime.date(2024, 1, 31), "2024-01-31"),
    ],
)
def test_any_value_is_json(value: object, expected: object) -> None:
    """Single values that JSON has stay as they are; all others are text."""
    found = SpecError("a", "x", value=value).to_json()
    assert found["value"] == expected
    json.dumps(found, allow_nan=False)


def test_a_long_value_is_cut_off() -> None:
    """The value of an error may be as long as it likes; its JSON form is short."""
    assert len(SpecError("a", "x", value="y" * 10**6).to_json()["value"]) == 1000
    assert len(SpecError("a", "x", value=["y"] * 10**6).to_json()["value"]) == 1000


@pytest.mark.parametrize("field", ["environment", "environment.TOKEN"])
def test_a_secret_value_is_in_no_form_of_an_error(field: str) -> None:
    """What a field that is secret holds is neither kept nor shown."""
    error = SpecError(field, "it is not a text", "Put it in quotes", value="s3cret")
    for form in (str(error), repr(error), repr(vars(error)), json.dumps(error.to_json())):
        assert "s3cret" not in form


def test_several_errors_are_listed() -> None:
    """Every error has a line of its own; beyond the most that are shown, their number is."""
    errors = SpecErrors([SpecError("a", "1 is too much", "Write 0"), DataError("it is missing", field="b")])
    assert str(errors) == "The spec has 2 errors:\n- a: 1 is too much. Write 0.\n- b: it is missing."
    assert errors.parts == errors.errors
    assert [part["field"] for part in errors.to_json()["errors"]] == ["a", "b"]
    assert errors.to_json()["kind"] == "invalid-spec"
    many = SpecErrors([SpecError(f"f{number}", "x") for number in range(50)])
    lines = str(many).splitlines()
    assert lines[0] == "The spec has 50 errors:"
    assert lines[-2:] == [f"- f{MOST_ERRORS - 1}: x.", f"- and {50 - MOST_ERRORS} more"]
    assert len(many.to_json()["errors"]) == 50


@pytest.mark.parametrize(
    "error",
    [
        SpecError("a", "x", "y", value=3, kind="k", fact=1),
        UserError("x", field="f", remedy="y"),
        SpecErrors([SpecError("a", "x", value=1), DataError("z", field="b")]),
    ],
    ids=["one field", "plain", "several"],
)
def test_an_error_survives_the_way_to_another_process(error: UserError) -> None:
    """A pickled error is the same in all its parts."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.to_json()) == (str(error), error.to_json())


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
