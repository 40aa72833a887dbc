"""A search at one moment, small enough to be read several times a second, however many trials it has."""

from __future__ import annotations

import time

import numpy as np

from tunewell.home.home import Home
from tunewell.reports.table import CAUSES, TrialTable
from tunewell.service import pace, wire
from tunewell.service.results import result_of
from tunewell.service.table import Trials
from tunewell.service.types import Experiment, Latest, Overview
from tunewell.spec.experiment import parse_spec
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store

_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


def overview(store: Store, home: Home, name: str, trials: Trials, recent: int = 30) -> Overview:
    """Return the experiment as it is now, with its `recent` last trials; raises `NotFoundError`."""
    row = store.experiment(name)
    known, table = wire.experiment(home, row), trials.table
    unfinished = store.trials(name, states=_UNFINISHED)
    running = [trial.number for trial in unfinished if trial.state is TrialState.RUNNING]
    latest = store.latest_values(name, running, known.objective.metric)
    ended = store.last_ended(name, recent)
    return Overview(
        experiment=known,
        result=result_of(store, home, row),
        failures=_failures(table),
        trials_per_hour=pace.trials_per_hour(table, row.elapsed_seconds),
        remaining_seconds=_remaining_seconds(row, known, table),
        unfinished=tuple(map(wire.trial, unfinished)),
        ended=tuple(map(wire.trial, ended)),
        ended_places=tuple(trial.ended_order or 0 for trial in ended),
        latest={number: Latest(step=step, value=value) for number, (step, value) in latest.items()},
    )


def _failures(table: TrialTable) -> dict[Cause, int]:
    """Return cause → how many trials failed for it, the most frequent first."""
    causes, counts = np.unique(table.causes[table.in_state(TrialState.FAILED)], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {CAUSES[causes[place]]: int(counts[place]) for place in order if causes[place] >= 0}


def _remaining_seconds(row: ExperimentRow, known: Experiment, table: TrialTable) -> float | None:
    if row.state is not ExperimentState.RUNNING or not known.running:
        return None
    seconds = pace.remaining_seconds(table, row.elapsed_seconds, known.max_trials, time.time())
    longest = parse_spec(row.spec).max_duration.total_seconds() - row.elapsed_seconds
    return None if seconds is None else max(0.0, min(seconds, longest))
