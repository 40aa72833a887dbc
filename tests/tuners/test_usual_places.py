"""Where parameters with well-known names usually do well."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.space import Choice, Condition, Numeric, Parameter, SearchSpace
from tunewell.tuners import create
from tunewell.tuners.catalogue import ALGORITHMS, leans_on
from tunewell.tuners.contract import Suggestion
from tunewell.tuners.usual_places import SHARE, UsualPlaces

RATE = Numeric("learning_rate", 1e-5, 1.0, log=True)


def leaned(parameter: Parameter, *others: Parameter) -> list[float]:
    """Return where evenly spread positions of a parameter move to, in a space with these others."""
    space = SearchSpace((*others, parameter))
    even = np.linspace(0.005, 0.995, 100)
    return list(UsualPlaces(space).lean(np.tile(np.append(0.5, even)[:, None], len(space)))[1:, -1])


def median(parameter: Parameter, *others: Parameter) -> object:
    """Return the middle one of the values that a start would have."""
    return parameter.from_unit(float(np.median(leaned(parameter, *others))))


@pytest.mark.parametrize(
    "name", ["learning_rate", "learningRate", "lr", "init_lr", "model__lr", "optimizer/lr", "lr_0"]
)
def test_well_known_names_are_known_in_any_style(name: str) -> None:
    """Half of the rates of a start lie within a factor of ten of 0.005; of another name a fifth would."""
    rate = Numeric(name, 1e-5, 1.0, log=True)
    near = [5e-4 <= float(rate.from_unit(position)) <= 5e-2 for position in leaned(rate)]
    assert np.mean(near) > 0.55
    other = Numeric("x", 1e-5, 1.0, log=True)
    assert leaned(other) == list(np.linspace(0.005, 0.995, 100))


@pytest.mark.parametrize(
    "parameter",
    [
        Numeric("learning_rate", 1e-6, 1e-4, log=True),
        Numeric("batch_size", 256, 4096, integer=True, log=True),
        Numeric("alpha", 0.0, 1.0),
        Numeric("learning_rate", 1e-5, 1.0, log=True, default=0.1),
        Choice("learning_rate", (1e-3, 1e-2)),
        Choice("batch_size", ("small", "large"), ordered=True),
        Choice("batch_size", (32,), ordered=True),
        Numeric("deliberate", 0.0, 1.0),
    ],
)
def test_who_knows_better_is_left_alone(parameter: Parameter) -> None:
    """A range without the place, a default, and a parameter of another kind with the same name stay as they are."""
    assert leaned(parameter) == list(np.linspace(0.005, 0.995, 100))


def test_a_name_means_what_its_neighbours_say() -> None:
    """The rate of boosted trees is another than that of a network; a learner's own names count as such."""
    trees = Numeric("max_depth", 1, 12, integer=True)
    slow, fast = median(RATE), median(RATE, trees)
    assert isinstance(slow, float) and isinstance(fast, float) and slow < 0.02 < 0.05 < fast < 0.2
    learner = Choice("learner", ("svm", "xgb"))
    eta = Numeric("xgb.eta", 1e-4, 1.0, log=True, when=(Condition("learner", ("xgb",)),))
    depth = Numeric("xgb.max_depth", 1, 12, integer=True, when=(Condition("learner", ("xgb",)),))
    rate = median(eta, learner, depth)
    assert isinstance(rate, float) and 0.03 < rate < 0.2


def test_listed_numbers_count_wherever_they_stand() -> None:
    """Ordered choices lean to the nearest number, be they listed up or down."""
    up, down = (Choice("batch_size", values, ordered=True) for values in ((8, 32, 128, 512), (512, 128, 32, 8)))
    for choice in (up, down):
        drawn = [choice.from_unit(position) for position in leaned(choice)]
        assert drawn.count(32) > 30 > drawn.count(512) > 5


NAMES = ("learning_rate", "batch_size", "momentum", "dropout", "max_depth", "subsample", "gamma", "x")


