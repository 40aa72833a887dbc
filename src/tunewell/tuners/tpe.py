"""Multivariate tree-structured Parzen estimator (TPE).

Sources: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization" (NeurIPS), section 4; Falkner et al.
2018, "BOHB", arXiv:1807.01774 (multivariate kernels); Watanabe 2023, "Tree-Structured Parzen Estimator: Understanding
Its Algorithm Components", arXiv:2304.11127 (γ, weights, prior, least bandwidth).

Symbols: n observations, d parameters, m candidates; points lie in the unit cube (see `encoding`), NaN = inactive.

1. Order the observations by loss; the best k = min(⌈γ n⌉, 25) are *good*, the others *bad* (γ = 0.15).
2. Good ones weigh by their improvement over the best bad one (expected-improvement weights), bad ones equally.
3. Both sets become mixtures l(x) and g(x) of product kernels around their points, plus one uniform kernel, the
   prior: truncated Gaussians for ordered parameters, integrated over the cell of a discrete value; for categories
   the observed value with probability 1 − b. Bandwidth σ = max(0.03, 0.2 n^(−1/(d+4))), n of the set.
4. Draw the values of parameters that others hang on, the *branch*, from l.
5. Draw m candidates from l given the branch; propose the one with the largest l(x | branch)/g(x | branch) that has not
   been suggested.

Deviations: pending trials belong to the bad set only, which keeps parallel proposals apart and lets no guess count as
good. Failures of the training itself belong there, too, from the first on; accidents of the machine are left out. The
good trials around a failure outweigh it, so one that was chance hardly matters. A kernel says nothing (density 1)
about a parameter that is inactive in its observation or in the candidate. So l/g of two branches with different
parameters can't be compared: the one with more of them would win. Hence a branch is drawn from l, where the uniform
kernel keeps all of them in play; the source's choice, the largest l/g at each node, measured worse. The start is a
Latin hypercube. The bandwidth shrinks by Scott's rule, from 0.2 instead of the observations' deviation; the source
recommends hyperopt's, distances between neighbours. More candidates (64 instead of 24) measured better on mixed spaces.
"""

from __future__ import annotations

import copy
import math
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tunewell.spec.space import Configuration
from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.designs import start
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.fresh import Fresh

GAMMA = 0.15
MOST_GOOD = 25
#: The latest bad observations that are modelled: bounds the work of a proposal, however long the search.
MOST_BAD = 500
BANDWIDTH = 0.2
LEAST_BANDWIDTH = 0.03
#: Probability that a categorical kernel gives to all other values together.
OTHER_CATEGORIES = 0.2
#: Fewest observations that make a model.
_FEWEST = 2
#: Streams of random numbers.
_DESIGN, _MODEL = 1, 2


