"""Search spaces: the way to the unit interval and back, conditions, defaults."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.strategies import POSITIONS, discrete, floats, parameters, spaces
from tunewell.spec.errors import SpecError
from tunewell.spec.space import (
    Choice,
    Condition,
    Numeric,
    Parameter,
    SearchSpace,
    describe_domain,
    key,
    same,
)

SGD = Condition("optimizer", ("sgd",))
SPACE = SearchSpace(
    (
        Numeric("momentum", 0.5, 0.99, when=(SGD,), default=0.9),
        Choice("optimizer", ("sgd", "adamw"), default="sgd"),
        Numeric("nesterov", 0, 1, integer=True, when=(Condition("momentum_kind", (2, 3)), SGD)),
        Numeric("momentum_kind", 1, 3, integer=True, when=(SGD,)),
    )
)


@given(parameters(), st.floats(-1, 2))
def test_every_position_gives_a_value_of_the_domain(parameter: Parameter, position: float) -> None:
    """Every position, those outside of [0, 1] too, gives a value that the parameter contains."""
    assert parameter.contains(parameter.from_unit(position))


@given(discrete(), POSITIONS)
def test_discrete_values_come_back(parameter: Parameter, position: float) -> None:
    """A discrete value that goes to the unit interval and back is the same, in value and type."""
    value = parameter.from_unit(position)
    back = parameter.from_unit(parameter.to_unit(value))
    assert same(back, value)
    assert type(back) is type(value)


@given(floats(), POSITIONS)
def test_floats_come_back(parameter: Numeric, position: float) -> None:
    """A float that goes to the unit interval and back is the same up to rounding."""
    value = parameter.from_unit(position)
    scale = max(abs(parameter.low), abs(parameter.high))
    tolerance = 1e-9 * abs(value) if parameter.log else 1e-12 * scale
    assert parameter.from_unit(parameter.to_unit(value)) == pytest.approx(value, rel=0, abs=tolerance)


@given(floats(), POSITIONS, POSITIONS)
def test_positions_keep_the_order_of_values(parameter: Numeric, first: float, second: float) -> None:
    """A higher position never gives a lower value."""
    low, high = sorted((first, second))
    assert parameter.from_unit(low) <= parameter.from_unit(high)


@given(parameters())
def test_the_ends_of_the_interval_are_the_ends_of_the_domain(parameter: Parameter) -> None:
    """Position 0 gives the first value and position 1 the last."""
    values = parameter.values(10**6) if parameter.size else [parameter.low, parameter.high]
    assert same(parameter.from_unit(0.0), parameter.canonical(values[0]))
    assert same(parameter.from_unit(1.0), parameter.canonical(values[-1]))


@pytest.mark.parametrize(
    "parameter",
    [
        Numeric("x", 0, 4, integer=True),
        Numeric("x", -3, 11, integer=True, step=2),
        Numeric("x", 0, 1, step=0.1),
        Numeric("x", 0, 1.05, step=0.1),
        Choice("x", ("a", "b", "c")),
        Choice("x", (32, 64, 128), ordered=True),
        Numeric("x", 7, 7, integer=True),
    ],
)
def test_every_discrete_value_owns_an_equal_share(parameter: Parameter) -> None:
    """On a linear scale each value owns the same share of the unit interval, the first and the last too."""
    values = [parameter.from_unit((i + 0.5) / 7000) for i in range(7000)]
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    assert len(counts) == parameter.size
    assert max(counts.values()) - min(counts.values()) <= 2


def test_log_integers_own_shares_as_wide_as_they_are_on_the_log_scale() -> None:
    """An integer k on a log scale owns the share from log(k - 1/2) to log(k + 1/2)."""
    parameter = Numeric("x", 1, 64, integer=True, log=True)
    total = math.log(64.5) - math.log(0.5)
    drawn = [parameter.from_unit((i + 0.5) / 100_000) for i in range(100_000)]
    for k in (1, 2, 3, 10, 64):
        assert drawn.count(k) / 100_000 == pytest.approx((math.log(k + 0.5) - math.log(k - 0.5)) / total, abs=1e-4)


def test_the_middle_of_a_log_scale_is_the_geometric_mean() -> None:
    """The middle of the unit interval is the geometric mean on a log scale, the arithmetic one otherwise."""
    assert Numeric("x", 1e-5, 1e-1, log=True).from_unit(0.5) == pytest.approx(1e-3)
    assert Numeric("x", 2.0, 4.0).from_unit(0.5) == pytest.approx(3.0)


def test_steps_are_decimals() -> None:
    """Steps are counted as people do: the third step of 0.1 is 0.3, however far away the low end is."""
    assert Numeric("x", 0, 1, step=0.1).values(100) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert Numeric("x", -10, 1, step=0.1).from_unit(101.5 / 111) == 0.1
    assert Numeric("x", 0, 1, step=0.3).values(100) == [0, 0.3, 0.6, 0.9]


@given(discrete())
def test_size_counts_the_values(parameter: Parameter) -> None:
    """A discrete parameter has as many distinct values as its size says, in order and all contained."""
    values = parameter.values(10**6)
    assert len(values) == parameter.size
    assert all(parameter.contains(value) for value in values)
    assert len({(isinstance(value, bool), value) for value in values}) == len(values)


@given(floats(), st.integers(1, 20))
def test_values_are_spread_from_end_to_end(parameter: Numeric, steps: int) -> None:
    """A continuous parameter gives as many evenly spaced values as asked for, its ends among them."""
    values = parameter.values(steps)
    assert len(values) <= steps
    assert values == sorted(values)
    if steps > 1:
        assert values[0] == parameter.low
        assert values[-1] == pytest.approx(parameter.high)


@pytest.mark.parametrize("low", [0.1234567890123456, -1e-300, 0.0, 3e200])
def test_a_domain_of_one_point_is_a_constant(low: float) -> None:
    """Where low is high the parameter has exactly that value, to the last digit."""
    parameter = Numeric("x", low, low)
    assert parameter.size == 1
    assert [parameter.from_unit(p) for p in (0.0, 0.3, 1.0)] == [low] * 3
    assert parameter.to_unit(low) == 0.5
    assert parameter.contains(low)


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (Numeric("x", 0.0, 1.0), [0, 0.5, 1.0], [-0.1, 1.1, True, "0.5", None, math.nan, math.inf, [0.5]]),
        (Numeric("x", 1, 5, integer=True), [1, 5, 3.0], [0, 6, 2.5, True, 10**400]),
        (Numeric("x", 0, 1, step=0.25), [0, 0.25, 0.5, 1], [0.3, 0.2500001]),
        (Numeric("x", 1, 10, integer=True, step=3), [1, 4, 7, 10], [2, 9]),
        (Choice("x", (True, 2, "a")), [True, 2, 2.0, "a"], [1, False, "2", "b", None, [2]]),
    ],
)
def test_contains(parameter: Parameter, inside: list[object], outside: list[object]) -> None:
    """A parameter contains what is of its kind, in its range and on its steps; true is not 1."""
    assert [value for value in inside if not parameter.contains(value)] == []
    assert [value for value in outside if parameter.contains(value)] == []


def test_numpy_positions_give_plain_numbers() -> None:
    """Positions from NumPy arrays give plain Python numbers, which print and serialise as such."""
    for parameter in (Numeric("x", 0.1, 0.2), Numeric("x", 1, 3, integer=True), Numeric("x", 0, 1, step=0.5)):
        assert type(parameter.from_unit(np.float64(0.4))) in (int, float)


@given(spaces(), st.integers(0, 2**32))
def test_samples_are_configurations_of_the_space(space: SearchSpace, seed: int) -> None:
    """A sampled configuration passes the check unchanged and is its own active part."""
    configuration = space.sample(np.random.default_rng(seed))
    assert space.check(configuration) == configuration
    assert space.active_part(configuration) == configuration
    assert list(configuration) == [name for name in space.names if name in configuration]


@given(spaces())
def test_parents_come_first(space: SearchSpace) -> None:
    """Each parameter stands behind the parents of its conditions, in whatever order they were declared."""
    for place, parameter in enumerate(space):
        assert {condition.parent for condition in parameter.when} <= set(space.names[:place])


def test_children_follow_their_parents() -> None:
    """A parameter is active only while all its parents are active and have one of the values named."""
    values = {"optimizer": "sgd", "momentum": 0.8, "momentum_kind": 2, "nesterov": 1}
    assert SPACE.active_part(values) == values
    assert set(SPACE.active_part({**values, "momentum_kind": 1})) == {"optimizer", "momentum", "momentum_kind"}
    assert SPACE.active_part({**values, "optimizer": "adamw"}) == {"optimizer": "adamw"}


def test_true_is_not_one_in_conditions() -> None:
    """A condition on 1 does not hold for true."""
    space = SearchSpace((Choice("a", (True, 1)), Numeric("b", 0, 1, when=(Condition("a", (1,)),))))
    assert "b" not in space.from_unit({"a": 0.1, "b": 0.5})
    assert "b" in space.from_unit({"a": 0.9, "b": 0.5})


def test_default_configuration() -> None:
    """The default configuration holds the defaults of active parameters; constants need none."""
    assert SPACE.default() is None
    with_kind = SearchSpace((Choice("optimizer", ("adamw", "sgd"), default="adamw"), SPACE["momentum"]))
    assert with_kind.default() == {"optimizer": "adamw"}
    assert SearchSpace((Choice("a", (5,)), Numeric("b", 2, 2, integer=True))).default() == {"a": 5, "b": 2}


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (
            {"optimzer": "sgd"},
            "parameters.optimzer: there is no such parameter. Did you mean 'optimizer'?",
        ),
        ({}, "parameters.optimizer: it is active here but has no value. Give it one."),
        (
            {"optimizer": "sgd", "momentum": 2, "momentum_kind": 1},
            "parameters.momentum: 2 is outside 0.5 … 0.99. Give a value in it.",
        ),
        (
            {"optimizer": "sgd", "momentum": "much", "momentum_kind": 1},
            "parameters.momentum: 'much' is no number, and so outside 0.5 … 0.99. Give a value in it.",
        ),
    ],
)
def test_check_refuses(configuration: dict[str, object], message: str) -> None:
    """A configuration with a wrong name or value is refused with the field, the value and the remedy."""
    with pytest.raises(SpecError) as caught:
        SPACE.check(configuration)
    assert str(caught.value) == message


def test_check_brings_values_into_one_form() -> None:
    """Checked values have the form that the space itself gives them, so that equal ones are recognised."""
    space = SearchSpace(
        (
            Numeric("n", 1, 5, integer=True),
            Numeric("x", 0, 1),
            Numeric("s", 0, 1, step=0.1),
            Choice("c", (2, "a")),
        )
    )
    checked = space.check({"c": 2.0, "n": 3.0, "x": 1, "s": 0.1 + 0.2})
    assert key(checked) == key({"n": 3, "x": 1.0, "s": 0.3, "c": 2})


def test_size_of_a_space() -> None:
    """The number of configurations is the product of the parameters' sizes; infinite if one is continuous."""
    grid = (Numeric("a", 1, 3, integer=True), Choice("b", ("x", "y")))
    assert SearchSpace(grid).size() == 6
    assert SearchSpace((*grid, Numeric("c", 0, 1))).size() is None


