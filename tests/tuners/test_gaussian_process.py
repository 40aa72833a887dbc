"""The Gaussian process against straightforward computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import check_grad

from tunewell.spec.declaration import parse_space
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.gaussian_process import (
    Features,
    GaussianProcess,
    Hyperparameters,
    fit,
    negative_log_posterior,
)

SPACE = parse_space(
    {
        "rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "layers": {"low": 1, "high": 6},
        "optimizer": ["sgd", "adamw", "lion"],
        "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
        "kind": {"choices": ["plain", "amsgrad"], "when": {"optimizer": ["adamw", "lion"]}},
        "size": {"ordinal": [32, 64, 128]},
        "one": 1,
    }
)
ENCODING = Encoding(SPACE)
FEATURES = Features(ENCODING)
VARYING = [place for place, size in enumerate(ENCODING.sizes) if size != 1]


def points(number: int, seed: int = 0) -> Array:
    """Return random points of SPACE."""
    generator = np.random.default_rng(seed)
    return np.array([ENCODING.encode(SPACE.sample(generator)) for _ in range(number)])


def distance(place: int, first: float, second: float) -> float:
    """Return δ of one parameter by its definition."""
    if ENCODING.categorical[place]:
        return float(not (first == second or (math.isnan(first) and math.isnan(second))))
    return float((np.nan_to_num(first, nan=0.5) - np.nan_to_num(second, nan=0.5)) ** 2)


def test_features_give_the_distances_of_the_definition() -> None:
    """Features are as far apart as their points: squares for ordered parameters, 0 or 1 for categories."""
    some = points(12)
    pairs = np.triu_indices(12, 1)
    expected = [
        [distance(place, some[i, place], some[j, place]) for i, j in zip(*pairs, strict=True)] for place in VARYING
    ]
    assert FEATURES.distances(FEATURES(some), pairs) == pytest.approx(np.array(expected))


def test_lengths_grow_with_the_space() -> None:
    """A space in which random points are far apart has larger lengths beforehand, a small one half of its range."""
    many = parse_space({f"c{number}": ["a", "b", "c", "d"] for number in range(32)})
    assert Features(Encoding(many)).log_length_scale == pytest.approx(math.log(0.5) + 0.5 * math.log(24 / (8 / 6)))
    few = parse_space({f"x{number}": {"low": 0.0, "high": 1.0} for number in range(8)})
    assert Features(Encoding(few)).log_length_scale == pytest.approx(math.log(0.5))
    space = {f"c{number}": {"choices": ["a", "b"], "when": {"kind": "b"}} for number in range(9)}
    encoding = Encoding(parse_space({"kind": ["a", "b", "c"], **space}))
    features = Features(encoding)
    drawn = encoding.snap(np.random.default_rng(0).random((2000, 10)))
    distances = features.distances(features(drawn), (np.arange(1000), np.arange(1000, 2000))).sum(axis=0)
    found = math.log(0.5) + 0.5 * math.log(distances.mean() / (8 / 6))
    assert features.log_length_scale == pytest.approx(found, abs=0.03)


def test_correlation_is_that_of_the_definition() -> None:
    """The kernel is Matérn-5/2 of the weighted sum of the parameters' distances."""
    some, others = points(9), points(7, 1)
    scales = np.random.default_rng(2).normal(-0.5, 0.3, FEATURES.parameters)
    for a, row in zip(some, FEATURES.correlation(FEATURES(some), FEATURES(others), scales), strict=True):
        for b, found in zip(others, row, strict=True):
            deltas = np.array([distance(place, a[place], b[place]) for place in VARYING])
            r = math.sqrt(5 * (deltas * np.exp(-2 * scales)).sum())
            assert found == pytest.approx((1 + r + r * r / 3) * math.exp(-r))


def test_kernel_is_positive_definite() -> None:
    """The kernel matrix of different mixed and conditional points has positive eigenvalues only."""
    features = FEATURES(points(60))
    scales = np.zeros(FEATURES.parameters)
    assert np.linalg.eigvalsh(FEATURES.correlation(features, features, scales)).min() > 0


def test_gradient_of_the_posterior() -> None:
    """The gradient that the fit follows agrees with differences."""
    x, generator = FEATURES(points(15)), np.random.default_rng(1)
    pairs, y = np.triu_indices(15, 1), generator.standard_normal(15)
    arguments = (FEATURES.distances(x, pairs), pairs, y, FEATURES.log_length_scale)
    for _ in range(3):
        theta = generator.normal(-1.0, 0.7, FEATURES.parameters + 1)
        error = check_grad(
            lambda t: negative_log_posterior(t, *arguments)[0],
            lambda t: negative_log_posterior(t, *arguments)[1],
            theta,
        )
        assert error < 1e-4


def test_fit_tells_parameters_that_matter() -> None:
    """A parameter that the values depend on gets a shorter length scale than those that they do not depend on."""
    some = points(60)
    place = SPACE.names.index("rate")
    values = np.sin(6.0 * some[:, place])
    hyperparameters, _ = fit(FEATURES, FEATURES(some), (values - values.mean()) / values.std())
    assert np.argmin(hyperparameters.log_length_scales) == place
    assert hyperparameters.log_noise < math.log(1e-2)


def test_prediction_is_that_of_the_textbook() -> None:
    """Mean and deviation agree with Rasmussen and Williams, equations 2.25 and 2.26."""
    some, others, generator = points(20), points(7, 1), np.random.default_rng(2)
    y = generator.standard_normal(20)
    hyperparameters = Hyperparameters(generator.normal(-0.5, 0.3, FEATURES.parameters), math.log(0.01))
    model = GaussianProcess(FEATURES, hyperparameters, some, y)
    scales, x, z = hyperparameters.log_length_scales, FEATURES(some), FEATURES(others)
    inverse = np.linalg.inv(FEATURES.correlation(x, x, scales) + 0.01 * np.eye(20))
    cross = FEATURES.correlation(z, x, scales)
    mean, deviation = model.predict(others)
    assert mean == pytest.approx(cross @ inverse @ y)
    variance = 1.0 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    assert deviation**2 / model.signal == pytest.approx(variance)


def test_believing_is_observing_what_is_predicted() -> None:
    """Believed points leave predicted means alone and reduce deviations as observations would."""
    some, pending, others = points(20), points(5, 1), points(9, 2)
    y = np.random.default_rng(3).standard_normal(20)
    hyperparameters = Hyperparameters.prior_mode(FEATURES)
    model = GaussianProcess(FEATURES, hyperparameters, some, y)
    before = model.predict(others)
    predicted = model.predict(pending)[0]
    model.believe(pending)
    mean, deviation = model.predict(others)
    observed = GaussianProcess(FEATURES, hyperparameters, np.vstack([some, pending]), np.append(y, predicted))
    assert mean == pytest.approx(before[0])
    assert (deviation < before[1]).all()
    assert deviation**2 / model.signal == pytest.approx(observed.predict(others)[1] ** 2 / observed.signal)


def test_left_out_predicts_each_value_from_the_others() -> None:
    """What is left out of the observations is predicted as by a process that never knew it."""
    some, y = points(9), np.random.default_rng(3).standard_normal(9)
    hyperparameters = Hyperparameters(np.full(FEATURES.parameters, -0.3), math.log(0.05))
    expected = []
    for place in range(9):
        others = np.delete(np.arange(9), place)
        expected.append(
            GaussianProcess(FEATURES, hyperparameters, some[others], y[others]).predict(some[[place]])[0][0]
        )
    assert GaussianProcess(FEATURES, hyperparameters, some, y).left_out(y) == pytest.approx(np.array(expected))
