"""What the trial manager wants of a tuner, asked in order, wherever the tuner computes.

A tuner may take long, so its calls are made by `Calls`, one after the other; the manager goes on meanwhile. What a
tuner computes follows from the order of its calls alone: of each suggestion it is kept how many outcomes the tuner knew
when it made it, so that a replay comes to the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

from tunewell.controller.background import Calls
from tunewell.controller.convergence import Convergence, examine
from tunewell.spec.space import Configuration
from tunewell.spec.states import RESULT_STATES
from tunewell.tuners.contract import Exhausted, Outcome, Suggestion, Tuner, Wait


class Standing(NamedTuple):
    """What a tuner says of itself after a call."""

    #: Most trials that it can use at once; None: any number.
    concurrency: int | None
    #: The ended trials whose checkpoints later suggestions may go on from.
    checkpoints: Collection[int]


class _Judged(NamedTuple):
    """The curve of a running trial."""

    #: The manager's, which grows.
    original: dict[int, float]
    #: The tuner's, which has what the manager's had when the tuner was asked.
    copy: dict[int, float]


class TunerCalls:
    """The calls of one tuner."""

    def __init__(
        self, tuner: Tuner, calls: Calls, told: int, stop_when_converged: bool = False, checkpoints: bool = True
    ) -> None:
        """Take over a tuner, replayed to where its search is; nobody else may call it from now on.

        `told` is how many outcomes it was told in all; `checkpoints`, whether it is wanted to say which it needs: these
        may be tens of thousands.
        """
        self._tuner = tuner
        self._calls = calls
        self._examines = stop_when_converged
        self._tells_checkpoints = checkpoints
        self.standing = self._stand()
        #: Number of outcomes that it will have been told when what is asked for now is computed.
        self.told = told
        #: Whether a suggestion is under way.
        self.asking = False
        #: Number of configurations from outside that are on their way.
        self.adding = 0
        #: Number of outcomes that it has not learned from yet.
        self.telling = 0
        #: Running trial → its curve.
        self._judged: dict[int, _Judged] = {}
        self._closed = False

    def close(self) -> None:
        """Call the tuner no more: it has failed."""
        self._closed = True
        self.telling = 0

    def ask(self, then: Callable[[Suggestion | Wait | Exhausted, int], None]) -> None:
        """Ask for a suggestion; `then` also gets the number of outcomes that the tuner knew."""
        if self._closed:
            return
        known = self.told
        self.asking = True

        def answer(found: tuple[Suggestion | Wait | Exhausted, Standing]) -> None:
            self.asking = False
            self.standing = found[1]
            then(found[0], known)

        self._calls.make(lambda: (self._tuner.ask(), self._stand()), answer)

    def add(self, configuration: Configuration, then: Callable[[Suggestion | None, int], None]) -> None:
        """Have the tuner take a configuration from outside; `then` gets what `Tuner.add` gives, as `ask` does."""
        if self._closed:
            return
        self.adding += 1
        known = self.told

        def answer(found: Suggestion | None) -> None:
            self.adding -= 1
            then(found, known)

        self._calls.make(lambda: self._tuner.add(configuration), answer)

    def expect(self, max_trials: int, max_concurrency: int | None, stop_when_converged: bool) -> None:
        """Let the tuner know how far its search goes now."""
        self._examines = stop_when_converged
        self._calls.make(lambda: self._tuner.expect(max_trials, max_concurrency), lambda _: None)

    def tell(self, outcome: Outcome, then: Callable[[Convergence | None], None]) -> None:
        """Tell an outcome; `then` gets whether the search has converged, if that is looked at."""
        if self._closed:
            return
        self.told += 1
        self.telling += 1
        self._judged.pop(outcome.number, None)

        def call() -> tuple[Standing, Convergence | None]:
            self._tuner.tell(outcome)
            return self._stand(), self._convergence()

        def answer(found: tuple[Standing, Convergence | None]) -> None:
            self.telling -= 1
            self.standing = found[0]
            then(found[1])

        self._calls.make(call, answer)

    def judge(
        self, number: int, curve: dict[int, float], step: int, then: Callable[[Literal["keep", "prune"]], None]
    ) -> None:
        """Ask whether a running trial is worth going on, whose curve has just got a value for `step`."""
        if self._closed or not self._tuner.judges:
            return
        # Copied once, and then added to: a curve may have hundreds of thousands of steps.
        known = self._judged.get(number)
        if known is None or known.original is not curve:
            known = self._judged[number] = _Judged(curve, dict(curve))
        so_far, value = known.copy, curve[step]

        def call() -> Literal["keep", "prune"]:
            so_far[step] = value
            return self._tuner.judge(number, so_far)

        self._calls.make(call, then)

    def _stand(self) -> Standing:
        checkpoints = self._tuner.checkpoints() if self._tells_checkpoints else ()
        return Standing(self._tuner.concurrency(), frozenset(checkpoints))

    def _convergence(self) -> Convergence | None:
        return convergence(self._tuner) if self._examines else None


def convergence(tuner: Tuner) -> Convergence | None:
    """Return the figures that say whether a search has converged."""
    losses = [
        tuner.loss(outcome) if outcome.state in RESULT_STATES else None
        for number, outcome in tuner.outcomes.items()
        if tuner.suggestions[number].fidelity == 1  # parts of a training say nothing about its end
    ]
    varying = sum(parameter.size != 1 for parameter in tuner.space)
    return examine(losses, varying, tuner.probability_of_gain)
