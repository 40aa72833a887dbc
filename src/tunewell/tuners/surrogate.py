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
from tunewell.tuners.prior import Prior, Trend, fit_trend

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
    #: What the Gaussian process starts from.
    trend: Trend
    #: Of its Gaussian process.
    hyperparameters: Hyperparameters


def fit_members(encoding: Encoding, prior: Prior, points: Array, losses: Array) -> list[Member]:
    """Return the models that are probable given losses (n,), infinite for failures, at points (n, d)."""
    features = Features(encoding)
    x, predictions = features(points), prior.predict(points)
    fits = []
    for floor in FLOORS:
        values, log_jacobian = warp(losses, floor)
        trend = fit_trend(predictions, values)
        hyperparameters, negative_log_posterior = fit(features, x, values - trend(predictions))
        fits.append((floor, trend, hyperparameters, negative_log_posterior + log_jacobian))
    energies = np.array([energy for *_, energy in fits])
    probabilities = np.exp(energies.min() - energies)
    probabilities /= probabilities.sum()
    return [
        Member(floor, probability, trend, hyperparameters)
        for (floor, trend, hyperparameters, _), probability in zip(fits, probabilities.tolist(), strict=True)
        if probability >= LEAST_PROBABILITY
    ]


class Surrogate:
    """The averaged model, given fitted members and observations."""

    def __init__(
        self,
        encoding: Encoding,
        prior: Prior,
        members: Sequence[Member],
        points: Array,
        losses: Array,
        pending: Array,
        goals: Array,
    ) -> None:
        """Condition on losses (n,), infinite for failures, at points (n, d), believing in points (k, d) pending.

        Improvement counts from the best of `goals` (n + k, d): points and pending ones, trained in full.
        """
        features, tried = Features(encoding), np.vstack([points, pending])
        predictions = prior.predict(tried)
        self._prior, self._losses = prior, losses
        self._models: list[tuple[Member, GaussianProcess, float]] = []
        for member in members:
            values, _ = warp(losses, member.floor)
            trend = member.trend(predictions)
            residuals = values - trend[: len(points)]
            model = GaussianProcess(features, member.hyperparameters, points, residuals)
            model.believe(pending)
            # Not the lowest value: under noise that is luck, which no configuration would improve on.
            best = float((model.predict(goals)[0] + trend).min())
            self._models.append((member, model, best))

    def log_improvement(self, candidates: Array) -> Array:
        """Return the averaged logarithm of the expected improvement (m,) at candidates (m, d)."""
        result = np.zeros(len(candidates))
        predictions = self._prior.predict(candidates)
        for member, model, best in self._models:
            mean, deviation = model.predict(candidates)
            result += member.probability * log_expected_improvement(mean + member.trend(predictions), deviation, best)
        return result

    def probability_of_gain(self, candidates: Array, least: float, generator: np.random.Generator) -> float:
        """Return the averaged probability that the function is better somewhere at candidates (m, d) than the best.

        Better means by more than `least`, in units of the losses, and by more than the noise.
        """
        result = total = 0.0
        predictions = self._prior.predict(candidates)
        for member, model, best in self._models:
            margin = max(drop(self._losses, member.floor, least), model.noise_deviation)
            drawn = model.sample(candidates, DRAWS, generator) + member.trend(predictions)
            result += member.probability * float(np.mean(drawn.min(axis=1) < best - margin))
            total += member.probability
        return result / total
