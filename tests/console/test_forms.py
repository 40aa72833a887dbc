"""The form of a new search: what its fields say, and that a spec comes out of it as it went in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.console.forms import COMMAND, field_of, fields_of, spec_of
from tunewell.console.values import listing, scalar, scalars, written
from tunewell.spec.declaration import parse_parameter
from tunewell.spec.errors import SpecError, SpecErrors, UserError
from tunewell.spec.experiment import parse_spec

GOALS = {"accuracy": "maximize", "loss": "minimize"}
SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.\-]{0,6}", fullmatch=True)
TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=8)
ENDS = st.one_of(st.integers(1, 5), st.floats(0.001, 5.0))
RANGES = st.builds(
    lambda low, width, extra: {"low": low, "high": low + width, **extra},
    ENDS,
    st.integers(1, 10),
    st.fixed_dictionaries(
        {},
        optional={
            "log": st.booleans(),
            "type": st.sampled_from(["float", "integer"]),
            "step": st.just(1),
            "default": ENDS,
        },
    ),
)
DECLARATIONS = st.one_of(
    SIMPLE,
    RANGES,
    st.lists(SIMPLE, min_size=1, max_size=3),
    st.fixed_dictionaries(
        {"choices": st.lists(SIMPLE, min_size=1, max_size=3)},
        optional={"default": SIMPLE, "when": st.just({"other": [1]})},
    ),
    st.fixed_dictionaries({"ordinal": st.lists(st.integers(), min_size=1, max_size=3)}),
    st.fixed_dictionaries({}, optional={"low": ENDS, "high": ENDS, "default": SIMPLE}),
)
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXTS,
    "objective": st.one_of(
        st.sampled_from(sorted(GOALS)),
        st.fixed_dictionaries(
            {"metric": st.one_of(st.sampled_from(sorted(GOALS)), TEXTS)},
            optional={"goal": st.sampled_from(["maximize", "minimize"]), "target": ENDS},
        ),
    ),
    "algorithm": st.one_of(
        st.sampled_from(["auto", "bayesian", "grid"]),
        st.fixed_dictionaries({"name": st.just("bayesian")}, optional={"initial_trials": st.integers(1, 20)}),
    ),
    "early_stopping": st.sampled_from(["off", "median", "halving"]),
    "parameters": st.dictionaries(NAMES, DECLARATIONS, max_size=3),
    "initial": st.lists(st.dictionaries(NAMES, st.integers(), min_size=1), min_size=1, max_size=2),
    "warm_start": st.one_of(NAMES, st.lists(NAMES, min_size=1, max_size=2)),
    "parameters_from": NAMES,
    "max_trials": st.integers(1, 30),
    "max_concurrency": st.integers(1, 20),
    "max_duration": st.one_of(st.sampled_from(["24h", "90m"]), st.integers(1, 9999)),
    "max_failed_trials": st.one_of(st.integers(0, 9), st.sampled_from([0.3, "30%"])),
    "stop_when_converged": st.booleans(),
    "sampling": st.sampled_from([0.5, "50%", 1.0]),
    "finalists": st.sampled_from(["sample", "full"]),
    "project": TEXTS,
    "tags": st.one_of(NAMES, st.lists(TEXTS, min_size=1, max_size=3)),
    "description": TEXTS,
    "seed": st.integers(0, 9),
    "resources": st.fixed_dictionaries(
        {},
        optional={
            "gpus": st.sampled_from([0, 1, 8, 0.5]),
            "gpu_type": st.just("H100"),
            "cpus": st.sampled_from([1, 0.5]),
            "memory": st.just("8G"),
            "labels": st.just({"zone": "a"}),
        },
    ),
}
OF_TASKS = {
    "data": st.one_of(NAMES.map("dataset:{}".format), TEXTS),
    "network": st.sampled_from(["resnet18", "small-cnn"]),
    "weights": st.sampled_from(["auto", "none"]),
}
OF_COMMANDS = {
    "code": st.just("0" * 64),
    "metric_pattern": TEXTS,
    "environment": st.dictionaries(NAMES, TEXTS, max_size=2),
    "resumable": st.booleans(),
}
SPECS = st.one_of(
    st.fixed_dictionaries({"task": st.just("image-classification")}, optional={**COMMON, **OF_TASKS}),
    st.fixed_dictionaries({"command": st.lists(TEXTS, min_size=1, max_size=4)}, optional={**COMMON, **OF_COMMANDS}),
)


def normal(spec: dict[str, Any]) -> str:
    """Return a spec as one text for all ways to say the same."""
    said = {field: value for field, value in spec.items() if value not in (None, [], {})}
    if isinstance(said.get("objective"), str):
        said["objective"] = {"metric": said["objective"]}
    if "objective" in said and "task" in said:
        goal = GOALS.get(said["objective"]["metric"])
        said["objective"] = {"goal": goal, **said["objective"]}
    if isinstance(said.get("algorithm"), str):
        said["algorithm"] = {"name": said["algorithm"]}
    if isinstance(said.get("warm_start"), str):
        said["warm_start"] = [said["warm_start"]]
    if "command" in said:
        said["parameters"] = {name: parsed(name, one) for name, one in said.get("parameters", {}).items()}
    return json.dumps(said, sort_keys=True)


def parsed(name: str, declaration: Any) -> Any:
    """Return what a declaration means; one that is wrong as it is."""
    try:
        return repr(parse_parameter(name, declaration))
    except UserError:
        return declaration


@given(SIMPLE)
def test_values_come_back(value: Any) -> None:
    """What is written is read as the same value of the same type."""
    assert json.dumps(scalar(written(value))) == json.dumps(value)
    assert json.dumps(scalars(listing([value, value, 1]))) == json.dumps([value, value, 1])


@given(st.text(max_size=30))
def test_whatever_is_typed_is_some_value(text: str) -> None:
    """Nothing that is typed is an error before the planner looks at it."""
    scalar(text)
    assert isinstance(scalars(text), list)


@given(SPECS)
def test_a_spec_comes_out_of_the_form_as_it_went_in(spec: dict[str, Any]) -> None:
    """What has no field of its own is kept beside them, and nothing is added."""
    assert normal(spec_of(fields_of(spec, GOALS)).spec) == normal(spec)


@given(SPECS)
def test_the_fields_of_a_form_stay_as_they_are(spec: dict[str, Any]) -> None:
    """Once in a form, a spec has the same fields however often it goes through it."""
    fields = fields_of(spec, GOALS)
    assert normal(spec_of(fields_of(spec_of(fields).spec, GOALS)).spec) == normal(spec)


def test_what_a_beginner_says_is_short() -> None:
    """Empty fields leave everything to the defaults."""
    fields = {"task": "image-classification", "data": "dataset:signs", "mode": "search", "max_trials": " ", "name": ""}
    assert spec_of(fields).spec == {"task": "image-classification", "data": "dataset:signs"}


@pytest.mark.parametrize(
    ("fields", "declaration"),
    [
        ({"low": "1e-5"}, {"low": 1e-5}),
        ({"default": "0.01"}, {"default": 0.01}),
        ({"values": "16, 32"}, [16, 32]),
        ({"values": "16"}, 16),
        ({"kind": "values", "values": "16"}, [16]),
        ({"values": "null"}, [None]),
        ({"kind": "fixed", "value": "true", "low": "1"}, True),
        ({"kind": "log", "low": "1", "high": "100"}, {"low": 1, "high": 100, "type": "float", "log": True}),
        ({"kind": "whole", "low": "1", "high": "5"}, {"low": 1, "high": 5}),
        ({"kind": "values", "values": "a, b", "low": "1", "default": "a"}, {"choices": ["a", "b"], "default": "a"}),
    ],
)
def test_ranges(fields: dict[str, str], declaration: Any) -> None:
    """What is typed of a range counts as far as its kind has it."""
    of_network = {f"range.x.{part}": text for part, text in fields.items()}
    assert spec_of({"task": "image-classification", **of_network}).spec["parameters"] == {"x": declaration}
    of_command = {f"row.3.{part}": text for part, text in fields.items()}
    spec = spec_of({"task": COMMAND, "command": "a", "row.3.name": "x", **of_command}).spec
    assert spec == {"command": ["a"], "parameters": {"x": declaration}}


def test_by_hand_one_training_has_the_values_that_were_given() -> None:
    """Ranges, algorithm and number of trials of a search are left alone."""
    fields = {"task": "image-classification", "mode": "hand", "max_trials": "50", "algorithm": "grid"}
    fields |= {"range.x.value": "0.1", "range.x.low": "0", "range.y.value": ""}
    assert spec_of(fields).spec == {"task": "image-classification", "parameters": {"x": 0.1}, "max_trials": 1}


def test_further_fields_count_more() -> None:
    """What is written as YAML is added, within objects, too; what can't be read is a problem of that field."""
    fields = {"task": "image-classification", "target": "0.9", "more": "seed: 3\nobjective: {metric: f1}"}
    draft = spec_of(fields)
    assert draft.spec["seed"] == 3 and draft.spec["objective"] == {"target": 0.9, "metric": "f1"}
    problem = spec_of({**fields, "more": "seed: ["}).problem
    assert problem is not None and field_of(problem, fields) == "more"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_trials": "0"}, "max_trials"),
        ({"target": "abc"}, "target"),
        ({"algorithm": "bayesian", "option.initial_trials": "99"}, "option.initial_trials"),
        ({"cpus": "-1"}, "cpus"),
        ({"row.0.low": "a"}, "row.0.low"),
        ({"row.0.low": "9"}, "row.0.low"),
        ({"row.0.kind": "values", "row.0.values": "a, a"}, "row.0.values"),
        ({"row.0.default": "9"}, "row.0.default"),
        ({"name": "a b"}, "name"),
        ({"metric": ""}, "metric"),
        ({"command": "a 'b"}, "command"),
        ({"more": "seed: -1"}, "more"),
        ({"more": "resources: {cpus: -1}"}, "more"),
    ],
)
def test_an_error_stands_at_its_field(changes: dict[str, str], field: str) -> None:
    """Wherever the fault is in the spec, the field that says it is found."""
    fields = {
        "task": COMMAND,
        "name": "n",
        "command": "a",
        "metric": "accuracy",
        "row.0.name": "x",
        "row.0.kind": "number",
        "row.0.low": "0.0",
        "row.0.high": "1.0",
        "row.0.default": "",
        **changes,
    }
    from tunewell.tuners.catalogue import check_options

    spec = spec_of(fields).spec
    with pytest.raises((SpecError, SpecErrors)) as caught:
        found = parse_spec(spec)
        check_options(found.algorithm.name, found.algorithm.options)
        for name, declaration in found.parameters.items():
            parse_parameter(name, declaration)
    assert [field_of(error, fields) for error in caught.value.parts] == [field]
