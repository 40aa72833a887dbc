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
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
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


class _Rung:
    """What has ended on a rung, in order; nothing is gone through from end to end when one more has."""

    def __init__(self) -> None:
        """Begin empty."""
        #: Trial → loss; infinite for failures of the training itself.
        self.losses: dict[int, float] = {}
        #: (loss, trial), the best first: of all, and of those that may go on.
        self._ranked: list[tuple[float, int]] = []
        self._open: list[tuple[float, int]] = []
        #: How many were taken away since one was added last.
        self._taken = 0

    def add(self, trial: int, loss: float) -> None:
        """Add a trial that may go on, if it has not failed."""
        self.losses[trial] = loss
        insort(self._ranked, (loss, trial))
        if math.isfinite(loss):
            insort(self._open, (loss, trial))

    def take(self, trial: int) -> None:
        """Take a trial away, if it is there."""
        if trial in self.losses:
            self.close(trial)
            del self._ranked[bisect_left(self._ranked, (self.losses.pop(trial), trial))]
            self._taken += 1

    def close(self, trial: int) -> None:
        """Take note that a trial does not go on, if it is there."""
        entry = (self.losses.get(trial, math.inf), trial)
        place = bisect_left(self._open, entry)
        if self._open[place : place + 1] == [entry]:
            del self._open[place]

    def worse_half(self, added: int) -> Iterator[int]:
        """Yield those that have come to the worse half since the last call, when `added` was added.

        Whoever is there has been yielded before, but for those that the border has come by.
        """
        half = math.ceil(len(self._ranked) / 2)
        border = half + self._taken + 2 if len(self._ranked) > LEAST_ENDED else None
        self._taken = 0
        yield from (trial for _, trial in self._ranked[half:border])
        if self._ranked[half - 1] < (self.losses[added], added):
            yield added

    def best(self, share: int = 1) -> int | None:
        """Return the best trial that may go on, if it is among the best of all, one in `share`; else None."""
        if not self._open or bisect_left(self._ranked, self._open[0]) >= len(self._ranked) // share:
            return None
        return self._open[0][1]

    @property
    def open(self) -> list[int]:
        """The trials that may go on."""
        return [trial for _, trial in self._open]


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
        self._rungs = [_Rung() for _ in shares]
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
            before = self._promoted[number] = self._last[identity]
            self._rungs[self._rung[before]].close(before)
        self._running.add(number)
        self._configurations[number] = identity
        self._last[identity] = number
        self._rung[number] = min(range(len(self._shares)), key=lambda rung: abs(self._shares[rung] - share))

    def note_end(self, number: int, loss: float | None) -> None:
        """Take note of a trial that ended; `loss` None: it says nothing."""
        rung = self._rungs[self._rung[number]]
        rung.take(number)
        self._running.discard(number)
        if loss is None:
            return
        rung.add(number, loss)
        if self._last[self._configurations[number]] != number:  # it has gone on already
            rung.close(number)
        if len(rung.losses) >= LEAST_ENDED:
            for trial in list(rung.worse_half(number)):
                rung.close(trial)

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
            trial = self._rungs[rung].best(ETA)
            if trial is not None:
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
                above, below = self._rungs[rung + 1].losses, self._rungs[rung].losses
                changes = [
                    above[trial] - below[before]
                    for trial, before in self._promoted.items()
                    if trial in above and before in below and math.isfinite(above[trial])
                ]
                offset += median(changes) if changes else 0.0
            found.update(dict.fromkeys(self._rungs[rung].losses, offset))
        return found

    def promotable(self) -> set[int]:
        """Return the ended trials that may be promoted some time."""
        return {trial for rung in self._rungs[: self._top] for trial in rung.open}

    def _climb(self, trials_left: int) -> Promotion | Literal["wait"] | None:
        """Take the best of the highest rung further if no more trials are left than it needs."""
        highest = max((self._rung[trial] for trial in self._running), default=-1)
        for rung in range(self._top - 1, -1, -1):
            best = self._rungs[rung].best()
            if best is not None or rung == highest:
                if self._top - rung < trials_left:
                    return None
                return "wait" if best is None or rung == highest else Promotion(best, self._shares[rung + 1])
        return None
