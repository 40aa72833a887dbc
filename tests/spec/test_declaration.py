"""Declarations of parameters, and the way back from a space to its declarations."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given

import tunewell
from tests.spec.strategies import spaces
from tunewell.spec.declaration import declare, parse_parameter, parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.space import Choice, Condition, Numeric, Parameter, SearchSpace

BASE = parse_space(
    {
        "learning_rate": {"low": 1e-5, "high": 1.0, "log": True, "default": 1e-2},
        "batch_size": {"ordinal": [16, 32, 64], "default": 64},
        "optimizer": {"choices": ["sgd", "adamw"], "default": "sgd"},
        "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}, "default": 0.9},
        "nesterov": {"choices": [True, False], "default": True, "when": {"optimizer": "sgd"}},
        "layers": {"low": 2, "high": 10, "step": 2, "default": 4},
    }
)


@pytest.mark.parametrize(
    ("declaration", "parameter"),
    [
        ({"low": 1e-5, "high": 1e-1, "log": True}, Numeric("x", 1e-5, 1e-1, log=True)),
        ({"low": 1, "high": 5}, Numeric("x", 1, 5, integer=True)),
        ({"low": 1, "high": 5, "type": "float"}, Numeric("x", 1, 5)),
        ({"low": 1.0, "high": 5}, Numeric("x", 1, 5)),
        ({"low": 1.0, "high": 5.0, "type": "integer"}, Numeric("x", 1, 5, integer=True)),
        ({"low": 1, "high": 64, "log": True}, Numeric("x", 1, 64, integer=True, log=True)),
        ({"low": 0, "high": 1, "step": 0.1}, Numeric("x", 0, 1, step=0.1)),
        ({"low": 0, "high": 8, "step": 2}, Numeric("x", 0, 8, integer=True, step=2)),
        ({"low": 3, "high": 3}, Numeric("x", 3, 3, integer=True)),
        ({"low": 0, "high": 1, "type": "float", "default": 1}, Numeric("x", 0, 1, default=1.0)),
        ({"low": 1, "high": 5, "default": 2.0}, Numeric("x", 1, 5, integer=True, default=2)),
        (["sgd", "adamw"], Choice("x", ("sgd", "adamw"))),
        (("sgd", "adamw"), Choice("x", ("sgd", "adamw"))),
        ({"choices": [1, True, "1"]}, Choice("x", (1, True, "1"))),
        ({"choices": [False, True], "default": False}, Choice("x", (False, True), default=False)),
        ({"ordinal": [32, 64]}, Choice("x", (32, 64), ordered=True)),
        (5, Choice("x", (5,))),
        ("adamw", Choice("x", ("adamw",))),
        (False, Choice("x", (False,))),
        ([3, None], Choice("x", (3, None))),
        ([None], Choice("x", (None,))),
        ({"choices": [3, None], "default": None}, Choice("x", (3, None), default=None)),
        ({"choices": [3, 5], "default": None}, Choice("x", (3, 5))),
        ({"ordinal": [None, 1, 2]}, Choice("x", (None, 1, 2), ordered=True)),
    ],
)
def test_declarations(declaration: Any, parameter: Parameter) -> None:
    """Each form of a declaration gives the parameter that it describes."""
    parsed = parse_parameter("x", declaration)
    assert parsed == parameter
    assert type(parsed.default) is type(parameter.default)


@pytest.mark.parametrize("when", [{"optimizer": "sgd"}, {"optimizer": ["sgd"]}, {"optimizer": ("sgd",)}])
def test_conditions_take_a_value_or_a_list(when: dict[str, Any]) -> None:
    """`when` names one value or a list of them."""
    space = parse_space({"momentum": {"low": 0.5, "high": 0.99, "when": when}, "optimizer": ["sgd", "adamw"]})
    assert space["momentum"].when == (Condition("optimizer", ("sgd",)),)


@given(spaces())
def test_a_space_survives_its_declarations(space: SearchSpace) -> None:
    """Declaring a space, writing it as JSON, reading and parsing it gives an equal space, types included."""
    back = parse_space(json.loads(json.dumps(declare(space))))
    assert back == space
    assert json.dumps(declare(back)) == json.dumps(declare(space))


def test_many_choices_are_parsed_at_once() -> None:
    """Work grows with the number of choices, not with its square; each is found, and an error names a few of them."""
    values = [f"value {number}" for number in range(50_000)]
    before = time.process_time()
    space = parse_space({"x": values, "y": {"low": 0, "high": 1, "when": {"x": values[::2]}}})
    assert [space["x"].canonical(value) for value in values] == values
    assert [value for value in values if space.is_active(space["y"], {"x": value})] == values[::2]
    assert time.process_time() - before < 5
    with pytest.raises(SpecError) as caught:
        space.check({"x": "none"})
    assert len(str(caught.value)) < 500
    assert "50000 values" in str(caught.value)


def test_too_many_parameters_are_refused() -> None:
    """The number of parameters has a limit, which the error names."""
    with pytest.raises(SpecError, match=r"parameters: there are 1001. Give 1000 at most"):
        parse_space({f"x{number}": [1, 2] for number in range(1001)})


def test_constructors_declare_what_the_spec_file_would() -> None:
    """The Python constructors give the same parameters as the YAML forms."""
    space = parse_space(
        {
            "x": tunewell.uniform(0, 1),
            "s": tunewell.uniform(0, 1, step=0.1),
            "lr": tunewell.loguniform(1e-5, 1e-1),
            "n": tunewell.integer(1, 64, log=True),
            "m": tunewell.integer(0, 8, step=2, default=0),
            "size": tunewell.ordinal([32, 64, 128]),
            "opt": tunewell.choice(["sgd", "adamw"]),
            "depth": tunewell.choice([3, None]),
            "leaves": tunewell.ordinal([None, 8], default=None),
            "momentum": tunewell.uniform(0.5, 0.99, when={"opt": ["sgd"]}, default=0.9),
        }
    )
    assert space == parse_space(
        {
            "x": {"low": 0.0, "high": 1.0},
            "s": {"low": 0, "high": 1, "step": 0.1},
            "lr": {"low": 1e-5, "high": 1e-1, "log": True},
            "n": {"low": 1, "high": 64, "log": True},
            "m": {"low": 0, "high": 8, "step": 2, "default": 0},
            "size": {"ordinal": [32, 64, 128]},
            "opt": ["sgd", "adamw"],
            "depth": [3, None],
            "leaves": {"ordinal": [None, 8], "default": None},
            "momentum": {"low": 0.5, "high": 0.99, "when": {"opt": "sgd"}, "default": 0.9},
        }
    )


@pytest.mark.parametrize("constructor", [tunewell.choice, tunewell.ordinal])
def test_a_text_is_no_list_of_choices(constructor: Any) -> None:
    """A text is not taken apart into its letters."""
    with pytest.raises(SpecError, match=r"'adam' is not a list of values"):
        parse_space({"x": constructor("adam")})


def test_overrides_keep_what_they_leave_out() -> None:
    """An override changes what it names; range, scale, default and condition stay as they were otherwise."""
    space = parse_space({"learning_rate": {"low": 1e-3}, "momentum": {"default": 0.8}, "layers": {"high": 6}}, BASE)
    assert space["learning_rate"] == Numeric("learning_rate", 1e-3, 1.0, log=True, default=1e-2)
    assert space["momentum"] == Numeric("momentum", 0.5, 0.99, when=(Condition("optimizer", ("sgd",)),), default=0.8)
    assert space["layers"] == Numeric("layers", 2, 6, integer=True, step=2, default=4)
    assert set(space.names) == set(BASE.names)


def test_overrides_may_change_the_kind() -> None:
    """An override may turn a range into choices or a constant, and choices into a range."""
    space = parse_space(
        {"learning_rate": [0.1, 0.001], "batch_size": {"low": 8, "high": 128}, "layers": 6, "momentum": [0.6]}, BASE
    )
    assert space["learning_rate"] == Choice("learning_rate", (0.1, 0.001), default=0.001)
    assert space["batch_size"] == Numeric("batch_size", 8, 128, integer=True, default=64)
    assert space["layers"] == Choice("layers", (6,), default=6)
    assert space["momentum"].when == BASE["momentum"].when


@pytest.mark.parametrize(
    ("name", "override", "default"),
    [
        ("learning_rate", {"low": 0.1, "high": 0.5}, 0.1),
        ("learning_rate", {"high": 1e-3}, 1e-3),
        ("batch_size", [8, 16, 48], 48),
        ("optimizer", ["adamw", "lion"], "adamw"),
        ("layers", {"low": 5, "high": 11}, 5),
        ("layers", {"low": 1, "high": 9, "step": 4}, 5),
    ],
)
def test_an_excluded_default_moves_to_the_nearest_value(name: str, override: Any, default: Any) -> None:
    """Where an override excludes the base's default, the nearest value is the default: there always is one."""
    space = parse_space({name: override}, BASE)
    assert space[name].default == default
    assert space.default() is not None


