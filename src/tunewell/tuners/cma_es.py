"""CMA-ES for mixed and conditional spaces; `cma_distribution` holds the equations and their sources.

A generation is λ = 4 + ⌊3 ln d⌋ outcomes, in the order in which they are told. Trials that are asked for before they
are all in come from the same distribution, as many as there are: parallel trials never wait.

- Ordered parameters follow a Gaussian in the unit cube; discrete ones are rounded, with a margin (Hamano et al. 2022)
  that keeps their other values possible. Draws outside of the cube are tried on its boundary.
- Categorical parameters follow independent probabilities (a simple form of CatCMA, Hamano et al. 2024).
- Inactive parameters are drawn like the others and have no influence on the loss, so that selection is neutral to them.
- Failures of the training itself rank last; accidents of the machine are left out, and another trial takes the place.
- The search starts around the default configuration, or in the middle. When it has converged it starts again anywhere,
  with λ doubled (IPOP, Auger and Hansen 2005).
- Configurations that were not drawn from the distribution (the first ones, say) are learned from as if they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tunewell.spec.space import Configuration, key
from tunewell.tuners.cma_distribution import Categories, Constants, Gaussian
from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.fresh import Fresh

#: Standard deviation at the start, as a share of each parameter's range.
SIGMA = 0.4
#: How far outside of the cube draws are learned from. On the boundary itself, σ would shrink although the optimum is
#: there; without a limit the distribution can drift away, since all points outside look like the nearest one inside.
OUTSIDE = 0.25
#: Largest standard deviation of a distribution that has converged.
CONVERGED = 1e-3
#: Draws before a configuration that has not been suggested is taken from anywhere.
_DRAWS = 100
#: Streams of random numbers.
_MODEL, _RESTART = 1, 2


@dataclass(frozen=True, slots=True)
class _Draw:
    """What a distribution gave, before it was rounded and clipped."""

    #: Number of the start that the distribution goes back to.
    start: int
    #: Ordered parameters (n,).
    ordered: Array
    #: Index of the category of each categorical parameter (k,), NaN if unknown.
    chosen: Array


@dataclass(frozen=True, slots=True)
class _State:
    """Everything that generations change."""

    constants: Constants
    gaussian: Gaussian
    categories: Categories
    start: int = 0
    #: Best loss of each generation since the start.
    best: tuple[float, ...] = ()


class CmaEsTuner(Tuner):
    """Draws from a distribution that moves, stretches and turns towards the better half of each generation."""

    name: ClassVar[str] = "cmaes"
    version: ClassVar[int] = 2

    def __init__(self, search: Search, *, population_size: int | None = None) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            population_size: λ of the first start; None: 4 + ⌊3 ln d⌋.
        """
        super().__init__(search)
        self._encoding = Encoding(self.space)
        sizes, categorical = self._encoding.sizes, self._encoding.categorical
        self._ordered = np.flatnonzero(~categorical & (sizes != 1))
        self._categorical = np.flatnonzero(categorical & (sizes > 1))
        self._varied = max(len(self._ordered) + len(self._categorical), 1)
        self._fresh = Fresh(self.space)
        #: Draws that no generation has learned from, by trial.
        self._draws: dict[int, _Draw] = {}
        #: Their losses as far as they are known, infinite for failures that teach; in the order of telling.
        self._losses: dict[int, float] = {}
        default = self._encoding.encode(self.space.default() or {})
        mean = np.nan_to_num(default, nan=0.5)[self._ordered]
        self._state = self._started(mean, population_size or 4 + math.floor(3 * math.log(self._varied)), 0)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Draw a configuration that has not been suggested from the present distribution."""
        state, _ = self._learned()
        drawn = self._drawn(state, number)
        if drawn is not None:
            return Suggestion(number, drawn[0], "evolved")
        configuration = self._fresh.draw(self.generator(number))
        return Exhausted() if configuration is None else Suggestion(number, configuration, "random")

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration and the draw that it stands for."""
        self._state, used = self._learned()
        for number in used:
            del self._draws[number], self._losses[number]
        drawn = self._drawn(self._state, suggestion.number)
        known = drawn is not None and key(drawn[0]) == key(suggestion.parameters)
        self._draws[suggestion.number] = (
            drawn[1] if drawn is not None and known else self._as_draw(suggestion.parameters)
        )
        self._fresh.note(suggestion.parameters)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take the objective as loss, or a failure of the training itself as infinite loss.

        A second outcome of a trial whose generation has been learned from comes too late.
        """
        if suggestion.number not in self._draws:
            return
        self._losses.pop(suggestion.number, None)
        loss = self.loss(outcome)
        if loss is not None:
            self._losses[suggestion.number] = loss

    def _learned(self) -> tuple[_State, list[int]]:
        """Return the state after all complete generations, and the trials that are done with."""
        state, used = self._state, []
        waiting = list(self._losses)
        while True:
            stale = [number for number in waiting if self._draws[number].start != state.start]
            waiting = [number for number in waiting if self._draws[number].start == state.start]
            used += stale
            size = state.constants.population
            if len(waiting) < size:
                return state, used
            generation, waiting = waiting[:size], waiting[size:]
            used += generation
            state = self._after(state, generation)
            if self._has_converged(state):
                anywhere = self.generator(state.start, _RESTART).random(len(self._ordered))
                state = self._started(anywhere, 2 * size, state.start + 1)

    def _after(self, state: _State, generation: list[int]) -> _State:
        """Return the state after a generation."""
        losses = np.array([self._losses[number] for number in generation])
        ranked = [self._draws[generation[place]] for place in np.argsort(losses, kind="stable")]
        gaussian = state.gaussian
        if len(self._ordered):
            x = np.clip([draw.ordered for draw in ranked], -OUTSIDE, 1 + OUTSIDE)
            gaussian = self._with_margin(gaussian.updated(state.constants, x), state.constants.population)
        chosen = np.array([draw.chosen for draw in ranked])
        categories = state.categories.updated(state.constants, chosen)
        return replace(state, gaussian=gaussian, categories=categories, best=(*state.best, float(losses.min())))

    def _has_converged(self, state: _State) -> bool:
        """Whether all ordered parameters have settled, or the best losses of the last generations are all the same."""
        n, gaussian = len(self._ordered), state.gaussian
        if n and gaussian.sigma * math.sqrt(np.diag(gaussian.covariance).max()) < CONVERGED:
            return True
        period = 10 + math.ceil(30 * self._varied / state.constants.population)
        return len(state.best) >= period and len(set(state.best[-period:])) == 1

    def _started(self, mean: Array, population: int, start: int) -> _State:
        sizes = self._encoding.sizes[self._categorical].tolist()
        gaussian = self._with_margin(Gaussian.start(mean, SIGMA), population)
        constants = Constants.of(max(len(self._ordered), 1), population)
        return _State(constants, gaussian, Categories.start(sizes), start)

    def _with_margin(self, gaussian: Gaussian, population: int) -> Gaussian:
        """Return the distribution with margin α = 1/(λ d)."""
        cells = {}
        for place, parameter in enumerate(self._ordered.tolist()):
            if self._encoding.sizes[parameter]:
                lower, _, upper = self._encoding.cells(parameter, gaussian.mean[place : place + 1])
                cells[place] = (float(lower[0]), float(upper[0]))
        return gaussian.with_margin(cells, 1 / (population * self._varied))

    def _drawn(self, state: _State, number: int) -> tuple[Configuration, _Draw] | None:
        """Return a new configuration and its draw; None if the distribution gives none."""
        generator = self.generator(number, _MODEL)
        for _ in range(_DRAWS):
            draw = _Draw(state.start, state.gaussian.draw(generator), state.categories.draw(generator))
            configuration = self._configuration(state, draw)
            if self._fresh.is_new(configuration):
                return configuration, draw
        return None

    def _configuration(self, state: _State, draw: _Draw) -> Configuration:
        point = np.full(len(self.space), 0.5)
        point[self._ordered] = np.clip(state.gaussian.stretched(draw.ordered), 0, 1)
        point[self._categorical] = (draw.chosen + 0.5) / self._encoding.sizes[self._categorical]
        return self._encoding.decode(point)

    def _as_draw(self, configuration: Configuration) -> _Draw:
        """Return a draw that stands for any configuration; inactive parameters say nothing."""
        point = self._encoding.encode(configuration)
        ordered, categorical = point[self._ordered], point[self._categorical]
        return _Draw(
            self._state.start,
            np.where(np.isnan(ordered), self._state.gaussian.mean, ordered),
            np.floor(categorical * self._encoding.sizes[self._categorical]),
        )