class TpeTuner(Tuner):
    """Proposes where good trials are dense and bad, failed or pending ones are not."""

    name: ClassVar[str] = "tpe"
    version: ClassVar[int] = 4

    def __init__(self, search: Search, *, initial_trials: int = 8, candidates: int = 64) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            initial_trials: size of the initial design, `initial` not counted.
            candidates: points drawn for a proposal.
        """
        super().__init__(search)
        self._encoding = Encoding(self.space)
        self._candidates = candidates
        self._fresh = Fresh(self.space)
        self._points: dict[int, Array] = {}
        #: Trial number → loss to be minimised; infinite for failures that teach.
        self._losses: dict[int, float] = {}
        self._finite = 0
        self._design = start(self.generator(0, _DESIGN), initial_trials, self.space)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Take the next point of the initial design, or ask the model."""
        place = self.place(number)
        configuration: Configuration | None = None
        origin = "spread out"
        if place < len(self._design):
            configuration = self._encoding.decode(self._design[place])
        elif self._finite >= _FEWEST:
            configuration, origin = self._from_model(number), "model"
        if configuration is None or not self._fresh.is_new(configuration):
            configuration, origin = self._fresh.draw(self.generator(number)), "random"
        return Exhausted() if configuration is None else Suggestion(number, configuration, origin)

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration."""
        self._fresh.note(suggestion.parameters)
        self._points[suggestion.number] = self._encoding.encode(suggestion.parameters)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take the objective as loss, or a failure of the training itself as infinite loss."""
        self._finite -= math.isfinite(self._losses.pop(suggestion.number, math.inf))
        loss = self.loss(outcome)
        if loss is not None:
            self._losses[suggestion.number] = loss
            self._finite += math.isfinite(loss)

    def _from_model(self, number: int) -> Configuration | None:
        good, weights, bad = self._split()
        generator = self.generator(number, _MODEL)
        promising = Mixture(self._encoding, good, weights)
        poor = Mixture(self._encoding, bad, np.ones(len(bad)))
        branch = np.full(len(self.space), math.nan)
        if (parents := self._encoding.parents).any():
            branch[parents] = promising.sample(1, generator, branch)[0, parents]
            promising, poor = promising.within(branch), poor.within(branch)
        candidates = promising.sample(self._candidates, generator, branch)  # (m, d) ~ l
        score = promising.log_density(candidates) - poor.log_density(candidates)  # log l(x)/g(x), (m,)
        for place in np.argsort(-score, kind="stable"):
            configuration = self._encoding.decode(candidates[place])
            if self._fresh.is_new(configuration):
                return configuration
        return None

    def _split(self) -> tuple[Array, Array, Array]:
        """Return good points (k, d), their weights (k,) and bad points, pending ones included."""
        numbers = np.array(list(self._losses))
        losses = np.array(list(self._losses.values()))
        order = np.argsort(losses, kind="stable")
        k = min(math.ceil(GAMMA * self._finite), MOST_GOOD)
        best, rest = order[:k], np.sort(order[k:])[-MOST_BAD:]
        threshold = losses[order[min(k, self._finite - 1)]]
        weights = threshold - losses[best]
        if not (weights > 0).any():  # all alike
            weights = np.ones(k)
        bad = [self._points[number] for number in [*numbers[rest].tolist(), *list(self.pending)[-MOST_BAD:]]]
        good = np.array([self._points[number] for number in numbers[best].tolist()])
        return good, weights / weights.sum() * k, np.array(bad).reshape(len(bad), len(self.space))


