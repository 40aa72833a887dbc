"""Asynchronous successive halving by promotion: train a little, and let only the best go on.

Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), arXiv:1810.05934, algorithm 2.

A *rung* is a share of the full training. Every new configuration begins on the lowest one. As soon as it is among the
best 1/η of all that have ended on its rung, it is promoted: trained as far as the next rung says. Nobody waits for a
rung to be full, and no training is ended; one that is not promoted does not go on, that is all.

Additions: a configuration that falls into the worse half of a rung is given up, so that its checkpoint can go. When the
trials are running out and nothing has come to the full training, the best configuration climbs on regardless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tunewell.spec.space import Configuration, key

#: Factor between rungs, and share that is promoted.
ETA = 3
#: Rungs below the full training, where it is long enough.
LOWER_RUNGS = 3
#: Fewest trainings on a rung before any is given up.
LEAST_ENDED = 2 * ETA


def rungs(epochs: int | None = None) -> tuple[float, ...]:
    """Return shares of the full training, ascending, the last one 1; an epoch at least, if their number is known."""
    shares = [1.0 / ETA**below for below in range(LOWER_RUNGS, -1, -1)]
    if epochs is None:
        return tuple(shares)
    return tuple(sorted({max(1, round(share * epochs)) / epochs for share in shares}))


@dataclass(frozen=True, slots=True)
class Promotion:
    """What is to be trained further."""

    #: Number of the trial that got the configuration this far.
    trial: int
    #: Share of the full training that the next one gets.
    share: float


class Ladder:
    """Knows how far each configuration has come, and which is to go on."""

    def __init__(self, shares: Sequence[float]) -> None:
        """Take the rungs, ascending, two or more."""
        self._shares = tuple(shares)
        self._top = len(shares) - 1
        #: Trial → its rung.
        self._rung: dict[int, int] = {}
        #: Configuration → its last trial, which alone can be promoted.
        self._last: dict[object, int] = {}
        self._configurations: dict[int, object] = {}
        #: Rung → trial → loss of those that have ended there; infinite for failures of the training itself.
        self._losses: list[dict[int, float]] = [{} for _ in shares]
        self._given_up: set[int] = set()
        self._running: set[int] = set()
        #: Trial that took up a configuration again → the one before it.
        self._promoted: dict[int, int] = {}

    @property
    def promotions(self) -> int:
        """How many trials so far were promotions."""
        return len(self._promoted)

    def note_suggestion(self, number: int, configuration: Configuration, share: float) -> None:
        """Take note of a trial that begins."""
        identity = key(configuration)
        if identity in self._last:
            self._promoted[number] = self._last[identity]
        self._running.add(number)
        self._configurations[number] = identity
        self._last[identity] = number
        self._rung[number] = min(range(len(self._shares)), key=lambda rung: abs(self._shares[rung] - share))

    def note_end(self, number: int, loss: float | None) -> None:
        """Take note of a trial that ended; `loss` None: it says nothing."""
        losses = self._losses[self._rung[number]]
        losses.pop(number, None)
        self._given_up.discard(number)
        self._running.discard(number)
        if loss is None:
            return
        losses[number] = loss
        if len(losses) >= LEAST_ENDED:
            self._given_up.update(_ranked(losses)[math.ceil(len(losses) / 2) :])

    def next(self, trials_left: int | None) -> Promotion | Literal["wait"] | None:
        """Return what is to be promoted, None if nothing is, or that a promoted trial must end first.

        Args:
            trials_left: how many trials are still to come, this one included; None if nobody knows.
        """
        nothing_in_full = all(self._rung[trial] < self._top for trial in self._promoted)
        climb = self._climb(trials_left) if trials_left is not None and nothing_in_full else None
        if climb is not None:
            return climb
        for rung in range(self._top - 1, -1, -1):
            losses = self._losses[rung]
            for trial in _ranked(losses)[: len(losses) // ETA]:
                if self._may_go_on(trial):
                    return Promotion(trial, self._shares[rung + 1])
        return None

    def offsets(self) -> dict[int, float]:
        """Return for each trial that has ended what makes its loss comparable with losses of the full training.

        From rung to rung that is the median change of the loss in the configurations that were promoted.
        """
        found = {}
        offset = 0.0
        for rung in range(self._top, -1, -1):
            if rung < self._top:
                above, below = self._losses[rung + 1], self._losses[rung]
                changes = [
                    above[trial] - below[before]
                    for trial, before in self._promoted.items()
                    if trial in above and before in below and math.isfinite(above[trial])
                ]
                offset += median(changes) if changes else 0.0
            found.update(dict.fromkeys(self._losses[rung], offset))
        return found

    def promotable(self) -> set[int]:
        """Return the ended trials that may be promoted some time."""
        return {trial for losses in self._losses[: self._top] for trial in losses if self._may_go_on(trial)}

    def _may_go_on(self, trial: int) -> bool:
        rung = self._rung[trial]
        is_last = self._last[self._configurations[trial]] == trial
        return is_last and trial not in self._given_up and math.isfinite(self._losses[rung][trial])

    def _climb(self, trials_left: int) -> Promotion | Literal["wait"] | None:
        """Take the best of the highest rung further if no more trials are left than it needs."""
        highest = max((self._rung[trial] for trial in self._running), default=-1)
        for rung in range(self._top - 1, -1, -1):
            best = [trial for trial in _ranked(self._losses[rung]) if self._may_go_on(trial)]
            if best or rung == highest:
                if self._top - rung < trials_left:
                    return None
                return "wait" if rung == highest else Promotion(best[0], self._shares[rung + 1])
        return None


def _ranked(losses: dict[int, float]) -> list[int]:
    """Return the trials, best first."""
    return sorted(losses, key=lambda trial: (losses[trial], trial))
