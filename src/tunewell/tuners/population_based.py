"""Population-based training: members train in rounds, and the worst take over weights and values of the best.

Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks", arXiv:1711.09846.

A round is an equal share of the full training. When a member has ended a round it goes on with the next: from its
own checkpoint with its own values, unless it is among the worst of that round. Then it takes the checkpoint and the
values of one of the best (exploit), and moves the values (explore). Each round of each member is a trial of its
own, so that a lineage is a chain of trials that resume from one another, and the schedule of a model is what the
trials of its lineage had.

Deviations from the source: members are compared with those at the same round only, never with older or younger
ones; values move in the scale of their parameter (see `explore`); members that fail are replaced as the worst are.
The best are never changed (elitism). The member of the default configuration goes on as it is to the end, so that
the best has something to be compared with.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Collection
from typing import ClassVar

import numpy as np

from tunewell.spec.errors import SpecError
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tuners.contract import Exhausted, Outcome, Search, Suggestion, Tuner, Wait
from tunewell.tuners.designs import start
from tunewell.tuners.encoding import Array, Encoding
from tunewell.tuners.explore import cross, perturb
from tunewell.tuners.fresh import Fresh
from tunewell.tuners.hamiltonian import StepConstants, exchange_categories, hamiltonian_step

#: How a replaced member's values change: from those of its new parent at random, crossed with its own, or by PSHE2.
EXPLORE = ("perturb", "cross", "pshe2")
#: Share of its own values that a member keeps which is crossed with its new parent.
CROSSED = 0.5
_DESIGN, _EXPLORE = 1, 2


class PopulationBasedTuner(Tuner):
    """Trains a population in rounds; a trial is one round of one member."""

    name: ClassVar[str] = "evolutionary"
    version: ClassVar[int] = 2
    takes_own: ClassVar[bool] = False

    def __init__(
        self,
        search: Search,
        *,
        population_size: int = 8,
        rounds: int = 10,
        disturbance_ratio: float = 0.25,
        random_probability: float = 0.25,
        explore: str = "perturb",
        asynchronous: bool = False,
    ) -> None:
        """Set up an empty history; see `Tuner`.

        Args:
            population_size: members, those of `search.initial` among them.
            rounds: parts of the full training; after each the population is compared.
            disturbance_ratio: share of the population that is replaced, and share that it is replaced from.
            random_probability: probability that a parameter is drawn again instead of moved.
            explore: one of `EXPLORE`.
            asynchronous: whether a member goes on as soon as it has ended a round, judged by those that have ended
                it before, instead of waiting for all.

        Raises:
            SpecError: there are more configurations in `search.initial` than members.
        """
        super().__init__(search)
        if len(self.initial) > population_size:
            complaint = f"{len(self.initial)} configurations, the default one among them, for {population_size} members"
            raise SpecError("initial", complaint, "Give fewer, or a larger population_size")
        self._size = population_size
        self._rounds = rounds
        self._ratio = disturbance_ratio
        self._random_probability = random_probability
        self._how = explore
        self._asynchronous = asynchronous
        self._encoding = Encoding(self.space)
        self._structural = _with_parents(self.space, search.structural)
        self._fresh = Fresh(self.space)
        self._design = start(self.generator(0, _DESIGN), self._size, self.space)
        #: Trials that have ended their round and have no successor yet, in the order of their ends.
        self._open: deque[int] = deque()
        self._ended: set[int] = set()
        #: Round → the trials that have ended it.
        self._of_round: defaultdict[int, list[int]] = defaultdict(list)
        #: Trials of the member that has the default configuration.
        self._reference: set[int] = set()
        self.first_fidelity = 1 / rounds

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Begin a member, or let the one that has waited longest go on."""
        if number <= self._size:
            return self._member(number)
        if self._open:
            return self._successor(number, self._open[0])
        if any(self._round(trial) < self._rounds for trial in self.pending):
            return Wait()
        return Exhausted("the population has been trained to the end")

    def accept(self, suggestion: Suggestion) -> None:
        """Note a new member, or that the one that waited longest has gone on."""
        self._fresh.note(suggestion.parameters)
        if suggestion.number > self._size:
            predecessor = self._open.popleft()
            if predecessor in self._reference and suggestion.resume_from == predecessor:
                self._reference.add(suggestion.number)
        elif suggestion.origin == "default":
            self._reference.add(suggestion.number)

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:
        """Let the member go on, unless this was its last round, or a retry of one that has gone on already."""
        number = suggestion.number
        if number not in self._ended:
            self._ended.add(number)
            self._of_round[self._round(number)].append(number)
            if self._round(number) < self._rounds:
                self._open.append(number)

    def checkpoints(self) -> Collection[int]:
        """Return the trials of all rounds that some member is still to leave, where another may take it over.

        Members may be rounds apart if they don't wait for one another: what counts is the last of them.
        """
        last = min((self._round(trial) for trial in (*self._open, *self.pending)), default=self._rounds)
        return {trial for round_ in range(last, self._rounds) for trial in self._of_round.get(round_, ())}

    def _member(self, number: int) -> Suggestion:
        """Return a new member; no two are alike as long as the space has more."""
        configuration = self._encoding.decode(self._design[number - 1])
        if self._fresh.is_new(configuration):
            return Suggestion(number, configuration, "spread out", self.first_fidelity)
        drawn = self._fresh.draw(self.generator(number))
        return Suggestion(number, configuration if drawn is None else drawn, "random", self.first_fidelity)

    def _round(self, trial: int) -> int:
        return round(self.suggestions[trial].fidelity * self._rounds)

    def _successor(self, number: int, predecessor: int) -> Suggestion | Wait:
        """Return the next round of the member that `predecessor` was the last round of."""
        before = self._round(predecessor)
        ended = self._of_round[before]
        if not self._asynchronous and len(ended) < self._size and self.pending:
            return Wait()
        fidelity = (before + 1) / self._rounds
        ranked = sorted((trial for trial in ended if self._loss(trial) < math.inf), key=lambda t: (self._loss(t), t))
        failed = [trial for trial in ended if self._loss(trial) == math.inf]
        share = max(1, math.floor(len(ended) * self._ratio)) if len(ended) > 1 else 0
        replaceable = [trial for trial in ranked[share:] if trial not in self._reference]
        worst = replaceable[len(replaceable) - max(0, share - len(failed)) :]
        if predecessor not in {*worst, *failed}:
            parameters = self.suggestions[predecessor].parameters
            return Suggestion(number, parameters, f"goes on from trial {predecessor}", fidelity, predecessor)
        generator = self.generator(number, _EXPLORE)
        best = [trial for trial in ranked[: max(1, share)] if trial != predecessor]
        if not best:
            return Suggestion(number, self.space.sample(generator), "random", fidelity)
        chosen = best[generator.integers(len(best))]
        parameters = self._explore(chosen, predecessor, ranked[0], generator)
        return Suggestion(number, parameters, self._origin(chosen, predecessor), fidelity, chosen)

    def _origin(self, chosen: int, replaced: int) -> str:
        if self._how == "cross":
            return f"child of trials {chosen} and {replaced}"
        return f"{'moved' if self._how == 'pshe2' else 'perturbed'} from trial {chosen}"

    def _explore(self, chosen: int, replaced: int, best: int, generator: np.random.Generator) -> Configuration:
        """Return new values for the member that goes on from trial `chosen` instead of from `replaced`."""
        parameters = self.suggestions[chosen].parameters
        kept = {name: parameters[name] for name in self._structural if name in parameters}
        if self._how == "pshe2":
            point = self._moved(chosen, replaced, best, generator)
            return perturb(self._encoding, point, generator, step=0.0, resample=0.0, kept=kept)
        point = self._point(chosen)
        if self._how == "cross":
            point = cross(point, self._point(replaced), CROSSED, generator)
        return perturb(self._encoding, point, generator, resample=self._random_probability, kept=kept)

    def _moved(self, chosen: int, replaced: int, best: int, generator: np.random.Generator) -> Array:
        """Return where a step of PSHE2 takes the replaced member, drawn to its new parent and to the best.

        Its momentum is what it has moved by in the last round, as equation (2) of `hamiltonian` has it.
        """
        position, parent = self._point(replaced), self.suggestions[replaced].resume_from
        before = position if parent is None else self._point(parent)
        momentum = np.nan_to_num((position - before) / StepConstants().alpha)
        attractors, step = (self._point(chosen), self._point(best)), self._round(replaced)
        moved, _ = hamiltonian_step(position, momentum, *attractors, step, generator.uniform(-1, 1, position.shape))
        exchanged = exchange_categories(position, *attractors, step, generator)
        return np.where(self._encoding.categorical, exchanged, moved)

    def _point(self, trial: int) -> Array:
        return self._encoding.encode(self.suggestions[trial].parameters)

    def _loss(self, trial: int) -> float:
        loss = self.loss(self.outcomes[trial])
        return math.inf if loss is None else loss


def _with_parents(space: SearchSpace, names: Collection[str]) -> set[str]:
    """Return the names, and those of all parameters that decide whether they are active."""
    found = set(names)
    for parameter in reversed(space.parameters):  # parents come first
        if parameter.name in found:
            found |= {condition.parent for condition in parameter.when}
    return found
