"""How fast a search goes, and how long it still takes at that pace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import Floats, TrialTable
from tunewell.spec.states import TrialState

#: So many of the trials that ended last say how fast the search goes.
LATELY = 100


def trials_per_hour(table: TrialTable, elapsed_seconds: float) -> float | None:
    """Return how many trials end in an hour that the search runs, by those that ended last; None: nothing is known.

    `elapsed_seconds` is for how long the search has run.
    """
    order = _by_end(table)
    ends = table.ended_after[order]
    if not len(ends):
        return None
    begin = float(ends[-LATELY - 1]) if len(ends) > LATELY else 0.0
    seconds = max(elapsed_seconds, float(ends[-1])) - begin
    return 3600 * min(len(ends), LATELY) / seconds if seconds > 0 else None


def remaining_seconds(table: TrialTable, elapsed_seconds: float, max_trials: int, now: float) -> float | None:
    """Return for how long a search that runs still does until it has made all of its trials; None: nothing is known.

    A trial that runs has left what those took longer, on average, that took longer than it has run. The others go at
    the present pace. Nothing is known, too, of the last trials where they run longer than all before. `now` is in
    seconds since the epoch.
    """
    rate = trials_per_hour(table, elapsed_seconds)
    spans = table.cost_seconds[_by_end(table)[-LATELY:]]
    if rate is None or not spans.mean() > 0:
        return None
    left = _left(spans, now - table.started_at[table.in_state(TrialState.RUNNING)])
    ended = int((~np.isnan(table.ended_at)).sum())
    trials = max(0, max_trials - ended - len(left)) + float(left.sum()) / float(spans.mean())
    if len(left) and not trials:
        return None
    return max(float(left.max(initial=0.0)), 3600 * trials / rate)


def _by_end(table: TrialTable) -> NDArray[np.int64]:
    """Return the places of the trials that have ended, in the order of their ends."""
    return np.argsort(table.ended_after, kind="stable")[: int((~np.isnan(table.ended_after)).sum())]


def _left(spans: Floats, ages: Floats) -> Floats:
    """Return how much longer trials take that have run for `ages`, (n,) seconds, where others took `spans` in all."""
    beyond = np.maximum(spans - ages[:, None], 0.0)  # (n, spans)
    return np.asarray(beyond.sum(axis=1) / np.maximum((beyond > 0).sum(axis=1), 1))
