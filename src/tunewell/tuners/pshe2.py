"""PSHE2: a population of particles that move by Hamiltonian dynamics; `hamiltonian` has the equations.

A particle moves as soon as its own trial has ended, so that its clock t counts its own steps. When all particles are
busy and one more trial is asked for, one more particle is born: parallel trials never wait.

- Categorical parameters are copied from the particle's best or the best of all, the surer the older the particle is,
  or drawn again. A parameter that a move switches on starts without momentum.
- A failure of the training itself changes no best point and turns the particle's momentum round; after accidents of
  the machine the particle goes on as if nothing had been tried.
- `faithful`: one proposal, with PaddleHub's constants. Else many proposals with varied constants, each keeping some
  coordinates of the best point, of which the most promising is taken: that with the largest expected improvement under
  the Gaussian process of Bayesian search, as it is before it was fitted. There, too, a failure that may be chance says
  nothing about the loss where other trials let success be expected.

A particle knows its trials; its best point, the best of all and its age follow from their outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.designs import start
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.fresh import Fresh
from tunewell.tuners.hamiltonian import StepConstants, disturb, exchange_categories, hamiltonian_step
from tunewell.tuners.output_warp import warp

#: Particles, of the faithful kind and of the other: measured.
FAITHFUL_POPULATION, POPULATION = 5, 10
#: Ranges of the constants that proposals vary.
ALPHAS, EPSILONS, WEIGHTS = (0.1, 0.8), (0.0, 0.2), (0.0, 2.0)
#: How likely a proposal keeps a coordinate of the best point.
KEPT = 0.5
#: The latest trials that proposals are screened by, beside the best one: bounds the work of a proposal.
MOST_OBSERVATIONS = 300
#: Constant of the losses' warp (see `output_warp`).
FLOOR = 0.1
#: Fewest observations that make a model.
_FEWEST = 2
#: Rounding errors of positions on their way through a configuration.
_SAME = 1e-6
#: Streams of random numbers.
_DESIGN, _MOVE = 1, 2


@dataclass(slots=True, eq=False)
class Particle:
    """Where a particle is, or is being tried, and how it got there."""

    position: Array
    momentum: Array
    #: Its trials, in order; the last one may be pending.
    trials: list[int]


class Pshe2Tuner(Tuner):
    """Moves particles towards their own best points and the best of all, with momentum and disturbance."""

    name: ClassVar[str] = "pshe2"
    version: ClassVar[int] = 3

    def __init__(
        self, search: Search, *, population_size: int | None = None, proposals: int = 100, faithful: bool = False
    ) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            population_size: number of particles, as long as no more trials are asked for at once; None: 10, or 5 if
                `faithful`.
            proposals: moves that are screened for one trial, unless `faithful`.
            faithful: take PaddleHub's constants and no screening.
        """
        super().__init__(search)
        self._encoding = Encoding(self.space)
        self._faithful = faithful
        self._population = population_size or (FAITHFUL_POPULATION if faithful else POPULATION)
        self._proposals = proposals
        self._fresh = Fresh(self.space)
        self._points: dict[int, Array] = {}
        #: Trial number → loss to be minimised; infinite for failures that teach.
        self._losses: dict[int, float] = {}
        self._particles: list[Particle] = []
        self._design = start(self.generator(0, _DESIGN), self._population, self.space)

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Let the particle move that has waited for longest, or a new one begin."""
        particle, best = self._turn(), self._best(self._losses)
        if particle is None or best is None:
            positions, origin = self._start(number), "spread out"
        else:
            positions, _ = self._moves(particle, best, number)
            positions, origin = positions[self._ranked(positions)], "moved"
        for position in positions:
            configuration = self._encoding.decode(position)
            if self._fresh.is_new(configuration):
                return Suggestion(number, configuration, origin)
        anything = self._fresh.draw(self.generator(number))
        return Exhausted() if anything is None else Suggestion(number, anything, "random")

    def accept(self, suggestion: Suggestion) -> None:
        """Put the particle where it is being tried; its momentum is that of the move, 0 after any other change."""
        number, position = suggestion.number, self._encoding.encode(suggestion.parameters)
        particle, best = self._turn(), self._best(self._losses)
        momentum = np.zeros(len(position))
        if particle is None:
            self._particles.append(Particle(position, momentum, [number]))
        else:
            if best is not None:
                positions, momenta = self._moves(particle, best, number)
                same = np.isclose(positions, position, rtol=0, atol=_SAME, equal_nan=True).all(axis=1)
                if same.any():
                    momentum = np.where(np.isnan(position), 0.0, momenta[same.argmax()])
            particle.position, particle.momentum = position, momentum
            particle.trials.append(number)
        self._points[number] = position
        self._fresh.note(suggestion.parameters)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take the objective as loss, or a failure of the training itself as infinite loss."""
        self._losses.pop(suggestion.number, None)
        loss = self.loss(outcome)
        if loss is not None:
            self._losses[suggestion.number] = loss

    def _turn(self) -> Particle | None:
        """Return the idle particle with the fewest trials; None if a new one is to begin."""
        idle = [particle for particle in self._particles if particle.trials[-1] not in self.pending]
        if len(self._particles) < self._population or not idle:
            return None
        return min(idle, key=lambda particle: len(particle.trials))

    def _best(self, numbers: Iterable[int]) -> int | None:
        """Return the trial with the lowest loss, the latest of equal ones; None if none has succeeded."""
        finite = [number for number in numbers if math.isfinite(self._losses.get(number, math.inf))]
        return min(finite, key=lambda number: (self._losses[number], -number), default=None)

    def _start(self, number: int) -> Array:
        """Return where a new particle begins (1, d): spread evenly, or, if `faithful`, around the default."""
        if self._faithful:
            noise = self.generator(number, _MOVE).uniform(-1, 1, len(self.space))
            centre = np.nan_to_num(self._encoding.encode(self.space.default() or {}), nan=0.5)
            return np.asarray(disturb(centre, noise)[None])
        place = len(self._particles)
        if place < len(self._design):
            return self._design[place : place + 1]
        return self.generator(number, _MOVE).random((1, len(self.space)))

    def _moves(self, particle: Particle, best: int, number: int) -> tuple[Array, Array]:
        """Return proposals for trial `number`: where the particle may go (m, d), snapped, and its momenta (m, d)."""
        generator = self.generator(number, _MOVE)
        m, d = 1 if self._faithful else self._proposals, len(self.space)
        own, leader = self._best(particle.trials), self._points[best]
        own_best = leader if own is None else self._points[own]
        failed = self._losses.get(particle.trials[-1]) == math.inf
        step, noise = len(particle.trials), generator.uniform(-1, 1, (m, d))
        start, momentum = particle.position, -particle.momentum if failed else particle.momentum
        constants = StepConstants() if self._faithful else _varied_constants(generator, m)
        positions, momenta = hamiltonian_step(start, momentum, own_best, leader, step, noise, constants)
        categories = exchange_categories(np.broadcast_to(start, (m, d)), own_best, leader, step, generator)
        positions = np.where(self._encoding.categorical, categories, positions)
        if not self._faithful:
            kept = (generator.random((m, d)) < KEPT) & ~np.isnan(leader)
            positions = np.where(kept, leader, positions)
        return self._encoding.snap(positions), momenta

    def _ranked(self, positions: Array) -> list[int]:
        """Return the places of positions (m, d), the most promising first.

        Pending trials count as predicted, and so do accidents, lest the same places be moved to again and again.
        Fitting the process at each proposal costs ten times as much and finds no better configurations.
        """
        # SciPy takes half a second to import: commands that propose nothing should not wait for it.
        from tunewell.tuners.acquisition import log_expected_improvement
        from tunewell.tuners.feasibility import Feasibility
        from tunewell.tuners.gaussian_process import Features, GaussianProcess, Hyperparameters

        best = self._best(self._losses)
        latest = sorted(self._losses)[-MOST_OBSERVATIONS:]
        numbers = latest if best is None or best in latest else [best, *latest]
        if len(positions) == 1 or len(numbers) < _FEWEST:
            return list(range(len(positions)))
        points = np.array([self._points[number] for number in numbers])
        losses = np.array([self._losses[number] for number in numbers])
        features = Features(self._encoding)
        hyperparameters = Hyperparameters.prior_mode(features)
        chance = np.array([self.may_be_chance(number) for number in numbers])
        if chance.any():
            chance &= Feasibility(self._encoding, hyperparameters, points, np.isfinite(losses)).surprises()
        others = [number for number in self._points if number not in self._losses][-MOST_OBSERVATIONS:]
        believed = np.array([self._points[number] for number in others]).reshape(-1, len(self.space))
        values, _ = warp(losses[~chance], FLOOR)
        model = GaussianProcess(features, hyperparameters, points[~chance], values)
        model.believe(np.vstack([believed, points[chance]]))
        score = log_expected_improvement(*model.predict(positions), float(values.min()))
        order: list[int] = np.argsort(-score, kind="stable").tolist()
        return order


def _varied_constants(generator: np.random.Generator, m: int) -> StepConstants:
    """Return constants (m, 1) for m proposals."""
    return StepConstants(
        alpha=generator.uniform(*ALPHAS, (m, 1)),
        epsilon=generator.uniform(*EPSILONS, (m, 1)),
        own_weight=generator.uniform(*WEIGHTS, (m, 1)),
        best_weight=generator.uniform(*WEIGHTS, (m, 1)),
    )
