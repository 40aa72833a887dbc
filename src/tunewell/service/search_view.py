"""From the columns of an experiment's trials to what charts are drawn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewell.reports.table import Flags, SearchView, TrialTable
from tunewell.service import selection, wire
from tunewell.service.table import Trials
from tunewell.service.types import EVERY_TRIAL, TrialFilter
from tunewell.service.verbs import TOP
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store

#: Trials whose curves are drawn, beside the best ones; how many of them are chosen ones, where others are left.
CURVES, OF_CHOSEN = 150, 100
#: About so many points each curve has at most.
POINTS = 300


def search_view(
    store: Store,
    row: ExperimentRow,
    trials: Trials,
    wanted: TrialFilter = EVERY_TRIAL,
    with_curves: bool = False,
    as_of: float | None = None,
) -> SearchView:
    """Return what charts of an experiment are drawn from.

    Args:
        store: where curves are read from, all with one question.
        row: the experiment, read before its trials were.
        trials: all of its trials.
        wanted: those that stand out; every trial: none does.
        with_curves: whether learning curves are drawn.
        as_of: until when trials that run are drawn; see `SearchView`.

    Raises:
        SpecError: what is wanted can't be; see `selection.chosen`.
    """
    table, objective = trials.table, wire.objective_of(row)
    chosen = None if wanted == EVERY_TRIAL else selection.chosen(trials, wanted)
    top = table.numbers[table.top(TOP)].tolist()
    drawn = sorted({*top, *_sample(table, chosen)}) if with_curves else []
    return SearchView(
        table=table,
        metric=objective.metric,
        target=objective.target,
        default_trial=row.default_trial if row.default_value is not None else None,
        top=tuple(top),
        max_trials=wire.max_trials_of(row),
        curves=store.curves(row.name, objective.metric, drawn, POINTS) if drawn else {},
        as_of=as_of,
        chosen=chosen,
    )


def _sample(table: TrialTable, chosen: Flags | None) -> list[int]:
    """Return the numbers of trials whose curves stand for all: chosen ones, and others beside them.

    One that is new takes the place of few others, so that a picture that is drawn again looks like the one before.
    """
    started = table.numbers[~np.isnan(table.started_at)]
    if chosen is None:
        return _spread(started)[:CURVES]
    first = _spread(table.numbers[~np.isnan(table.started_at) & chosen])
    others = _spread(table.numbers[~np.isnan(table.started_at) & ~chosen])
    kept = max(OF_CHOSEN, CURVES - len(others))
    return [*first[:kept], *others[: CURVES - min(len(first), kept)]]


def _spread(numbers: NDArray[np.int64]) -> list[int]:
    """Return numbers in an order in which any beginning is spread over all of them, the same for each whoever is there.

    Knuth's multiplicative hashing, The Art of Computer Programming 3, section 6.4.
    """
    spread: list[int] = numbers[np.argsort(numbers * 2654435761 % 2**32, kind="stable")].tolist()
    return spread
