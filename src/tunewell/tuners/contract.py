"""The tuner contract: what the trial manager asks, what it tells, and what it gets back.

A tuner is pure: no input or output, no clock, no threads, no global random state. Its state is a function of
(space, options, seed, ordered history), so recovery is replay of the history: the suggestions that were made
and the outcomes that were told, in their order.

Every random number derives from (seed, trial number): see `Tuner.generator`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import ClassVar, Literal, TypeVar

import numpy as np

from tunewell.spec.experiment import PROMOTIONS, EarlyStoppingRule
from tunewell.spec.space import Configuration, SearchSpace, key
from tunewell.spec.states import DETERMINISTIC_CAUSES, LINEAR_PROBE, PROGRAM_CAUSES, Cause, TrialState
from tunewell.tuners.early_stopping import EarlyStopping
from tunewell.tuners.promotion import Ladder
from tunewell.tuners.sources import Source

Goal = Literal["maximize", "minimize"]
Made = TypeVar("Made")
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A configuration to be trained. `Tuner.ask` numbers suggestions 1, 2, 3, …: these are the trial numbers."""

    number: int
    #: Active parameters only.
    parameters: Configuration
    #: Why: `default`, `initial`, `random`, `grid`, `model`, `perturbed from trial 7`, `promoted from trial 3`, …
    origin: str
    #: Share of the full training, in (0, 1].
    fidelity: float = 1.0
    #: Number of the trial whose checkpoint this one starts from.
    resume_from: int | None = None

    def outcome(self, objective: float, cost_seconds: float = 0.0) -> Outcome:
        """Return the outcome of a training that ended well with this objective."""
        return Outcome(self.number, TrialState.SUCCEEDED, objective=objective, cost_seconds=cost_seconds)

    def failure(self, cause: Cause | str) -> Outcome:
        """Return the outcome of a failed training."""
        return Outcome(self.number, TrialState.FAILED, cause=Cause(cause))


