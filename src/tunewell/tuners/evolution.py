"""Evolution over full trainings: for trials that can't go on from one another's checkpoints.

A steady-state genetic algorithm with truncation selection: the first trials are spread out; each later one is a
child of two of the best so far, crossed and perturbed. No trial waits for a generation to be complete, so any
number may run at once. Sources: Syswerda 1991, "A Study of Reproduction in Generational and Steady-State Genetic
Algorithms"; Mühlenbein, Schlierkamp-Voosen 1993, "Predictive Models for the Breeder Genetic Algorithm I"
(truncation selection). Population-based training, its sibling, is in `population_based`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import ClassVar

from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.designs import start
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.explore import cross, perturb
from tunewell.tuners.fresh import Fresh

#: Share of the coordinates that a child has from its second parent.
CROSSED = 0.3
#: Children that are bred before one is drawn at random, when all of them have been suggested already.
_LITTERS = 20
_DESIGN, _CHILD = 1, 2


class EvolutionTuner(Tuner):
    """Breeds configurations from the best ones so far."""

    name: ClassVar[str] = "evolutionary"
    version: ClassVar[int] = 2

    def __init__(
        self,
        search: Search,
        *,
        population_size: int = 8,
        disturbance_ratio: float = 0.25,
        random_probability: float = 0.1,
    ) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            population_size: trials that are spread out at first, `search.initial` among them; parents are the best
                `disturbance_ratio` of twice as many.
            disturbance_ratio: see `population_size`.
            random_probability: probability that a coordinate of a child is drawn again.
        """
        super().__init__(search)
        self._breeders = max(2, math.floor(2 * population_size * disturbance_ratio))
        self._random_probability = random_probability
        self._encoding = Encoding(self.space)
        self._fresh = Fresh(self.space)
        size = max(0, population_size - len(self.initial))
        self._design = start(self.generator(0, _DESIGN), size, self.space)
        #: Trial number → loss, of trials with a value; and these, the best first.
        self._losses: dict[int, float] = {}
        self._ranked: list[tuple[float, int]] = []

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Take the next point of the start, or breed."""
        place = self.place(number)
        if place < len(self._design):
            configuration, origin = self._encoding.decode(self._design[place]), "spread out"
            if self._fresh.is_new(configuration):
                return Suggestion(number, configuration, origin)
        elif self._losses:
            child = self._child(number)
            if child is not None:
                return child
        drawn = self._fresh.draw(self.generator(number))
        return Exhausted() if drawn is None else Suggestion(number, drawn, "random")

    def accept(self, suggestion: Suggestion) -> None:
        """Remember the configuration."""
        self._fresh.note(suggestion.parameters)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Take the objective as loss; trials without one have no children."""
        number = suggestion.number
        known = self._losses.pop(number, None)
        if known is not None:
            del self._ranked[bisect_left(self._ranked, (known, number))]
        loss = self.loss(outcome)
        if loss is not None and math.isfinite(loss):
            self._losses[number] = loss
            insort(self._ranked, (loss, number))

    def _child(self, number: int) -> Suggestion | None:
        generator = self.generator(number, _CHILD)
        best = [trial for _, trial in self._ranked[: self._breeders]]
        for _ in range(_LITTERS):
            first, second = (best[place] for place in sorted(generator.integers(len(best), size=2)))
            point = cross(self._point(first), self._point(second), CROSSED, generator)
            child = perturb(self._encoding, point, generator, resample=self._random_probability)
            if self._fresh.is_new(child):
                origin = f"perturbed from trial {first}"
                return Suggestion(number, child, origin if first == second else f"child of trials {first} and {second}")
        return None

    def _point(self, trial: int) -> Array:
        return self._encoding.encode(self.suggestions[trial].parameters)
