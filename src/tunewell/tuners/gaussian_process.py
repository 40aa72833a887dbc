"""Gaussian process regression over mixed and conditional spaces.

Sources: Rasmussen, Williams 2006, "Gaussian Processes for Machine Learning" (chapters 2, 4 and 5); Levesque et al.
2017, "Bayesian Optimization for Conditional Hyperparameter Spaces" (inactive parameters).

Symbols: n observations, m points to be predicted, p parameters that vary; X (n, p) features, y (n,) standardised
values, ℓ (p,) length scales, η noise as a share of the signal variance s².

The kernel is s² k(r), k the Matérn-5/2 function, r² = Σ_j δ_j / ℓ_j², where δ_j compares parameter j of two points:
the squared difference of positions in the unit cube; for categories 0 or 1, "inactive" being one more category. An
inactive ordered parameter stands in the middle of its range. Every δ_j is a squared Euclidean distance (of categories,
between the corners of a simplex), so the kernel is positive definite (Schoenberg 1938).

The signal variance is integrated out: s² ~ InverseGamma(a, a) makes the values Student-t distributed, with
-log p(y) = (a + n/2) log(a + yᵀC⁻¹y / 2) + ½ log|C| + const, C = k(X, X) + η I. Length scales and noise maximise this
with the logs of ℓ and η normally distributed beforehand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.threads import on_one_thread

Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

#: Least mean of log ℓ, positions in the unit cube, and its standard deviation: half of the range is a typical length.
LENGTH_SCALE_PRIOR = (math.log(0.5), 1.0)
#: Sum of δ between two random points, from which on lengths grow with it: that of eight continuous parameters. Else all
#: points of a large space would be strangers to each other, and nothing be learned from any (Hvarfner et al. 2024,
#: "Vanilla Bayesian Optimization Performs Great in High Dimensions").
TYPICAL_DISTANCE = 8 / 6
#: Mean and standard deviation of log η.
NOISE_PRIOR = (math.log(1e-3), 2.0)
#: Shape and rate of the prior of the signal variance.
SIGNAL_PRIOR = 2.0
_LENGTH_SCALE_RANGE = (math.log(0.01), math.log(100.0))
_NOISE_RANGE = (math.log(1e-6), math.log(1.0))
_MOST_ITERATIONS = 40
_SQRT5 = math.sqrt(5.0)


class Features:
    """The varying parameters of points: positions of ordered ones, places of categories (-1: inactive)."""

    def __init__(self, encoding: Encoding) -> None:
        """Lay out a column for each parameter that varies."""
        self._varying = np.flatnonzero(encoding.sizes != 1)
        self._sizes = encoding.sizes[self._varying]
        self._categorical = encoding.categorical[self._varying]
        #: Number of columns.
        self.parameters = len(self._varying)
        distance = float(self._mean_distances(encoding.activity()[self._varying]).sum())
        #: Mean of log ℓ beforehand.
        self.log_length_scale = LENGTH_SCALE_PRIOR[0] + 0.5 * math.log(max(1.0, distance / TYPICAL_DISTANCE))

    def __call__(self, points: Array) -> Array:
        """Return the features (n, p) of points (n, d)."""
        positions = points[:, self._varying]
        categories = np.where(np.isnan(positions), -1.0, np.floor(np.nan_to_num(positions) * self._sizes))
        return np.where(self._categorical, categories, np.where(np.isnan(positions), 0.5, positions))

    def distances(self, x: Array, pairs: Pairs) -> Array:
        """Return δ (p, k) of each parameter between k pairs of rows of x (n, p)."""
        first, second = x[pairs[0]].T, x[pairs[1]].T
        return np.where(self._categorical[:, None], first != second, (first - second) ** 2)

    def _mean_distances(self, active: Array) -> Array:
        """Return the mean of δ (p,) between two random points, given how probable it is to be active (p,)."""
        same = active**2 / np.maximum(self._sizes, 1) + (1 - active) ** 2
        # Uniform positions differ by 1/6 in the square; from the middle, where inactive ones are, by 1/12.
        return np.where(self._categorical, 1 - same, active / 6)

    def correlation(self, x: Array, z: Array, log_length_scales: Array) -> Array:
        """Return the Matérn-5/2 function (n, m) of the distances between rows of x (n, p) and z (m, p)."""
        scale = np.exp(-log_length_scales)
        ordered = ~self._categorical
        a, b = x[:, ordered] * scale[ordered], z[:, ordered] * scale[ordered]
        squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
        for column in np.flatnonzero(self._categorical).tolist():
            squares += scale[column] ** 2 * (x[:, column, None] != z[:, column])
        r = _SQRT5 * np.sqrt(np.maximum(squares, 0.0))
        return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


@dataclass(frozen=True)
class Hyperparameters:
    """What is fitted to the observations."""

    #: log ℓ, (p,).
    log_length_scales: Array
    #: log η.
    log_noise: float

    @classmethod
    def prior_mode(cls, features: Features) -> Hyperparameters:
        """Return the most probable hyperparameters without data."""
        return cls(np.full(features.parameters, features.log_length_scale), NOISE_PRIOR[0])


@on_one_thread
def fit(features: Features, x: Array, y: Array) -> tuple[Hyperparameters, float]:
    """Return the hyperparameters with the largest posterior density, and its negative logarithm up to a constant.

    L-BFGS from the prior's mode finds them.

    Args:
        features: the layout of the columns of `x`.
        x: features (n, p) of the observations.
        y: values (n,).
    """
    start = Hyperparameters.prior_mode(features)
    if len(y) < 2 or not features.parameters:
        return start, 0.0
    pairs = np.triu_indices(len(y), 1)
    found = minimize(
        negative_log_posterior,
        np.append(start.log_length_scales, start.log_noise),
        args=(features.distances(x, pairs), pairs, y, features.log_length_scale),
        jac=True,
        method="L-BFGS-B",
        bounds=[_LENGTH_SCALE_RANGE] * features.parameters + [_NOISE_RANGE],
        options={"maxiter": _MOST_ITERATIONS, "ftol": 1e-5, "gtol": 1e-2},
    )
    return Hyperparameters(found.x[:-1], float(found.x[-1])), float(found.fun)


def negative_log_posterior(
    theta: Array, distances: Array, pairs: Pairs, y: Array, log_length_scale: float
) -> tuple[float, Array]:
    """Return what `fit` minimises, -log p(y, ℓ, η) + const, and its gradient (p + 1,), at (log ℓ, log η).

    Args:
        theta: (log ℓ, log η), (p + 1,).
        distances: δ (p, k) between all k = n (n - 1) / 2 pairs of observations.
        pairs: the pairs, as indices of the upper triangle of an (n, n) matrix.
        y: values (n,).
        log_length_scale: mean of log ℓ beforehand.
    """
    n = len(y)
    weights = np.exp(-2.0 * theta[:-1])  # 1 / ℓ²
    noise = math.exp(theta[-1])
    r = _SQRT5 * np.sqrt(weights @ distances)
    decay = np.exp(-r)
    correlation = np.zeros((n, n))
    correlation[pairs] = (1.0 + r + r * r / 3.0) * decay
    correlation += correlation.T
    correlation[np.diag_indices(n)] = 1.0 + noise
    factor = cholesky(correlation, lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
    alpha = inverse @ y
    misfit = SIGNAL_PRIOR + 0.5 * float(y @ alpha)
    shape = SIGNAL_PRIOR + 0.5 * n
    value = shape * math.log(misfit) + float(np.log(np.diag(factor)).sum())
    outer = 0.5 * (inverse - (shape / misfit) * np.outer(alpha, alpha))  # dvalue / dC
    slope = (10.0 / 3.0) * outer[pairs] * (1.0 + r) * decay  # both triangles; dk / dr² = -5/6 (1 + √5 r) exp(-√5 r)
    gradient = np.append(weights * (distances @ slope), noise * np.trace(outer))
    deviation = (theta[:-1] - log_length_scale) / LENGTH_SCALE_PRIOR[1]
    noise_deviation = (theta[-1] - NOISE_PRIOR[0]) / NOISE_PRIOR[1]
    value += 0.5 * float(deviation @ deviation + noise_deviation**2)
    gradient[:-1] += deviation / LENGTH_SCALE_PRIOR[1]
    gradient[-1] += noise_deviation / NOISE_PRIOR[1]
    return value, gradient


class GaussianProcess:
    """The posterior, given hyperparameters and observations."""

    @on_one_thread
    def __init__(self, features: Features, hyperparameters: Hyperparameters, points: Array, y: Array) -> None:
        """Condition on values y (n,) at points (n, d)."""
        self._features = features
        self._noise = math.exp(hyperparameters.log_noise)
        self._log_length_scales = hyperparameters.log_length_scales
        self._x = features(points)
        covariance = self._correlation(self._x, self._x) + self._noise * np.eye(len(y))
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        self._alpha = cho_solve((self._factor, True), y, check_finite=False)
        shape = SIGNAL_PRIOR + 0.5 * len(y)
        #: Expected signal variance s².
        self.signal = (SIGNAL_PRIOR + 0.5 * float(y @ self._alpha)) / (shape - 1.0)

    @on_one_thread
    def believe(self, points: Array) -> None:
        """Take what is predicted at points (m, d) for observed ("kriging believer", Ginsbourger et al. 2010).

        Predicted means stay as they are; there is less left to be learned around the points.
        """
        if not len(points):
            return
        x = self._features(points)
        n, m = len(self._x), len(x)
        cross = solve_triangular(self._factor, self._correlation(self._x, x), lower=True, check_finite=False)  # (n, m)
        corner = self._correlation(x, x) + self._noise * np.eye(m) - cross.T @ cross
        extended = np.zeros((n + m, n + m))
        extended[:n, :n] = self._factor
        extended[n:, :n] = cross.T
        extended[n:, n:] = cholesky(corner, lower=True, check_finite=False)
        self._factor, self._x, self._alpha = extended, np.vstack([self._x, x]), np.append(self._alpha, np.zeros(m))

    @on_one_thread
    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean (m,) and standard deviation (m,) of the noise-free function at points (m, d)."""
        cross = self._correlation(self._x, self._features(points))  # (n, m)
        solved = solve_triangular(self._factor, cross, lower=True, check_finite=False)
        variance = self.signal * np.maximum(1.0 - (solved * solved).sum(axis=0), 1e-12)
        return cross.T @ self._alpha, np.sqrt(variance)

    @on_one_thread
    def left_out(self, y: Array) -> Array:
        """Return for each of the values y (n,) conditioned on what the others predict for it: the mean (n,).

        Source: Rasmussen, Williams 2006, equation 5.12.
        """
        inverse = cho_solve((self._factor, True), np.eye(len(y)), check_finite=False)
        return np.asarray(y - self._alpha / np.diag(inverse))

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of the noise of an observation."""
        return math.sqrt(self.signal * self._noise)

    @on_one_thread
    def sample(self, points: Array, draws: int, generator: np.random.Generator) -> Array:
        """Return the noise-free function at points (m, d), drawn jointly so many times: (draws, m)."""
        x = self._features(points)
        cross = self._correlation(self._x, x)  # (n, m)
        solved = solve_triangular(self._factor, cross, lower=True, check_finite=False)
        values, vectors = np.linalg.eigh(self._correlation(x, x) - solved.T @ solved)  # singular where points coincide
        root = vectors * np.sqrt(self.signal * np.maximum(values, 0.0))
        return np.asarray(cross.T @ self._alpha + generator.standard_normal((draws, len(x))) @ root.T)

    def _correlation(self, x: Array, z: Array) -> Array:
        return self._features.correlation(x, z, self._log_length_scales)
