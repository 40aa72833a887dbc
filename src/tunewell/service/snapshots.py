"""A search at one moment, small enough to be read several times a second."""

from __future__ import annotations

from tunewell.home.home import Home
from tunewell.service import wire
from tunewell.service.results import result_of
from tunewell.service.types import Latest, Snapshot
from tunewell.spec.states import TrialState
from tunewell.store.store import Store

_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


def snapshot(store: Store, home: Home, name: str, recent: int = 30) -> Snapshot:
    """Return the experiment as it is now, with its `recent` last trials; raises `NotFoundError`."""
    row = store.experiment(name)
    metric = wire.objective_of(row).metric
    unfinished = store.trials(name, states=_UNFINISHED)
    latest = {}
    for trial in unfinished:
        value = store.latest_value(name, trial.number, metric) if trial.state is TrialState.RUNNING else None
        if value is not None:
            latest[trial.number] = Latest(step=value[0], value=value[1])
    return Snapshot(
        experiment=wire.experiment(home, row),
        result=result_of(store, home, row),
        unfinished=tuple(map(wire.trial, unfinished)),
        ended=tuple(map(wire.trial, store.last_ended(name, recent))),
        latest=latest,
    )
