"""What earlier searches say about a new one: a trend that the model of its losses starts from.

A Gaussian process per source, fitted to its normal scores, never saw the new search. So the rank correlation of its
predictions with the observed values is an honest measure of what it is worth here; it becomes the source's weight. A
source with a correlation of 0 or less has no weight. The model proper describes what the trend leaves over (Golovin et
al. 2017, "Google Vizier", "stacked" Gaussian processes).

Symbols: S sources, n observations, m points, d parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.gaussian_process import Features, GaussianProcess, fit
from tunewell.tuners.ranks import correlation, normal_scores
from tunewell.tuners.sources import Source

#: So many observations halve what a correlation counts.
CAUTION = 2.0
#: Least standard deviation of a prediction over the observations that is told from none.
_LEAST_DEVIATION = 0.1


@dataclass(frozen=True)
class Trend:
    """Expected values of a new search: a constant, and the sources' predictions times their weights."""

    #: (S,).
    weights: Array
    constant: float

    def __call__(self, predictions: Array) -> Array:
        """Return the expected values (n,), given the predictions (S, n) of the sources."""
        return self.weights @ predictions + self.constant


class Prior:
    """The models of all sources."""

    def __init__(self, encoding: Encoding, sources: Sequence[Source]) -> None:
        """Fit a Gaussian process to each source."""
        features = Features(encoding)
        self._dimensions = len(encoding.sizes)
        self._models = []
        for source in sources:
            points = np.array([encoding.encode(trial.parameters) for trial in source.trials])
            scores = np.array([trial.score for trial in source.trials])
            hyperparameters, _ = fit(features, features(points), scores)
            self._models.append(GaussianProcess(features, hyperparameters, points, scores))

    def predict(self, points: Array) -> Array:
        """Return the mean scores (S, m) that the sources expect at points (m, d); further columns don't count."""
        known = points[:, : self._dimensions]
        return np.array([model.predict(known)[0] for model in self._models]).reshape(len(self._models), len(points))


def fit_trend(predictions: Array, values: Array) -> Trend:
    """Return how far to trust the sources' predictions (S, n) of standardised values (n,).

    Their average, weighted by rank correlation, is regressed on the values, the slope shrunk: by the number of
    observations, and where predictions hardly differ.
    """
    count, scores = len(values), normal_scores(values)
    correlations = np.array([max(0.0, correlation(normal_scores(p), scores)) for p in predictions])
    if not correlations.any():
        return Trend(np.zeros(len(predictions)), 0.0)
    shares = correlations / correlations.sum()
    average = shares @ predictions
    deviation = float(average.std())
    slope = max(0.0, correlation(normal_scores(average), scores)) * float(values.std())
    slope *= deviation / (deviation**2 + _LEAST_DEVIATION**2) * count / (count + CAUTION)
    return Trend(slope * shares, -slope * float(average.mean()))
