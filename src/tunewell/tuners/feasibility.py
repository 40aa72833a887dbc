"""Where trials can be expected not to fail: the probability of success, learned from which ones did.

Source: Rasmussen, Williams 2006, "Gaussian Processes for Machine Learning", section 6.5 (least-squares classification,
squashed by a normal distribution function); Gelbart, Snoek, Adams 2014, "Bayesian Optimization with Unknown
Constraints", arXiv:1403.5607 (expected improvement times the probability of success).

Symbols: n observations, m points to be judged, d parameters. Labels are 1 (success) and -1 (failure); a Gaussian
process of its own models how they deviate from their prior mean: the parameters that decide on failure are not those
that decide on the loss. Its noise leaves room for failures by chance.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.gaussian_process import Features, GaussianProcess, Hyperparameters, fit

Succeeded = npt.NDArray[np.bool_]

#: Least standard deviation of a predicted label: how sure of success or failure one can get.
LEAST_DEVIATION = 0.3


def fit_labels(encoding: Encoding, points: Array, succeeded: Succeeded) -> Hyperparameters:
    """Return what fits the labels of trials that succeeded or not (n,) at points (n, d)."""
    features = Features(encoding)
    if succeeded.all() or not succeeded.any():
        return Hyperparameters.prior_mode(features)
    mean, deviation = _prior(succeeded)
    return fit(features, features(points), (_labels(succeeded) - mean) / deviation)[0]


class Feasibility:
    """The model of success, given fitted hyperparameters and observations."""

    def __init__(
        self, encoding: Encoding, hyperparameters: Hyperparameters, points: Array, succeeded: Succeeded
    ) -> None:
        """Condition on which trials succeeded (n,) at points (n, d)."""
        self._mean, self._deviation = _prior(succeeded)
        self._succeeded = succeeded
        self._remainder = (_labels(succeeded) - self._mean) / self._deviation
        self._model = GaussianProcess(Features(encoding), hyperparameters, points, self._remainder)

    def log_probability(self, candidates: Array) -> Array:
        """Return the logarithm of the probability of success (m,) at candidates (m, d)."""
        mean, deviation = self._model.predict(candidates)
        label = self._mean + self._deviation * mean
        return np.asarray(log_ndtr(label / np.hypot(LEAST_DEVIATION, self._deviation * deviation)))

    def surprises(self) -> Succeeded:
        """Return which of the trials (n,) failed where all others together let success be expected."""
        expected = self._mean + self._deviation * self._model.left_out(self._remainder)
        return np.asarray(~self._succeeded & (expected > 0.0))


def _labels(succeeded: Succeeded) -> Array:
    return np.where(succeeded, 1.0, -1.0)


def _prior(succeeded: Succeeded) -> tuple[float, float]:
    """Return mean and standard deviation of a label by Laplace's rule of succession."""
    share = (int(succeeded.sum()) + 1) / (len(succeeded) + 2)
    return 2.0 * share - 1.0, 2.0 * math.sqrt(share * (1.0 - share))