#: Origins of what a search that promotes trains in full at once: the default configuration, which its gain is measured
#: against, and what costs little.
_IN_FULL = ("default", LINEAR_PROBE)
#: Origin of configurations that somebody has added to a running search.
OWN = "own"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to suggest until an outcome of a pending trial is told."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing left to suggest, whatever the pending trials bring."""

    #: Why, for people.
    reason: str = "the space has been searched"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended. A later outcome of the same trial (after a retry) replaces the earlier one."""

    number: int
    state: TrialState
    #: Finite value of the objective metric; None if there is none.
    objective: float | None = None
    cause: Cause | None = None
    #: Wall time that the trial took.
    cost_seconds: float = 0.0
    #: Objective at each reported step, finite values only: step → value.
    curve: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Search:
    """What a tuner is told about the search that it serves."""

    space: SearchSpace
    #: Whether the objective is maximised or minimised.
    goal: Goal
    #: The only source of randomness.
    seed: int = 0
    #: (origin, configuration) pairs that are suggested first, in this order.
    initial: Sequence[tuple[str, Configuration]] = ()
    #: Hint: how many trials there will be.
    max_trials: int | None = None
    #: Hint: how many trials run at once.
    max_concurrency: int | None = None
    #: Whether trials can go on from the checkpoints of others, and train as far as their fidelity says.
    resumable: bool = False
    #: Which rule ends trials early.
    early_stopping: EarlyStoppingRule = "off"
    #: Shares of the full training that configurations are promoted to, ascending, the last one 1; see `promotion`.
    rungs: Sequence[float] = (1.0,)
    #: Parameters that a training can't change when it goes on from a checkpoint.
    structural: Collection[str] = ()
    #: Earlier searches that help this one.
    sources: Sequence[Source] = ()


class Tuner(ABC):
    """A search algorithm. Subclasses implement `propose`, and `accept` and `learn` if they keep state.

    `ask`, `tell`, `replay` and the bookkeeping of pending and finished trials are common to all.
    """

    #: Name in the spec.
    name: ClassVar[str]
    #: Version of the algorithm's behaviour, stored with each experiment.
    version: ClassVar[int] = 1
    #: Whether configurations from outside can be added.
    takes_own: ClassVar[bool] = True

    def __init__(self, search: Search) -> None:
        """Set up an empty history."""
        self.search = search
        self.space = search.space
        self.initial = tuple(search.initial)
        #: Fidelity of new configurations.
        self.first_fidelity = search.rungs[0]
        #: Every suggestion made, by number.
        self.suggestions: dict[int, Suggestion] = {}
        #: The last outcome told, by number.
        self.outcomes: dict[int, Outcome] = {}
        #: Whether promoted trials go on from a checkpoint.
        self._goes_on = search.early_stopping == "promotion"
        self._ladder = Ladder(search.rungs) if len(search.rungs) > 1 else None
        self._early_stopping = EarlyStopping(search.early_stopping, 1.0 if search.goal == "maximize" else -1.0)
        #: Numbers of suggestions without an outcome, in order.
        self.pending: dict[int, None] = {}
        #: How many of the suggestions came from outside, by `add`.
        self._own = 0
        #: Trial number → number of the trial that it resumes from, where it does.
        self.parents: dict[int, int] = {}

    def ask(self) -> Suggestion | Wait | Exhausted:
        """Return the next suggestion and count it as pending, or say that there is none (now, or ever)."""
        number = len(self.suggestions) + 1
        answer: Suggestion | Wait | Exhausted
        turn = number - 1 - self._own
        if turn < len(self.initial):
            origin, configuration = self.initial[turn]
            in_full = self._ladder is not None and origin in _IN_FULL
            answer = Suggestion(number, dict(configuration), origin, 1.0 if in_full else self.first_fidelity)
        else:
            answer = self._promotion(self._trials_left(number)) or self._at_first_fidelity(self.propose(number))
            if isinstance(answer, Exhausted) and self._ladder is not None:
                answer = Wait() if self.pending else self._promotion(trials_left=0) or answer
        if isinstance(answer, Suggestion):
            self._accept(answer)
        return answer

    def add(self, configuration: Configuration) -> Suggestion | None:
        """Take a configuration from outside for the next suggestion; None: it has been suggested, or is about to be.

        Everything but its choice is as with `ask`: it is trained first as far as a new one is, and may be promoted.
        """
        wanted = key(configuration)
        if any(key(suggestion.parameters) == wanted for suggestion in self.suggestions.values()):
            return None
        if any(key(initial) == wanted for _, initial in self.initial):
            return None
        added = Suggestion(len(self.suggestions) + 1, dict(configuration), OWN, self.first_fidelity)
        self._accept(added)
        return added

    def expect(self, max_trials: int | None, max_concurrency: int | None) -> None:
        """Take new hints about the search; see `Search`."""
        self.search = replace(self.search, max_trials=max_trials, max_concurrency=max_concurrency)

    def tell(self, outcome: Outcome) -> None:
        """Learn how the trial with `outcome.number` ended; raise KeyError if it was never suggested."""
        suggestion = self.suggestions[outcome.number]
        self.pending.pop(outcome.number, None)
        self.outcomes[outcome.number] = outcome
        if suggestion.fidelity == 1 and suggestion.resume_from is None:
            self._early_stopping.note_end(outcome.number, outcome.curve, outcome.state)
        if self._ladder is not None:
            self._ladder.note_end(outcome.number, self.loss(outcome))
        self.learn(suggestion, outcome)

    @property
    def judges(self) -> bool:
        """Whether `judge` ever says anything but "keep"."""
        return self.search.early_stopping not in ("off", *PROMOTIONS)

    def judge(self, number: int, curve: dict[int, float]) -> Literal["keep", "prune"]:
        """Say whether a running trial with these objectives so far (step → value) is worth going on.

        Called by the trial manager after each report. Parts of a training are never ended early.
        """
        if self.suggestions[number].fidelity < 1 or self.suggestions[number].resume_from is not None:
            return "keep"
        return "keep" if self._early_stopping.is_worth_going_on(number, curve) else "prune"

    def replay(self, history: Iterable[Suggestion | Outcome]) -> None:
        """Rebuild the state from the suggestions made and outcomes told, in their order, without proposing again."""
        for entry in history:
            if isinstance(entry, Suggestion):
                self._accept(entry)
            else:
                self.tell(entry)

    def concurrency(self) -> int | None:
        """Most trials that this algorithm can use at once now; None: as many as there are slots."""
        return None

    def probability_of_gain(self, least: float) -> float | None:
        """Return the probability that some configuration is better than the best trial by more than `least`.

        Called by the trial manager when trials have long brought nothing; a function of the history, like all else.
        None: the algorithm has no model that could tell.
        """
        del least
        return None

    def checkpoints(self) -> Collection[int]:
        """Return the ended trials that later suggestions may resume from: their checkpoints must be kept."""
        return self._ladder.promotable() if self._ladder is not None and self._goes_on else ()

    def loss(self, outcome: Outcome) -> float | None:
        """Return what is minimised: infinite for a failure of the training itself, None for no lesson.

        What failed the machine says nothing about the parameters; what failed the program may: see `may_be_chance`.
        """
        if outcome.cause in DETERMINISTIC_CAUSES | PROGRAM_CAUSES:
            return math.inf
        if outcome.objective is None or not math.isfinite(outcome.objective):
            return None
        return outcome.objective if self.search.goal == "minimize" else -outcome.objective

    def may_be_chance(self, number: int) -> bool:
        """Whether trial `number` failed for a cause that need not lie in its parameters, though it may."""
        return self.outcomes[number].cause in PROGRAM_CAUSES

    def generator(self, number: int, stream: int = 0) -> np.random.Generator:
        """Return the random generator of trial `number` (independent `stream`s for independent uses)."""
        return np.random.default_rng([self.search.seed, number, stream])

    @abstractmethod
    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Work out suggestion `number` without changing any state."""

    def accept(self, suggestion: Suggestion) -> None:  # noqa: B027 - not every algorithm keeps state
        """Take note of a suggestion that was made (by `ask`, or earlier and now replayed)."""

    def learn(self, suggestion: Suggestion, outcome: Outcome) -> None:  # noqa: B027 - nor does every one learn
        """Take note of an outcome."""

    def place(self, number: int) -> int:
        """Return how many configurations this has proposed before trial `number`, those in `initial` not counted."""
        promotions = 0 if self._ladder is None else self._ladder.promotions
        return number - 1 - len(self.initial) - promotions - self._own

    def offsets(self) -> Mapping[int, float]:
        """Return what must be added to the losses of trials that trained a part, to compare them with full ones."""
        return {} if self._ladder is None else self._ladder.offsets()

    def _trials_left(self, number: int) -> int | None:
        return None if self.search.max_trials is None else self.search.max_trials - number + 1

    def _promotion(self, trials_left: int | None) -> Suggestion | Wait | None:
        found = None if self._ladder is None else self._ladder.next(trials_left)
        if found is None or found == "wait":
            return found and Wait()
        number, parameters = len(self.suggestions) + 1, self.suggestions[found.trial].parameters
        resume_from = found.trial if self._goes_on else None
        return Suggestion(number, parameters, f"promoted from trial {found.trial}", found.share, resume_from)

    def _at_first_fidelity(self, answer: Suggestion | Wait | Exhausted) -> Suggestion | Wait | Exhausted:
        if self._ladder is None or not isinstance(answer, Suggestion):
            return answer
        return replace(answer, fidelity=self.first_fidelity)

    def _accept(self, suggestion: Suggestion) -> None:
        if self._ladder is not None:
            self._ladder.note_suggestion(suggestion.number, suggestion.parameters, suggestion.fidelity)
        self.suggestions[suggestion.number] = suggestion
        self._own += suggestion.origin == OWN
        self.pending[suggestion.number] = None
        if suggestion.resume_from is not None:
            self.parents[suggestion.number] = suggestion.resume_from
        self.accept(suggestion)


def as_seen(suggested: Iterable[tuple[Made, int]], outcomes: Iterable[Told]) -> Iterator[Made | Told]:
    """Return suggestions and outcomes in the order in which their tuner saw them, which `Tuner.replay` needs.

    A proposal takes a while, and outcomes may be put on record before it that the tuner did not know.

    Args:
        suggested: suggestions in their order, each with the number of outcomes that the tuner knew by then.
        outcomes: outcomes in the order in which they were told.
    """
    left, told = iter(outcomes), 0
    for suggestion, known in suggested:
        yield from islice(left, max(0, known - told))
        told = max(told, known)
        yield suggestion
    yield from left
