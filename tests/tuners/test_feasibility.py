"""What is learned from failures."""

from __future__ import annotations

import numpy as np
import pytest

from tunewell.spec.declaration import parse_space
from tunewell.tuners.encoding import Encoding
from tunewell.tuners.feasibility import Feasibility, fit_labels

ENCODING = Encoding(parse_space({"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}))
POINTS = np.random.default_rng(0).random((40, 2))
PROBES = np.random.default_rng(1).random((200, 2))


def probability(succeeded: np.ndarray[tuple[int], np.dtype[np.bool_]], probes: np.ndarray = PROBES) -> np.ndarray:
    """Return the probability of success at the probes, when the trials at POINTS succeeded or not."""
    points = POINTS[: len(succeeded)]
    model = Feasibility(ENCODING, fit_labels(ENCODING, points, succeeded), points, succeeded)
    return np.asarray(np.exp(model.log_probability(probes)))


def test_a_boundary_is_found() -> None:
    """Behind a boundary failure is expected, before it success, most clearly far from it."""
    side = PROBES[:, 0] - 0.6
    found = probability(POINTS[:, 0] < 0.6)
    assert np.mean((found > 0.5) == (side < 0)) > 0.95
    assert found[side > 0.2].max() < 0.1
    assert found[side < -0.2].min() > 0.9


@pytest.mark.parametrize("value", [True, False])
def test_one_kind_of_outcome_makes_nothing_certain(value: bool) -> None:
    """After three successes, or three failures, the same is likely everywhere but not certain away from them."""
    found = probability(np.full(3, value))
    other = 1 - found if value else found
    assert other.mean() < 0.5
    assert other.max() > 0.05


def test_probabilities_shrink_near_a_failure_only() -> None:
    """A single failure among successes is avoided where it was, and hardly anywhere else."""
    succeeded = np.ones(40, dtype=bool)
    succeeded[7] = False
    assert probability(succeeded, POINTS[7:8])[0] < 0.5
    assert np.median(probability(succeeded)) > 0.9


def test_logarithms_stay_finite() -> None:
    """However certain a failure is, its logarithm orders candidates."""
    points = POINTS
    succeeded = points[:, 0] < 0.05
    model = Feasibility(ENCODING, fit_labels(ENCODING, points, succeeded), points, succeeded)
    assert np.isfinite(model.log_probability(PROBES)).all()


def test_surprises_are_failures_in_the_midst_of_successes() -> None:
    """A failure is one if the others let success be expected; failures that confirm one another are none."""
    behind = POINTS[:, 0] > 0.6
    alone = int(np.argmin(np.linalg.norm(POINTS - (0.3, 0.5), axis=1)))
    succeeded = ~behind
    succeeded[alone] = False
    model = Feasibility(ENCODING, fit_labels(ENCODING, POINTS, succeeded), POINTS, succeeded)
    surprises = model.surprises()
    assert surprises[alone]
    assert not surprises[succeeded].any()
    assert not surprises[POINTS[:, 0] > 0.7].any()


@pytest.mark.parametrize("trials", [1, 2, 10])
def test_nothing_surprises_where_nothing_has_succeeded(trials: int) -> None:
    """As long as all trials fail, failure is what is to be expected."""
    succeeded = np.zeros(trials, dtype=bool)
    points = POINTS[:trials]
    assert not Feasibility(ENCODING, fit_labels(ENCODING, points, succeeded), points, succeeded).surprises().any()
