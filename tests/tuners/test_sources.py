"""How trials of earlier searches are brought into a new space, and which of them are tried first."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.spec.space import Configuration, Value
from tunewell.tuners.ranks import normal_scores
from tunewell.tuners.sources import MOST_TRIALS, Source, make_source, map_into, starts

SPACE = parse_space(
    {
        "rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "layers": {"low": 1, "high": 5},
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 1.0, "when": {"optimizer": "sgd"}},
        "batch": {"ordinal": [16, 32, 64], "default": 32},
        "epochs": 7,
    }
)
COMPLETE: Configuration = {"rate": 1e-3, "layers": 2, "optimizer": "adam", "batch": 16, "epochs": 7}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {}),
        ({"rate": 1.0}, {"rate": 0.1}),
        ({"rate": -3}, {"rate": 1e-4}),
        ({"layers": 2.6}, {"layers": 3}),
        ({"layers": 99}, {"layers": 5}),
        ({"epochs": 3}, {}),
        ({"epochs": "many"}, {}),
        ({"batch": 200}, {"batch": 64}),
        ({"batch": None}, {"batch": 32}),
        ({"layers": None}, {"layers": 3}),
        ({"momentum": 0.3, "dropout": 0.5}, {}),
        ({"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.5}),
    ],
)
def test_values_are_brought_into_the_space(changed: dict[str, Value], expected: dict[str, Value]) -> None:
    """Clipped, filled in with defaults and middles, and restricted to what is active here; None: not given."""
    given = {name: value for name, value in {**COMPLETE, **changed}.items() if value is not None}
    mapped = map_into(SPACE, given)
    assert mapped == {**COMPLETE, **expected}
    assert SPACE.check(mapped) == mapped


@pytest.mark.parametrize("changed", [{"optimizer": "lion"}, {"optimizer": 3}, {"rate": "fast"}, {"batch": True}])
def test_what_is_unknown_here_does_not_fit(changed: dict[str, Value]) -> None:
    """No category stands for another one."""
    assert map_into(SPACE, {**COMPLETE, **changed}) is None


def test_null_fits() -> None:
    """Null is a value like others: trials with it fit where it is a choice, and nowhere else."""
    space = parse_space({"x": [None, 1], "y": {"low": 0.0, "high": 1.0, "when": {"x": None}}, "z": [None]})
    assert map_into(space, {"x": None, "y": 0.25, "z": 3}) == {"x": None, "y": 0.25, "z": None}
    (trial,) = make_source("a", space, [(1, {"x": None, "y": 0.25}, 0.5)]).trials
    assert trial.parameters == {"x": None, "y": 0.25, "z": None}
    assert map_into(parse_space({"x": [1, 2]}), {"x": None}) is None


def test_scores_are_those_of_ranks() -> None:
    """Any scale gives the same scores; equal losses get equal ones; they are symmetric around 0."""
    losses = np.array([1e9, 1.0, 2.0, 2.0])
    scores = normal_scores(losses)
    np.testing.assert_allclose(scores, normal_scores(np.exp(losses / 1e9) - 5.0))
    assert scores[2] == scores[3] == pytest.approx(0.0)
    assert scores[0] == pytest.approx(-scores[1])
    assert scores[1] < scores[2] < scores[0]


def source(count: int, name: str = "earlier") -> Source:
    """Return a source of so many trials, the loss of which is the rate."""
    rates = np.geomspace(1e-4, 1e-1, count).tolist()
    return make_source(name, SPACE, [(n + 1, {**COMPLETE, "rate": rate}, rate) for n, rate in enumerate(rates)])


def test_large_sources_are_thinned_out() -> None:
    """The best ones stay, and the worst one; the scores are those among all trials."""
    found = source(1000)
    assert len(found.trials) == MOST_TRIALS
    assert [trial.number for trial in found.trials[:75]] == list(range(1, 76))
    assert found.trials[-1].number == 1000
    assert found.trials[0].score < -3.0


def test_sources_go_through_json() -> None:
    """The record of an experiment gives the source back."""
    found = source(5)
    assert Source.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(("max_trials", "expected"), [(3, 0), (4, 1), (11, 2), (12, 3), (100, 3)])
def test_starts_are_few(max_trials: int, expected: int) -> None:
    """A quarter of the trials at most, and three."""
    assert len(starts(SPACE, [source(50)], max_trials)) == expected


def test_starts_are_the_best_and_then_diverse() -> None:
    """The best trial is first, then the farthest of the elite; sources take turns."""
    found = starts(SPACE, [source(50), source(20, "other")], 20)
    assert [origin for origin, _ in found] == [
        "warm start: earlier, trial 1",
        "warm start: other, trial 3",
        "warm start: earlier, trial 4",
    ]
    assert found[0][1] == {**COMPLETE, "rate": 1e-4}


def test_known_configurations_are_not_repeated() -> None:
    """What the user's own configurations try already is left out."""
    found = starts(SPACE, [source(3)], 20, [{**COMPLETE, "rate": 1e-4}])
    assert [origin for origin, _ in found] == ["warm start: earlier, trial 2", "warm start: earlier, trial 3"]


def test_without_sources_there_are_no_starts() -> None:
    """Nothing is added."""
    assert starts(SPACE, [], 20) == []