@pytest.mark.parametrize(
    ("name", "override"),
    [("learning_rate", ["fast"]), ("batch_size", [16, None]), ("optimizer", {"low": 1, "high": 3}), ("layers", True)],
)
def test_an_override_keeps_the_kind_of_values(name: str, override: Any) -> None:
    """A task that expects numbers gets no texts, and no null; one that expects texts gets no numbers."""
    with pytest.raises(SpecError, match=f"parameters.{name}: .* is of another kind than"):
        parse_space({name: override}, BASE)


def test_an_ordinal_stays_one() -> None:
    """A plain list for an ordinal parameter of the base keeps its order."""
    space = parse_space({"batch_size": [32, 64]}, BASE)
    assert space["batch_size"] == Choice("batch_size", (32, 64), ordered=True, default=64)


@pytest.mark.parametrize("optimizer", ["adamw", ["adamw"], ["adamw", "lion"]])
def test_parameters_that_can_never_be_active_are_dropped(optimizer: Any) -> None:
    """Where an override takes away what a parameter depends on, the parameter goes as well."""
    space = parse_space({"optimizer": optimizer}, BASE)
    assert set(space.names) == {"learning_rate", "batch_size", "optimizer", "layers"}


def test_conditions_lose_values_that_an_override_took_away() -> None:
    """An inherited condition keeps those of its values that are left."""
    base = parse_space({"kind": ["a", "b", "c"], "x": {"low": 0, "high": 1, "when": {"kind": ["a", "b"]}}})
    assert parse_space({"kind": ["b", "c"]}, base)["x"].when == (Condition("kind", ("b",)),)


def test_an_override_with_a_wrong_condition_is_refused() -> None:
    """A condition that the user wrote must fit the space."""
    with pytest.raises(SpecError, match=r"parameters\.momentum\.when\.optimizer: 'lion' is outside sgd \| adamw"):
        parse_space({"momentum": {"when": {"optimizer": "lion"}}}, BASE)


@pytest.mark.parametrize("declaration", [["a", "caf\udce9"], {"ordinal": ["a", "caf\udce9"]}, "caf\udce9"])
def test_choices_that_are_no_unicode_are_refused(declaration: Any) -> None:
    """A lone surrogate in a choice could be stored and printed nowhere."""
    with pytest.raises(SpecError, match=r"^parameters\.x\S*: 'caf\\udce9' is not valid Unicode"):
        parse_parameter("x", declaration)
