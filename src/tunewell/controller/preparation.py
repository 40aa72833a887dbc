"""The job that prepares the data of a search: no trial starts before it has ended."""

from __future__ import annotations

from collections.abc import Callable

from tunewell.controller.journal import Effect, Journal
from tunewell.spec.names import CONTROLLER
from tunewell.spec.states import OPEN_JOB_STATES
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction


class Preparation:
    """What one run of a search waits for before it starts trials."""

    def __init__(self, experiment: str, store: Store, clock: Callable[[], float]) -> None:
        """Wait for nothing yet."""
        self._experiment, self._store, self._clock = experiment, store, clock
        #: Whether it was asked for, and has not ended.
        self.under_way = False
        #: Number of the job, once it is on record.
        self.job: int | None = None
        #: The same, as soon as it is written: a transaction may yet be undone.
        self._written: int | None = None

    def begin(self, journal: Journal, *effects: Effect) -> None:
        """Ask for the job; the effects follow once that is on record."""
        self.under_way = True
        journal.add(self._add, self._await, *effects)

    def stop(self, journal: Journal) -> None:
        """Ask for its end, if it is under way by then: nothing is left to be prepared for."""
        journal.add(self._stop)

    def end(self) -> None:
        """Wait for it no more."""
        self.under_way, self.job, self._written = False, None, None

    def _await(self) -> None:
        self.job = self._written

    def _add(self, tx: Transaction) -> None:
        known = self._store.jobs(self._experiment, kind="prepare", states=OPEN_JOB_STATES, limit=1)
        if known and all(request.job != known[0].id for request in self._store.open_requests()):
            self._written = known[0].id  # since before the last controller of the search went away
        else:
            after = known[0].id if known else None  # one that is being stopped
            self._written = tx.add_job("prepare", self._experiment, caller=CONTROLLER, after=after, now=self._clock())

    def _stop(self, tx: Transaction) -> None:
        if self._written is not None and not self._store.job(self._written).state.final:
            tx.add_request(name=None, verb="stop_job", job=self._written)
