"""What those who watch over a service ask: whether it can do its work, and how much there is of everything."""

from __future__ import annotations

from tunewell.home.home import Home
from tunewell.service.types import Figures, Readiness
from tunewell.spec.errors import DataError
from tunewell.spec.states import JobState, TrialState
from tunewell.store.store import Store


def readiness(store: Store, home: Home) -> Readiness:
    """Return whether the database can be read and a controller runs what is on record."""
    try:
        store.version()
        served = home.is_served
    except DataError:
        return Readiness(database=False, controller=False, ready=False)
    return Readiness(database=True, controller=served, ready=served)


def figures(store: Store) -> Figures:
    """Return how much there is of everything."""
    found = store.tallies()
    return Figures(
        experiments=found.experiments,
        trials=found.trials,
        jobs=found.jobs,
        running=found.trials[TrialState.RUNNING] + found.jobs[JobState.RUNNING],
        waiting=found.trials[TrialState.WAITING] + found.jobs[JobState.WAITING],
    )
