"""The distributions that CMA-ES draws from, and how they learn from a ranked generation; immutable.

Source of the Gaussian, with the numbers of its equations: Hansen 2016, "The CMA Evolution Strategy: A Tutorial",
arXiv:1604.00772. Source of the margin: Hamano et al. 2022, "CMA-ES with Margin", arXiv:2205.13482. Source of
the categories and of their margin: Hamano et al. 2024, "CatCMA", arXiv:2405.09962, with a fixed learning rate.

Symbols: n ordered parameters, λ draws of a generation, μ the better half of them, m mean, σ step size, C covariance,
A scales of discrete parameters, y = (x − m)/σ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from tunewell.tuners.encoding import Array
from tunewell.tuners.threads import on_one_thread

_NORMAL = NormalDist()
#: A share on one side of the mean that still leaves the mean within its cell.
_ALMOST_HALF = 0.5 - 1e-9
#: Smallest eigenvalue of the covariance matrix.
_LEAST_VARIANCE = 1e-14
#: Share of the way η that category probabilities go towards the choices of a generation's better half.
CATEGORY_RATE = 0.3
#: How likely a draw may be at most to have its likeliest category in every parameter (CatCMA).
_MOST_DECIDED = 0.73


@dataclass(frozen=True, slots=True)
class Constants:
    """What follows from n and λ alone."""

    population: int
    weights: Array
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    #: E‖N(0, I)‖.
    chi: float

    @classmethod
    def of(cls, n: int, population: int) -> Constants:
        """Work them out for n ≥ 1 parameters and a population λ ≥ 3."""
        mu = population // 2
        raw = math.log((population + 1) / 2) - np.log(np.arange(1, population + 1))  # (49)
        mu_eff = float(raw[:mu].sum() ** 2 / (raw[:mu] ** 2).sum())
        mu_eff_minus = float(raw[mu:].sum() ** 2 / (raw[mu:] ** 2).sum())
        c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)  # (57)
        c_mu = min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))  # (58)
        negative = min(
            1 + c_1 / c_mu,  # (50)
            1 + 2 * mu_eff_minus / (mu_eff + 2),  # (51)
            (1 - c_1 - c_mu) / (n * c_mu),  # (52)
        )
        weights = np.where(raw >= 0, raw / raw[raw > 0].sum(), negative * raw / -raw[raw < 0].sum())  # (53)
        c_sigma = (mu_eff + 2) / (n + mu_eff + 5)  # (55)
        return cls(
            population=population,
            weights=weights,
            mu_eff=mu_eff,
            c_sigma=c_sigma,
            d_sigma=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma,  # (55)
            c_c=(4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),  # (56)
            c_1=c_1,
            c_mu=c_mu,
            chi=math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
        )


@dataclass(frozen=True)
class Gaussian:
    """N(m, σ² C) over the ordered parameters, in the unit cube."""

    mean: Array
    sigma: float
    covariance: Array
    path_sigma: Array
    path_c: Array
    #: Diagonal of A: discrete parameters are drawn wider by this, so that no value dies out.
    scales: Array
    generation: int = 0

    @classmethod
    def start(cls, mean: Array, sigma: float) -> Gaussian:
        """Return an isotropic distribution."""
        n = len(mean)
        return cls(mean, sigma, np.eye(n), np.zeros(n), np.zeros(n), np.ones(n))

    @on_one_thread
    def draw(self, generator: np.random.Generator) -> Array:
        """Return x (n,) ~ N(m, σ² C): (38) to (40)."""
        roots, basis = self.eigen
        return self.mean + self.sigma * basis @ (roots * generator.standard_normal(len(self.mean)))

    def stretched(self, x: Array) -> Array:
        """Return m + A (x − m), where discrete values are read off."""
        return self.mean + self.scales * (x - self.mean)

    @on_one_thread
    def updated(self, constants: Constants, x: Array) -> Gaussian:
        """Return the distribution after a generation x (λ, n), the best first: (41) to (47).

        Points that were not drawn from this very distribution are shortened to the length of usual draws, as in
        Hansen 2011, "Injecting External Solutions Into CMA-ES", arXiv:1110.4181.
        """
        k, n = constants, len(self.mean)
        roots, basis = self.eigen
        inverse_root = basis @ np.diag(1 / roots) @ basis.T  # C^(−1/2)
        y = (x - self.mean) / self.sigma  # (λ, n)
        lengths = np.linalg.norm(y @ inverse_root, axis=1)
        y *= np.minimum(1, (math.sqrt(n) + 2 * n / (n + 2)) / np.maximum(lengths, 1e-12))[:, None]
        positive = np.maximum(k.weights, 0)
        step = positive @ y  # (41)
        path_sigma = (1 - k.c_sigma) * self.path_sigma + math.sqrt(
            k.c_sigma * (2 - k.c_sigma) * k.mu_eff
        ) * inverse_root @ step  # (43)
        length = float(np.linalg.norm(path_sigma))
        usual = math.sqrt(1 - (1 - k.c_sigma) ** (2 * (self.generation + 1))) * (1.4 + 2 / (n + 1)) * k.chi
        straight = length < usual  # h_σ
        path_c = (1 - k.c_c) * self.path_c + straight * math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * step  # (45)
        lengths = np.linalg.norm(y @ inverse_root, axis=1)
        weights = k.weights * np.where(k.weights >= 0, 1, n / np.maximum(lengths**2, 1e-12))  # (46)
        lost = (1 - straight) * k.c_c * (2 - k.c_c)
        covariance = (
            (1 + k.c_1 * lost - k.c_1 - k.c_mu * k.weights.sum()) * self.covariance
            + k.c_1 * np.outer(path_c, path_c)
            + k.c_mu * (y.T * weights) @ y
        )  # (47)
        return replace(
            self,
            mean=np.clip(self.mean + self.sigma * step, 0, 1),  # (42), within the cube
            sigma=self.sigma * math.exp(min(1.0, k.c_sigma / k.d_sigma * (length / k.chi - 1))),  # (44)
            covariance=(covariance + covariance.T) / 2,
            path_sigma=path_sigma,
            path_c=path_c,
            generation=self.generation + 1,
        )

    def with_margin(self, cells: dict[int, tuple[float, float]], margin: float) -> Gaussian:
        """Return the distribution with at least probability `margin` outside of the cells that the mean lies in.

        Args:
            cells: lower and upper end of the mean's cell for each discrete parameter, by place; at the ends of the
                scale the cell is open.
            margin: α of the source, below 1/2.
        """
        mean, scales = self.mean.copy(), self.scales.copy()
        deviations = self.sigma * np.sqrt(np.diag(self.covariance))
        for place, (lower, upper) in cells.items():
            deviation = scales[place] * deviations[place]
            if lower <= 0 or upper >= 1:  # a neighbour on one side only: move the mean towards it
                reach = _NORMAL.inv_cdf(1 - margin) * deviation
                nearest, farthest = (upper - reach, math.inf) if lower <= 0 else (-math.inf, lower + reach)
                mean[place] = min(max(mean[place], nearest), farthest)
                continue
            below = _NORMAL.cdf((lower - mean[place]) / deviation)
            above = _NORMAL.cdf((mean[place] - upper) / deviation)
            low, high = max(below, margin / 2), max(above, margin / 2)
            excess = (below + above - low - high) / (1 - below - above + low + high - 1.5 * margin)
            low, high = low + excess * (low - margin / 2), high + excess * (high - margin / 2)
            a, b = (_NORMAL.inv_cdf(1 - min(share, _ALMOST_HALF)) for share in (low, high))
            mean[place] = (lower * b + upper * a) / (a + b)
            scales[place] = (upper - lower) / (a + b) / deviations[place]
        return replace(self, mean=mean, scales=scales)

    @cached_property
    @on_one_thread
    def eigen(self) -> tuple[Array, Array]:
        """The square roots (n,) of the eigenvalues of C, and its eigenvectors as columns (n, n)."""
        values, basis = np.linalg.eigh(self.covariance)
        return np.sqrt(np.maximum(values, _LEAST_VARIANCE)), basis


@dataclass(frozen=True, slots=True)
class Categories:
    """Independent probabilities of the values of each categorical parameter."""

    probabilities: tuple[Array, ...]

    @classmethod
    def start(cls, sizes: Sequence[int]) -> Categories:
        """Return equal probabilities."""
        return cls(tuple(np.full(size, 1 / size) for size in sizes))

    def draw(self, generator: np.random.Generator) -> Array:
        """Return one index for each parameter (k,)."""
        uniform = generator.random(len(self.probabilities))
        chosen = [int((np.cumsum(q)[:-1] <= r).sum()) for q, r in zip(self.probabilities, uniform, strict=True)]
        return np.array(chosen, dtype=float)

    def updated(self, constants: Constants, chosen: Array) -> Categories:
        """Return the probabilities after a generation's choices (λ, k), the best first; NaN says nothing.

        q ← q + η Σ w_i (c_i − q), over the better half; then no probability is less than the margin.
        """
        weights = np.maximum(constants.weights, 0)
        found = []
        for place, q in enumerate(self.probabilities):
            one_hot = chosen[:, place, None] == np.arange(len(q))  # (λ, K)
            known = weights * ~np.isnan(chosen[:, place])
            q = q + CATEGORY_RATE * (known @ one_hot - known.sum() * q)
            least = (1 - _MOST_DECIDED ** (1 / len(self.probabilities))) / (len(q) - 1)
            above = np.maximum(q - least, 0)
            found.append(least + above * (1 - len(q) * least) / above.sum())
        return Categories(tuple(found))
