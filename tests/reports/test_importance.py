from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports.charts.tables import table
from tunewell.reports.importance import MIN_TRIALS, Importance, parameter_importances
from tunewell.reports.table import TrialTable
from tunewell.spec.declaration import parse_space
from tunewell.spec.space import Configuration, SearchSpace

MIXED = parse_space(
    {
        "rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "layers": {"low": 1, "high": 6},
        "kind": ["a", "b", "c"],
        "size": {"ordinal": [16, 32, 64, 128]},
        "fixed": 3,
    }
)


def table_of(
    space: SearchSpace, configurations: Sequence[Configuration], values: Sequence[float], goal: Any
) -> TrialTable:
    """A trial for each configuration."""
    positions = [[p.to_unit(c[p.name]) if p.name in c else np.nan for p in space] for c in configurations]
    return table(values, goal=goal, space=space, positions=np.array(positions, dtype=np.float32))


def importances_of(
    space: SearchSpace, function: Callable[[Configuration], float], n: int, goal: Any = "minimize", seed: int = 0
) -> dict[str, Importance]:
    """Importances from `n` random trials of a function."""
    generator = np.random.default_rng(seed)
    configurations = [space.sample(generator) for _ in range(n)]
    found = parameter_importances(table_of(space, configurations, [function(c) for c in configurations], goal))
    assert found is not None
    return {importance.parameter: importance for importance in found}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("rate", lambda c: abs(np.log10(c["rate"]) + 3)),
        ("layers", lambda c: (c["layers"] - 4) ** 2),
        ("kind", lambda c: {"a": 0.0, "b": 1.0, "c": 2.0}[c["kind"]]),
        ("size", lambda c: abs(c["size"] - 64)),
    ],
)
def test_the_only_parameter_that_matters_gets_nearly_all(name: str, function: Callable[[Configuration], float]) -> None:
    """Whatever its kind, the parameter that alone decides has nearly the whole importance; a constant has none."""
    found = importances_of(MIXED, function, 200)
    assert found[name].share > 0.9
    assert found["fixed"] == Importance("fixed", 0.0, 0.0, 0.0)


def test_values_that_no_trial_had_cost_nothing() -> None:
    """A choice among very many values is compared by those that were tried: the square of all would fill the memory."""
    space = parse_space({"kind": list(range(100_000)), "rate": {"low": 0.0, "high": 1.0}})
    found = importances_of(space, lambda c: c["rate"], 60)
    assert found["rate"].share > 0.9


def test_shares_agree_with_the_analytic_ones() -> None:
    """For f = -(5x + 3y) the shares come near the Pearson divergences worked out by integration.

    The best tenth is the corner 5x + 3y > t. With q(x) its density along x on the unit square, the divergence is
    ∫ (q(x) - 1)² dx, here summed on a fine grid.
    """
    axis = (np.arange(2000) + 0.5) / 2000
    values = 5 * axis[:, None] + 3 * axis[None, :]
    inside = values > np.quantile(values, 0.9)
    divergences = [float(((inside.mean(axis=other) / 0.1 - 1) ** 2).mean()) for other in (1, 0)]
    expected = divergences[0] / sum(divergences)
    space = parse_space({name: {"low": 0.0, "high": 1.0} for name in ("x", "y", "z")})
    found = importances_of(space, lambda c: 5 * c["x"] + 3 * c["y"], 3000, "maximize")
    assert found["x"].share == pytest.approx(expected, abs=0.07)
    assert found["z"].share < 0.01


def test_chance_is_not_taken_for_importance() -> None:
    """Where nothing matters, no parameter stands out: over many searches all have equal shares on average."""
    space = parse_space({f"p{i}": {"low": 0.0, "high": 1.0} for i in range(3)} | {"c": ["a", "b"]})
    shares = []
    for seed in range(40):
        noise = np.random.default_rng(1000 + seed)
        found = importances_of(space, lambda _, noise=noise: float(noise.random()), 40, seed=seed)
        shares.append([found[name].share for name in space.names])
    assert np.abs(np.mean(shares, axis=0) - 0.25).max() < 0.15


