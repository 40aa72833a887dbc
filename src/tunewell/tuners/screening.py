"""A quick judgement of points before they are tried: expected improvement under a small Gaussian process.

Symbols: n observations, m points to be judged, d parameters; points lie in the unit cube, NaN = inactive.

Kernel: Matérn-5/2 of r² = Σ δ / ℓ², δ = (a − b)² for ordered parameters, 0 or 1/2 for categories; an inactive parameter
lies at ½, and 0.1 is added where it is active on one side only. One length scale ℓ for all, the likeliest of a few.
Losses enter as log(0.01 + (loss − best)/(worst − best)), standardised (after HEBO and mlr3mbo, which gain by output
transforms of this kind); infinite ones as the worst.
"""

from __future__ import annotations

import math
from copy import copy
from statistics import NormalDist

import numpy as np

from tunewell.tuners.encoding import Array, Encoding

LENGTH_SCALES = (0.15, 0.3, 0.6, 1.2, 2.4)
_NORMAL = NormalDist()
#: Variance of noise, as a share of the losses' variance.
NOISE = 1e-3


class Screening:
    """A model of the losses at some points, and the score of others."""

    def __init__(self, encoding: Encoding, points: Array, losses: Array) -> None:
        """Fit to points (n, d) with losses (n,), at least one of them finite."""
        self._encoding = encoding
        likelihoods = []
        for length_scale in LENGTH_SCALES:
            self._condition(points, _transformed(losses), length_scale)
            likelihoods.append(-0.5 * self._values @ self._weights - np.log(np.diag(self._root)).sum())
        self._condition(points, _transformed(losses), LENGTH_SCALES[int(np.argmax(likelihoods))])
        self._best = self._values.min()

    def believing(self, points: Array) -> Screening:
        """Return the model as if points (k, d) had turned out as it predicts (Ginsbourger et al. 2010: believer)."""
        if not len(points):
            return self
        believer = copy(self)
        mean, _ = self.predict(points)
        believer._condition(np.vstack([self._points, points]), np.append(self._values, mean), self._length_scale)
        return believer

    def score(self, points: Array) -> Array:
        """Return the logarithm of the expected improvement (m,) at points (m, d)."""
        mean, deviation = self.predict(points)
        return np.asarray(np.log(deviation) + _log_improvement((self._best - mean) / deviation))

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation (m,) of the transformed loss at points (m, d)."""
        covariance = _matern(self._distances(points) / self._length_scale**2)  # (m, n)
        solved = self._inverse_root @ covariance.T  # (n, m)
        return covariance @ self._weights, np.sqrt(np.maximum(1 - (solved**2).sum(axis=0), 1e-9))

    def _condition(self, points: Array, values: Array, length_scale: float) -> None:
        self._points, self._values, self._length_scale = points, values, length_scale
        covariance = _matern(self._distances(points) / length_scale**2) + NOISE * np.eye(len(points))
        self._root = np.linalg.cholesky(covariance)
        self._inverse_root = np.linalg.inv(self._root)
        self._weights = self._inverse_root.T @ (self._inverse_root @ values)

    def _distances(self, points: Array) -> Array:
        """Return Σ δ between points (m, d) and the observations: (m, n)."""
        categorical = self._encoding.categorical
        total = np.zeros((len(points), len(self._points)))
        for place in np.flatnonzero(self._encoding.sizes != 1).tolist():
            a, b = points[:, place, None], self._points[None, :, place]
            gap = np.nan_to_num(a, nan=0.5) - np.nan_to_num(b, nan=0.5)
            total += 0.5 * (np.abs(gap) > 1e-9) if categorical[place] else gap**2
            total += 0.1 * (np.isnan(a) != np.isnan(b))
        return total


def _transformed(losses: Array) -> Array:
    finite = losses[np.isfinite(losses)]
    best, worst = finite.min(), finite.max()
    share = (np.minimum(losses, worst) - best) / (worst - best) if worst > best else np.zeros(len(losses))
    logarithm = np.log(0.01 + share)
    return np.asarray((logarithm - logarithm.mean()) / (logarithm.std() or 1.0))


def _matern(squares: Array) -> Array:
    """Return the Matérn-5/2 kernel of squared distances."""
    r = np.sqrt(5 * squares)
    return np.asarray((1 + r + r * r / 3) * np.exp(-r))


def _log_improvement(z: Array) -> Array:
    """Return log(φ(z) + z Φ(z)), by its asymptote log φ(z) − 2 log|z| far below 0."""
    near = np.maximum(z, -5)
    below = np.array([_NORMAL.cdf(value) for value in near])
    exact = np.log(np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) + near * below)
    asymptote = -0.5 * (z * z + math.log(2 * math.pi)) - 2 * np.log(np.maximum(-z, 1))
    return np.asarray(np.where(z > -5, exact, asymptote))
