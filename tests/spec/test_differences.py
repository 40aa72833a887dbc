"""What differs between two specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.spec.test_experiment import EVERYTHING, MINIMAL
from tunewell.spec.differences import BUDGET_FIELDS, spec_differences
from tunewell.spec.experiment import ExperimentSpec, Objective, parse_spec


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return what differs between two raw specs."""
    return [tuple(difference) for difference in spec_differences(parse_spec(old), parse_spec(new))]


@pytest.mark.parametrize("raw", [MINIMAL, EVERYTHING])
def test_equal_specs_do_not_differ(raw: dict[str, Any]) -> None:
    """A spec does not differ from itself, nor from another way to write it."""
    assert differences(raw, raw) == []
    assert differences({**raw, "max_duration": "1h"}, {**raw, "max_duration": 3600}) == []
    assert differences({**raw, "objective": "accuracy"}, {**raw, "objective": {"metric": "accuracy"}}) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"max_trials": 10}, ("max_trials", None, 10)),
        ({"max_duration": "2h"}, ("max_duration", "24h", "2h")),
        ({"objective": {"metric": "accuracy", "target": 0.9}}, ("objective.target", None, 0.9)),
        ({"objective": "loss"}, ("objective.metric", "accuracy", "loss")),
        ({"algorithm": {"name": "auto", "size": 3}}, ("algorithm.size", None, 3)),
        (
            {"parameters": {"x": {"low": 0.0, "high": 2.0}}},
            ("parameters.x", {"low": 0.0, "high": 1.0}, {"low": 0.0, "high": 2.0}),
        ),
        (
            {"parameters": {**MINIMAL["parameters"], "y": [1, 2]}},
            ("parameters.y", None, [1, 2]),
        ),
        ({"command": ["a", "b"]}, ("command", ["python3", "train.py", "{x}"], ["a", "b"])),
    ],
)
def test_differences_name_field_and_values(change: dict[str, Any], expected: tuple[str, Any, Any]) -> None:
    """Each difference has the dotted path of the field and both values as a spec file could hold them."""
    assert expected in differences(MINIMAL, {**MINIMAL, **change})


def test_long_paths_are_told_apart() -> None:
    """What differs at the end of two long values is shown."""
    here, there = (str(Path("/").joinpath(*["folder"] * 30, name)) for name in ("here", "there"))
    (found,) = spec_differences(*(parse_spec({**MINIMAL, "working_directory": place}) for place in (there, here)))
    assert str(found) == f"working_directory: '{there}' there, '{here}' here"


def test_another_program_is_told_without_its_checksums() -> None:
    """Of a program that was changed it is said that it was; the folder that it lies in tells nothing more."""
    here, there = ({**MINIMAL, "code": code * 64, "working_directory": f"/home/code/{code * 64}"} for code in "ab")
    (found,) = spec_differences(parse_spec(there), parse_spec(here))
    assert str(found) == "the files of its program: others here"


def test_true_differs_from_one() -> None:
    """A constant true is another parameter than a constant 1."""
    found = differences({**MINIMAL, "parameters": {"x": 1}}, {**MINIMAL, "parameters": {"x": True}})
    assert [name for name, _, _ in found] == ["parameters.x"]


def test_order_of_parameters_is_no_difference() -> None:
    """The same parameters in another order are the same search."""
    parameters = {"x": [1, 2], "y": [3, 4]}
    assert (
        differences(
            {**MINIMAL, "parameters": parameters}, {**MINIMAL, "parameters": dict(reversed(parameters.items()))}
        )
        == []
    )


def test_budget_fields_are_fields() -> None:
    """Each field that may change when an experiment goes on is a field of the spec."""
    known = {*ExperimentSpec.model_fields, *(f"objective.{name}" for name in Objective.model_fields)}
    assert known > BUDGET_FIELDS