class Mixture:
    """A density on the unit cube: kernels around points, and the uniform density as one more component."""

    def __init__(self, encoding: Encoding, points: Array, weights: Array) -> None:
        """Take points (n, d) and weights (n,); the uniform component has weight 1."""
        self._encoding = encoding
        self._points = points
        #: Parameters whose density is told: those that can vary, less those that a branch sets.
        self._counted = encoding.sizes != 1
        n, d = points.shape
        self._weights = np.append(weights, 1.0) / (weights.sum() + 1.0)
        self.sigma = max(LEAST_BANDWIDTH, BANDWIDTH * max(n, 1) ** (-1.0 / (d + 4)))

    def within(self, branch: Array) -> Mixture:
        """Return the density of all else, given the values of a branch (d,), NaN where it sets none."""
        found = copy.copy(self)
        log_kernels = self._log_kernels(branch[None], ~np.isnan(branch))[0]
        found._weights = np.exp(log_kernels - log_kernels.max())
        found._weights /= found._weights.sum()
        found._counted = self._counted & np.isnan(branch)
        return found

    def sample(self, m: int, generator: np.random.Generator, branch: Array) -> Array:
        """Draw m points (m, d) of a branch (d,), snapped to discrete values, NaN where inactive."""
        n, d = self._points.shape
        component = generator.choice(n + 1, size=m, p=self._weights)
        centres = np.vstack([self._points, np.full((1, d), math.nan)])[component]  # (m, d); NaN: no opinion
        uniform = generator.random((m, d))
        drawn = _truncated_normal(centres, self.sigma, generator)
        keep = generator.random((m, d)) >= self._resampling()
        drawn = np.where(self._encoding.categorical, np.where(keep, centres, uniform), drawn)
        drawn = np.where(np.isnan(centres), uniform, drawn)
        return self._encoding.snap(np.where(np.isnan(branch), drawn, branch))

    def log_density(self, points: Array) -> Array:
        """Return the log density (m,) at points (m, d), with respect to the uniform density."""
        log_kernels = self._log_kernels(points, self._counted)
        largest = log_kernels.max(axis=1, keepdims=True)
        return np.asarray(np.log(np.exp(log_kernels - largest).sum(axis=1)) + largest[:, 0])

    def _log_kernels(self, points: Array, among: npt.NDArray[np.bool_]) -> Array:
        """Return log weighted kernels (m, n + 1) of some parameters (d,) at points (m, d); the last is uniform."""
        log_kernels = np.zeros((len(points), len(self._points) + 1))
        for place in np.flatnonzero(among).tolist():
            kernel = self._log_kernel(place, points[:, place], self._points[:, place])
            log_kernels[:, :-1] += np.where(np.isnan(kernel), 0.0, kernel)
        with np.errstate(divide="ignore"):
            return np.asarray(log_kernels + np.log(self._weights))

    def _resampling(self) -> Array:
        """Return per parameter (d,) how often a category is drawn again, so that others get OTHER_CATEGORIES in all."""
        sizes = np.maximum(self._encoding.sizes, 2)
        return np.asarray(np.minimum(OTHER_CATEGORIES * sizes / (sizes - 1), 1.0))

    def _log_kernel(self, place: int, x: Array, centres: Array) -> Array:
        """Return the log kernels (m, n) of one parameter; NaN where it is inactive on either side."""
        size = self._encoding.sizes[place]
        if self._encoding.categorical[place]:
            others = min(OTHER_CATEGORIES, (size - 1) / size)
            same = np.abs(x[:, None] - centres) < 1e-9
            kernel = np.where(same, math.log(size * (1 - others)), math.log(size * others / (size - 1)))
            return np.where(np.isnan(x[:, None] + centres), math.nan, kernel)
        mass = normal_cdf((1 - centres) / self.sigma) - normal_cdf(-centres / self.sigma)  # (n,) within the cube
        if not size:
            z = (x[:, None] - centres) / self.sigma
            return np.asarray(-0.5 * z * z - np.log(self.sigma * math.sqrt(2 * math.pi) * mass))
        lower, _, upper = self._encoding.cells(place, x)
        inside = normal_cdf((upper[:, None] - centres) / self.sigma) - normal_cdf(
            (lower[:, None] - centres) / self.sigma
        )
        return np.log(np.maximum(inside / mass / (upper - lower)[:, None], 1e-30))


def normal_cdf(z: Array) -> Array:
    """Return the distribution function of the standard normal, with an absolute error below 1.2e-7.

    Source: the rational Chebyshev approximation of erfc in Press et al., "Numerical Recipes", section 6.2.
    """
    x = np.abs(z) / math.sqrt(2)
    t = 1 / (1 + 0.5 * x)
    series = np.zeros_like(t)
    for coefficient in _ERFC:
        series = coefficient + t * series
    tail = 0.5 * t * np.exp(-x * x + series)
    return np.where(z < 0, tail, 1 - tail)


_ERFC = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)


def _truncated_normal(centres: Array, sigma: float, generator: np.random.Generator) -> Array:
    """Draw from normals around `centres`, in the unit interval, by rejection: at least half of the draws fit."""
    drawn = centres + sigma * generator.standard_normal(centres.shape)
    while (outside := (drawn < 0) | (drawn > 1)).any():
        drawn[outside] = (centres + sigma * generator.standard_normal(centres.shape))[outside]
    return drawn
