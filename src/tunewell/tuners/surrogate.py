"""The model of Bayesian search: Gaussian processes over differently warped losses, averaged by their likelihood.

Symbols: n observations, m candidates, d parameters. Which warp suits the losses is uncertain while there are few;
each warp has a Gaussian process of its own, and the logarithms of their expected improvements are averaged with the
posterior probabilities of the warps (Hoeting et al. 1999, "Bayesian Model Averaging", equation 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.tuners.acquisition import log_expected_improvement
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.gaussian_process import Features, GaussianProcess, Hyperparameters, fit
from tunewell.tuners.output_warp import FLOORS, drop, warp

#: Warps that are less probable than this are not worth the time.
LEAST_PROBABILITY = 0.05
#: Functions that are drawn to estimate a probability.
DRAWS = 400


@dataclass(frozen=True)
class Member:
    """One of the averaged models."""

    #: Constant of its output warp.
    floor: float
    #: Posterior probability.
    probability: float
    #: Of its Gaussian process.
    hyperparameters: Hyperparameters


def fit_members(encoding: Encoding, points: Array, losses: Array) -> list[Member]:
    """Return the models that are probable given losses (n,), infinite for failures, at points (n, d)."""
    features = Features(encoding)
    x = features(points)
    fits = []
    for floor in FLOORS:
        values, log_jacobian = warp(losses, floor)
        hyperparameters, negative_log_posterior = fit(features, x, values)
        fits.append((floor, hyperparameters, negative_log_posterior + log_jacobian))
    energies = np.array([energy for _, _, energy in fits])
    probabilities = np.exp(energies.min() - energies)
    probabilities /= probabilities.sum()
    return [
        Member(floor, probability, hyperparameters)
        for (floor, hyperparameters, _), probability in zip(fits, probabilities.tolist(), strict=True)
        if probability >= LEAST_PROBABILITY
    ]


class Surrogate:
    """The averaged model, given fitted members and observations."""

    def __init__(
        self, encoding: Encoding, members: Sequence[Member], points: Array, losses: Array, pending: Array
    ) -> None:
        """Condition on losses (n,), infinite for failures, at points (n, d), believing in points (k, d) pending."""
        features, tried = Features(encoding), np.vstack([points, pending])
        self._losses, self._floors = losses, [member.floor for member in members]
        self._models: list[tuple[float, GaussianProcess, float]] = []
        for member in members:
            values, _ = warp(losses, member.floor)
            model = GaussianProcess(features, member.hyperparameters, points, values)
            model.believe(pending)
            # Not the lowest value: under noise that is luck, which no configuration would improve on.
            best = float(model.predict(tried)[0].min())
            self._models.append((member.probability, model, best))

    def log_improvement(self, candidates: Array) -> Array:
        """Return the averaged logarithm of the expected improvement (m,) at candidates (m, d)."""
        result = np.zeros(len(candidates))
        for probability, model, best in self._models:
            mean, deviation = model.predict(candidates)
            result += probability * log_expected_improvement(mean, deviation, best)
        return result

    def probability_of_gain(self, candidates: Array, least: float, generator: np.random.Generator) -> float:
        """Return the averaged probability that the function is better somewhere at candidates (m, d) than the best.

        Better means by more than `least`, in units of the losses, and by more than the noise.
        """
        result = total = 0.0
        for (probability, model, best), floor in zip(self._models, self._floors, strict=True):
            margin = max(drop(self._losses, floor, least), model.noise_deviation)
            lowest = model.sample(candidates, DRAWS, generator).min(axis=1)
            result += probability * float(np.mean(lowest < best - margin))
            total += probability
        return result / total