@given(st.sampled_from(NAMES), st.floats(1e-6, 1.0), st.floats(1.5, 1e6), st.booleans())
def test_starts_stay_in_range_and_in_order(name: str, low: float, factor: float, log: bool) -> None:
    """Whatever the range: positions keep their order, stay in it, and a quarter of them is spread evenly."""
    parameter = Numeric(name, low, low * factor, log=log)
    moved = np.array(leaned(parameter))
    assert (np.diff(moved) > 0).all() and moved[0] >= 0.0 and moved[-1] <= 1.0
    assert np.diff(moved).max() <= 0.01 / (1.0 - SHARE) * 1.05


@given(st.sampled_from(NAMES), st.floats(1e-6, 1.0), st.floats(1.5, 1e6))
def test_the_density_is_that_of_the_start(name: str, low: float, factor: float) -> None:
    """It integrates to one, and up to any point to the share of the start that lies below it."""
    space = SearchSpace((Numeric(name, low, low * factor, log=True),))
    usual, grid = UsualPlaces(space), np.linspace(0.0, 1.0, 2001)
    density = np.exp(usual.log_density(grid[:, None]))
    below = np.append(0.0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid)))
    assert below[-1] == pytest.approx(1.0, abs=1e-3)
    even = np.linspace(0.1, 0.9, 9)
    moved = usual.lean(np.append(0.5, even)[:, None])[1:, 0]
    assert np.interp(moved, grid, below) == pytest.approx(even, abs=5e-3)


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe", "pshe2", "evolutionary"])
def test_the_first_trial_is_the_usual_one(algorithm: str) -> None:
    """Who looks at the first result sees a sensible configuration; what has no usual place is drawn."""
    space = SearchSpace((RATE, Numeric("batch_size", 8, 512, integer=True, log=True), Numeric("x", 0.0, 1.0)))
    for seed in range(3):
        first = create(algorithm, space, goal="minimize", seed=seed, max_trials=30).ask()
        assert isinstance(first, Suggestion)
        rate, size = (float(str(first.parameters[name])) for name in ("learning_rate", "batch_size"))
        assert rate == pytest.approx(5e-3) and size == 32


def test_what_is_inactive_does_not_count() -> None:
    """A point without the parameter is neither usual nor unusual."""
    space = SearchSpace(
        (Choice("kind", ("a", "b")), Numeric("lr", 1e-5, 1.0, log=True, when=(Condition("kind", ("b",)),)))
    )
    assert UsualPlaces(space).log_density(np.array([[0.25, math.nan]])).tolist() == [0.0]


@pytest.mark.parametrize("algorithm", ["bayesian", "tpe"])
def test_what_is_observed_outweighs_what_is_usual(algorithm: str) -> None:
    """Where the best rate is an unusual one, it is found as well."""
    for seed in range(3):
        tuner = create(algorithm, SearchSpace((RATE,)), goal="minimize", seed=seed, max_trials=30)
        best = math.inf
        for _ in range(30):
            suggestion = tuner.ask()
            assert isinstance(suggestion, Suggestion)
            loss = abs(
                math.log10(float(str(suggestion.parameters["learning_rate"])))
            )  # best at 1, the end of the range
            tuner.tell(suggestion.outcome(loss))
            best = min(best, loss)
        assert best < 0.1


@pytest.mark.parametrize(
    ("algorithm", "options", "resumable"),
    [*((name, {}, False) for name in ALGORITHMS), ("evolutionary", {}, True), ("pshe2", {"faithful": True}, False)],
)
def test_what_a_search_leans_on_is_told(algorithm: str, options: dict[str, bool], resumable: bool) -> None:
    """It is a well-known name where the first trials depend on that, and nothing where any other name would do."""
    spaces = [SearchSpace((Numeric(name, 1e-5, 1.0, log=True), Numeric("x", 0.0, 1.0))) for name in ("lr", "y")]
    firsts = []
    for space in spaces:
        more: dict[str, Any] = {"resumable": resumable, "epochs": 20, **options}
        tuner = create(algorithm, space, goal="minimize", seed=3, max_trials=20, **more)
        first = tuner.ask()
        assert isinstance(first, Suggestion)
        firsts.append(tuple(first.parameters.values()))
    assert leans_on(algorithm, options, spaces[0]) == (("lr",) if firsts[0] != firsts[1] else ())
    assert leans_on(algorithm, options, spaces[1]) == ()