def test_key_tells_configurations_apart() -> None:
    """Keys are equal for equal configurations in any order, and differ for 1, true and '1'."""
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert len({key({"a": value}) for value in (1, True, "1")}) == 3


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        (Numeric("x", 1e-5, 0.1, log=True), "1e-05 … 0.1 (log)"),
        (Numeric("x", 0, 1, step=0.1), "0 … 1 (step 0.1)"),
        (Numeric("x", 1, 12345678, integer=True), "1 … 12345678"),
        (Choice("x", ("sgd", True, 3)), "sgd | true | 3"),
    ],
)
def test_describe(parameter: Parameter, text: str) -> None:
    """A domain is described as a user would write it."""
    assert describe_domain(parameter) == text


def test_conditions_in_a_circle_are_refused() -> None:
    """Conditions that wait for one another are refused by name."""
    a = Choice("a", (1, 2), when=(Condition("b", (1,)),))
    b = Choice("b", (1, 2), when=(Condition("a", (1,)),))
    with pytest.raises(SpecError, match=r"parameters\.a\.when: the conditions go in a circle \(a, b\)"):
        SearchSpace((a, b))


def test_a_name_is_used_once() -> None:
    """Two parameters of one name are refused."""
    with pytest.raises(SpecError, match=r"parameters\.a: the name is used twice"):
        SearchSpace((Choice("a", (1,)), Choice("a", (2,))))
