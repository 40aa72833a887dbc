"""Gathering errors: which of them are told, and in which form."""

from __future__ import annotations

import pytest

from tunewell.spec.errors import SpecError, SpecErrors
from tunewell.spec.experiment import parse_spec
from tunewell.spec.problems import Problems


def test_a_single_error_is_raised_as_it_is() -> None:
    """One error alone is not wrapped, none raises nothing, and several keep their order."""
    problems, first, second = Problems(), SpecError("b", "x"), SpecError("a", "y")
    problems.raise_any()
    problems.add(first)
    with pytest.raises(SpecError) as single:
        problems.raise_any()
    assert single.value is first
    problems.add(SpecErrors([second, SpecError("c", "z")]))
    with pytest.raises(SpecErrors) as several:
        problems.raise_any()
    assert [error.field for error in several.value.errors] == ["b", "a", "c"]


def test_what_a_wrong_field_concerns() -> None:
    """A field is concerned by errors of itself and of its parts, not of fields whose names begin alike."""
    problems = Problems()
    problems.add(SpecError("parameters.lr.low", "x"))
    problems.suspect("data")
    assert problems.concern("parameters")
    assert problems.concern("parameters.lr")
    assert problems.concern("seed", "data")
    assert not problems.concern("parameters.l", "parameters.lr.high", "dat", "seed")


def test_an_error_that_depends_on_a_wrong_field_is_not_told() -> None:
    """A check inside `gathering` adds its error only if all that it needs is right."""
    problems = Problems()
    problems.suspect("a")
    with problems.gathering("a"):
        raise SpecError("b", "x")
    with problems.gathering("c"):
        raise SpecError("d", "y")
    with pytest.raises(SpecError, match=r"d: y\."):
        problems.raise_any()


MINIMAL = {"name": "e", "command": ["train", "{x}"], "objective": "loss", "parameters": {"x": [1, 2]}}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"objective": None, "objectiv": "loss"}, ["objectiv"]),
        ({"objective": None, "metric": "loss"}, ["metric"]),
        ({"objective": {"metrik": "loss"}}, ["objective.metrik"]),
        ({"objective": {"metric": 5}}, ["objective.metric"]),
        ({"objective": {}}, ["objective.metric"]),
        ({"command": None, "comand": ["train"]}, ["comand"]),
        ({"command": None, "objective": None}, ["task"]),
        ({"command": None, "task": "object-detection", "date": ".", "parameters": None}, ["date"]),
        ({"parameters": None, "parameter": {}}, ["parameter"]),
        ({"parameters": None, "parameters_form": "e"}, ["parameters_form"]),
        ({"finalists": "full", "sampling": 2}, ["sampling"]),
        ({"resources": {"cpus": 0}, "max_concurrency": 0}, ["max_concurrency"]),
        ({"task": 5}, ["task"]),
        ({"name": None, "nam": "e"}, ["nam"]),
        ({"objective": None, "command": None}, ["task"]),
        ({"seed": -1, "objective": None}, ["objective", "seed"]),
        ({"name": "a b", "metric_pattern": "(", "data": "x"}, ["name", "metric_pattern", "data"]),
        ({"command": ["a", "\0"], "seed": "\0"}, ["command", "seed"]),
    ],
)
def test_consequences_are_not_told(changes: dict[str, object], fields: list[str]) -> None:
    """Errors that are independent are all told; what is only the consequence of another is not."""
    with pytest.raises((SpecError, SpecErrors)) as caught:
        parse_spec({**MINIMAL, **changes})
    assert [error.field for error in caught.value.parts] == fields