def test_intervals_hold_the_share_and_narrow_with_trials() -> None:
    """The interval of the leading parameter contains its share, and is narrower with thirty times the trials."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    few, many = (importances_of(space, lambda c: -2 * c["x"] - c["y"], n)["x"] for n in (40, 1200))
    assert few.low <= few.share <= few.high
    assert many.low <= many.share <= many.high
    assert many.high - many.low < 0.5 * (few.high - few.low)


CONDITIONAL = parse_space(
    {
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 1.0, "when": {"optimizer": "sgd"}},
        "beta": {"low": 0.0, "high": 1.0, "when": {"optimizer": "adam"}},
    }
)


def test_a_conditional_parameter_that_does_nothing_gets_nothing() -> None:
    """That a child is active whenever its parent is right is the parent's merit alone."""
    found = importances_of(CONDITIONAL, lambda c: (c["optimizer"] == "adam") + 0.1 * np.sin(1e5 * sum(c_(c))), 400)
    assert found["optimizer"].share > 0.85
    assert found["momentum"].share < 0.1


def c_(configuration: Configuration) -> list[float]:
    """The numbers in a configuration."""
    return [value for value in configuration.values() if isinstance(value, float)]


def test_a_conditional_parameter_counts_where_it_is_active() -> None:
    """A child that decides where it is active is important; one that is never active in a good trial is not."""
    found = importances_of(CONDITIONAL, lambda c: abs(c["momentum"] - 0.8) if "momentum" in c else 2 + c["beta"], 400)
    assert found["momentum"].share > 0.5
    assert found["optimizer"].share > 0.05
    assert found["beta"].share == 0


def test_there_is_none_with_too_few_trials() -> None:
    """Below the least number of trials there is no answer, at it there is one."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    rows = [{"x": i / MIN_TRIALS} for i in range(MIN_TRIALS)]
    values = [float(i) for i in range(MIN_TRIALS)]
    assert parameter_importances(table_of(space, rows[1:], values[1:], "minimize")) is None
    assert parameter_importances(table_of(space, rows, values, "minimize")) is not None


def test_equal_values_tell_nothing() -> None:
    """When all trials are equally good, every share is 0."""
    found = importances_of(MIXED, lambda _: 1.0, 60)
    assert all(importance.share == 0 for importance in found.values())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(MIN_TRIALS, 60), st.sampled_from(["maximize", "minimize"]))
def test_shares_are_shares_and_reproducible(seed: int, n: int, goal: Any) -> None:
    """Shares lie in [0, 1], sum to 1 or are all 0, come greatest first, and are the same when worked out again."""
    generator = np.random.default_rng(seed)
    configurations = [CONDITIONAL.sample(generator) for _ in range(n)]
    values = generator.choice([0.0, 0.5, 1.0, 2.0], n).tolist()
    trials = table_of(CONDITIONAL, configurations, values, goal)
    found = parameter_importances(trials)
    assert found is not None
    shares = [importance.share for importance in found]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= i.low <= i.high <= 1 and 0 <= i.share <= 1 for i in found)
    assert sum(shares) == pytest.approx(1) or not any(shares)
    assert parameter_importances(trials) == found


def test_the_goal_decides_what_is_best() -> None:
    """Maximising f gives the same importances as minimising -f."""
    up = importances_of(MIXED, lambda c: np.log10(c["rate"]) - c["layers"], 80, "maximize")
    down = importances_of(MIXED, lambda c: c["layers"] - np.log10(c["rate"]), 80, "minimize")
    assert up == down


def test_very_many_trials_are_looked_at_in_part() -> None:
    """Of 100,000 trials evenly chosen ones say the same, without the memory that all of them would take."""
    values = np.random.default_rng(0).random((100_000, 2)).astype(np.float32)
    space = parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}})
    found = parameter_importances(table(values[:, 0].tolist(), space=space, positions=values))
    assert found is not None and found[0].parameter == "x" and found[0].share > 0.95
