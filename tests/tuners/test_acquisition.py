"""Expected improvement against the integral that it is, and the search for its largest value."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tunewell.spec.declaration import parse_space
from tunewell.tuners.acquisition import log_expected_improvement, neighbours, search
from tunewell.tuners.encoding import Array, Encoding

SPACE = parse_space(
    {
        "x": {"low": 0.0, "high": 1.0},
        "layers": {"low": 1, "high": 6},
        "width": {"low": 1, "high": 256, "log": True},
        "optimizer": ["sgd", "adamw", "lion"],
        "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
        "one": 1,
    }
)


@pytest.mark.parametrize("z", [3.0, 0.5, 0.0, -0.99, -1.01, -3.0, -8.0])
def test_improvement_is_the_expectation(z: float) -> None:
    """The logarithm agrees with numerical integration of max(best - f, 0)."""
    deviation, best = 0.7, 2.0
    mean = best - z * deviation
    expected, _ = quad(
        lambda t: t * norm.pdf(best - t, mean, deviation), 0, max(z, 0.0) * deviation + 8.0, epsabs=0, limit=200
    )
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(np.log(expected), rel=1e-6)


def test_improvement_keeps_its_order_where_it_underflows() -> None:
    """Far above the best value the logarithm is finite and goes on to fall, without a jump where formulas meet."""
    means = np.linspace(0.9, 3e4, 200_000)
    found = log_expected_improvement(means, np.ones(len(means)), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def test_neighbours_change_one_to_three_parameters() -> None:
    """A neighbour is a point of the space; it keeps all but a few of the values, and hardly ever all of them."""
    encoding, generator = Encoding(SPACE), np.random.default_rng(0)
    some = np.array([encoding.encode(SPACE.sample(generator)) for _ in range(300)])
    found = neighbours(encoding, some, generator)
    assert np.allclose(encoding.snap(found), found, equal_nan=True)
    both = ~np.isnan(some) & ~np.isnan(found)
    changed = (both & ~np.isclose(some, found)).sum(axis=1)
    assert changed.max() <= 3
    assert (changed == 0).mean() < 0.2
    parent = SPACE.names.index("optimizer")
    switched = (np.isnan(some) != np.isnan(found)).any(axis=1)
    assert (some[switched, parent] != found[switched, parent]).all()


def test_search_finds_a_peak() -> None:
    """The best point that was scored is close to the only peak of a score."""
    encoding = Encoding(SPACE)
    peak = encoding.encode({"x": 0.3, "layers": 4, "width": 50, "optimizer": "sgd", "momentum": 0.8, "one": 1})

    def score(points: Array) -> Array:
        return np.asarray(-((np.nan_to_num(points, nan=-1.0) - peak) ** 2).sum(axis=1))

    found = search(score, encoding, np.zeros((0, len(SPACE))), np.random.default_rng(0))
    scores = score(found)
    assert (np.diff(scores) <= 0).all()
    assert scores[0] > -0.01
