"""Bayesian optimisation with a Gaussian process over mixed and conditional spaces."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np

from tunewell.spec.space import Choice, Configuration, SearchSpace, key
from tunewell.spec.states import DETERMINISTIC_CAUSES
from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.feasibility import log_feasibility
from tunewell.tuners.fresh import Fresh

RANDOM_SHARE = 0.07
INCUMBENTS = 5
MOST_MODELLED = 400
MOST_FITTED = 150
WARP = "log"
WARP_FLOOR = 1e-2
FEAS_POWER = 1.0
COVER = 1
CENTRE = False
_DESIGN, _MODEL = 1, 2


class BayesianTuner(Tuner):
    name: ClassVar[str] = "bayesian"
    version: ClassVar[int] = 2

    def __init__(self, search: Search, *, initial_trials: int = 8) -> None:
        super().__init__(search)
        self._space = _canonical(self.space)
        self._encoding = Encoding(self._space)
        self._fresh = Fresh(self._space)
        self._points: dict[int, Array] = {}
        self._losses: dict[int, float] = {}
        self._design = self._spread_out(initial_trials)
        self._fitted = None

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        place = number - 1 - len(self.initial)
        configuration: Configuration | None = None
        origin = "spread out"
        if place < len(self._design):
            configuration = self._encoding.decode(self._design[place])
        elif self._losses and self.generator(number).random() >= RANDOM_SHARE:
            configuration, origin = self._from_model(number), "model"
        if configuration is None or not self._fresh.is_new(configuration):
            configuration, origin = self._fresh.draw(self.generator(number)), "random"
        return Exhausted() if configuration is None else Suggestion(number, configuration, origin)

    def accept(self, suggestion: Suggestion) -> None:
        self._fresh.note(suggestion.parameters)
        self._points[suggestion.number] = self._encoding.encode(suggestion.parameters)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        self._losses.pop(suggestion.number, None)
        if outcome.cause in DETERMINISTIC_CAUSES:
            self._losses[suggestion.number] = math.inf
        elif outcome.objective is not None and math.isfinite(outcome.objective):
            self._losses[suggestion.number] = (
                outcome.objective if self.search.goal == "minimize" else -outcome.objective
            )

    def _spread_out(self, size: int) -> Array:
        generator = self.generator(0, _DESIGN)
        d = len(self._space)
        parents = {c.parent for p in self._space for c in p.when}
        top = [self._space[n].size or 0 for n in parents if not self._space[n].when]
        size = max([size, *(COVER * k for k in top)])
        slices = np.array([generator.permutation(size) for _ in self._space]).T.reshape(size, d)
        design = (slices + generator.random(d)) / size
        if CENTRE:
            design[0, ~self._encoding.categorical] = 0.5
        return design

    def _from_model(self, number: int) -> Configuration | None:
        # SciPy takes half a second to import: commands that search nothing should not wait for it.
        from tunewell.tuners.acquisition import log_expected_improvement, search
        from tunewell.tuners.gaussian_process import Features, GaussianProcess

        generator = self.generator(number, _MODEL)
        points = np.array([self._points[known] for known in self._losses])
        losses = np.array(list(self._losses.values()))
        fit_n = _round(len(losses))
        hyper = self._hyper(points[:fit_n], losses[:fit_n])
        keep = _subset(losses, MOST_MODELLED)
        points, losses = points[keep], losses[keep]
        features = Features(self._encoding)
        succeeded = np.isfinite(losses)
        members = []
        for weight, h, floor in hyper:
            y = warp(losses, floor)[0]
            model = GaussianProcess(features, h, points, y)
            if self.pending:
                model.believe(np.array([self._points[known] for known in self.pending]))
            members.append((weight, model, y.min() if BEST == "observed" else model.predict(points)[0].min()))

        def score(candidates: Array) -> Array:
            value = np.zeros(len(candidates))
            for weight, model, best in members:
                mean, deviation = model.predict(candidates)
                value += weight * log_expected_improvement(mean, deviation, best)
                if not succeeded.all() and FEAS_POWER:
                    value += weight * FEAS_POWER * log_feasibility(model.correlation(candidates, points), succeeded)
            return value

        incumbents = points[np.argsort(losses, kind="stable")[:INCUMBENTS]]
        for point in search(score, self._encoding, incumbents, generator):
            configuration = self._encoding.decode(point)
            if self._fresh.is_new(configuration):
                return configuration
        return None

    def _hyper(self, points, losses):
        from tunewell.tuners.gaussian_process import Features, fit

        if self._fitted is not None and np.array_equal(self._fitted[0], points, equal_nan=True) and np.array_equal(self._fitted[1], losses):
            return self._fitted[2]
        keep = _subset(losses, MOST_FITTED)
        features = Features(self._encoding)
        fits = []
        for floor in FLOORS:
            z, jac = warp(losses[keep], floor)
            h = fit(features, features(points[keep]), z)
            fits.append((h.nlp + jac + FLOOR_PRIOR * math.log(floor / FLOORS[0]) , h, floor))
        lowest = min(f[0] for f in fits)
        w = np.exp(-TEMPER * (np.array([f[0] for f in fits]) - lowest))
        w /= w.sum()
        hyper = [(float(wk), h, fl) for wk, (_, h, fl) in zip(w, fits) if wk > 0.05]
        self._fitted = points, losses, hyper
        return hyper


BEST = "observed"
REFIT = 1.0


def _round(n):
    step = 1 << max(0, n.bit_length() - 6)   # n<64: 1, <128: 2, <256: 4
    return n - n % step if REFIT else n


FLOORS = (0.01, 0.1, 1.0)
FLOOR_PRIOR = 0.0
TEMPER = 1.0
MID = True


def warp(losses, floor):
    ok = np.isfinite(losses)
    if not ok.any():
        return np.zeros(len(losses)), 0.0
    losses = np.where(ok, losses, losses[ok].max())
    low, high, mid = losses.min(), losses.max(), np.median(losses)
    if low == high:
        return np.zeros(len(losses)), 0.0
    s = ((mid - low) if MID else 0) or (high - low)
    z = np.log((losses - low) / s + floor)
    sd = z.std()
    return (z - z.mean()) / sd, z.sum() + len(z) * math.log(sd)


def _subset(losses, size):
    if len(losses) <= size:
        return np.arange(len(losses))
    best = np.argsort(losses, kind="stable")[: size // 2]
    rest = np.setdiff1d(np.arange(len(losses)), best)[-(size - len(best)) :]
    return np.sort(np.append(best, rest))


def _canonical(space: SearchSpace) -> SearchSpace:
    return SearchSpace(
        tuple(replace(p, values_=tuple(sorted(p.values_, key=repr))) if isinstance(p, Choice) and not p.ordered else p for p in space)
    )
