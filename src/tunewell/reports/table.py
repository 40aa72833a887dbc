"""All trials of an experiment as columns: what charts are drawn from, and what lists are chosen and sorted by.

A hundred thousand trials take some ten megabytes, and a question about all of them takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunewell.spec.space import SearchSpace
from tunewell.spec.states import Cause, TrialState

Goal = Literal["maximize", "minimize"]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Codes of states and causes are their places here; a cause's is -1 where there is none.
STATES: tuple[TrialState, ...] = tuple(TrialState)
CAUSES: tuple[Cause, ...] = tuple(Cause)
#: So many of the best trials are looked at for some with different parameters, as `Store.top` does.
MOST_RANKED = 100


@dataclass(frozen=True, slots=True, eq=False)
class TrialTable:
    """n trials by number, each with the facts of its latest attempt; NaN where there is none."""

    space: SearchSpace
    goal: Goal
    #: (n,) Ascending.
    numbers: NDArray[np.int64]
    #: (n,) Codes.
    states: NDArray[np.int8]
    causes: NDArray[np.int8]
    #: (n,) Places in `origin_names`: why each was proposed.
    origins: NDArray[np.int16]
    origin_names: tuple[str, ...]
    #: (n,) Finite values of the objective.
    values: Floats
    #: (n,) Shares of the full training, in (0, 1].
    fidelities: Floats
    #: (n,) Number of the trial whose checkpoint each went on from; 0: none.
    parents: NDArray[np.int64]
    #: (n,) Seconds since the epoch, of the latest attempt.
    started_at: Floats
    ended_at: Floats
    #: (n,) For how many seconds the search had been running when each ended.
    ended_after: Floats
    #: (n,) Wall time that all attempts took.
    cost_seconds: Floats
    #: (n, parameters) Positions in the unit intervals of the parameters, in the order of the space; NaN: inactive.
    positions: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)

    def in_state(self, *states: TrialState) -> Flags:
        """Return which trials are in one of these states, (n,)."""
        return np.asarray(np.isin(self.states, [STATES.index(state) for state in states]))

    @property
    def results(self) -> Flags:
        """Which trials' values may be the result of the search, (n,): those of pruned ones never are."""
        return self.in_state(TrialState.SUCCEEDED, TrialState.STOPPED) & ~np.isnan(self.values)

    def top(self, limit: int) -> list[int]:
        """Return the places of the best trials, best first, the first of equal ones first.

        Those with the full training come before all others. Of trials with the same parameters only the first one is
        listed; see `Store.top`.
        """
        rows = np.flatnonzero(self.results)
        best: dict[bytes, int] = {}
        for row in rows[np.lexsort((self.losses[rows], self.fidelities[rows] < 1))][:MOST_RANKED]:
            if len(best) == limit:
                break
            best.setdefault(self.positions[row].tobytes(), int(row))
        return list(best.values())

    @property
    def measured(self) -> Flags:
        """Which trials have ended with a value, (n,): pruned ones have, failed ones have not."""
        ended = self.in_state(TrialState.SUCCEEDED, TrialState.STOPPED, TrialState.PRUNED)
        return ended & ~np.isnan(self.values)

    @property
    def comparable(self) -> Flags:
        """Which trials have ended with a value of the full training, however early, (n,)."""
        in_full: Flags = self.fidelities == 1
        return self.measured & in_full

    @property
    def losses(self) -> Floats:
        """The values so that less is better, (n,)."""
        return -self.values if self.goal == "maximize" else self.values

    def improvements(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the places in `order`, one after another, whose trials were the best until then."""
        shown = order[self.results[order]]
        losses = self.losses[shown]
        before = np.concatenate(([np.inf], np.minimum.accumulate(losses)[:-1])) if len(losses) else losses
        return shown[losses < before]

    @property
    def best(self) -> int | None:
        """The place of the best trial; None: no trial has a result."""
        return next(iter(self.top(1)), None)

    def row(self, number: int) -> int | None:
        """Return the place of the trial with this number; None: there is none."""
        place = int(np.searchsorted(self.numbers, number))
        return place if place < len(self) and self.numbers[place] == number else None


@dataclass(frozen=True, slots=True, eq=False)
class SearchView:
    """What charts of a search are drawn from."""

    table: TrialTable
    metric: str
    target: float | None = None
    #: Number of the trial of the default configuration.
    default_trial: int | None = None
    #: Numbers of the best trials, best first; at most five.
    top: tuple[int, ...] = ()
    #: How many trials the search may make; None: that is not known.
    max_trials: int | None = None
    #: Trial number → step → objective, of those trials whose curves are drawn.
    curves: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    #: Until when trials that run are drawn, in seconds since the epoch; None: until something last began or ended.
    as_of: float | None = None
    #: Which trials stand out, (n,); None: no selection was made.
    chosen: Flags | None = None
