"""The bin: experiments that nobody needs, kept until somebody removes them for good."""

from __future__ import annotations

import time
from dataclasses import replace

from tunewell.home.home import Home
from tunewell.home.removal import Removal, finish_removals
from tunewell.service import wire
from tunewell.service.idempotency import Asked, once
from tunewell.service.types import JsonObject
from tunewell.spec.errors import ConflictError
from tunewell.spec.states import OPEN_JOB_STATES, JobState
from tunewell.store.rows import JobEnd
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction


def delete(store: Store, home: Home, name: str, asked: Asked) -> JsonObject:
    """Put an experiment into the bin.

    Raises:
        ConflictError: it, or a job about it, has not ended.
    """

    def act(tx: Transaction) -> JsonObject:
        term = tx.standing(name).term  # from here on, nobody else writes
        row = store.experiment(name)
        if not row.state.final:
            raise ConflictError(f"Experiment '{name}' has not ended (it is {row.state})", remedy="Stop it first")
        if row.term != term or home.is_running(name):
            raise ConflictError(f"Experiment '{name}' is being run", remedy="Wait for its end, or stop it")
        for job in store.jobs(name, states=OPEN_JOB_STATES):
            if job.state is not JobState.WAITING:
                raise ConflictError(
                    f"job {job.id} ({job.kind}) about experiment '{name}' is running", remedy="Stop it, or wait"
                )
            tx.end_waiting_job(job.id, JobEnd(JobState.STOPPED, detail="Its experiment was put into the bin."))
        tx.close_requests(name)
        tx.set_facts(name, {"deleted_at": time.time()})
        return {}

    return once(store, asked, act)


def restore(store: Store, home: Home, name: str, asked: Asked) -> JsonObject:
    """Take an experiment out of the bin; return it as it is then."""

    def act(tx: Transaction) -> JsonObject:
        tx.set_facts(name, {"deleted_at": None})
        revision = tx.standing(name).revision
        row = replace(store.experiment(name), deleted_at=None, revision=revision, version=revision)
        return wire.experiment(home, row).to_json()

    return once(store, asked, act)


def purge(store: Store, home: Home, name: str, asked: Asked) -> JsonObject:
    """Remove an experiment that is in the bin: what is on record first, then its files.

    Whoever is killed in between has left a note in the home, by which the files are removed later.

    Raises:
        ConflictError: a process that it started still runs.
    """
    finish_removals(home, store)
    jobs = [row.id for row in store.jobs(name)]
    removal = Removal.prepared(home, store, name, jobs)

    def act(tx: Transaction) -> JsonObject:
        tx.remove_experiment(name)
        return {}

    answer = once(store, asked, act)
    removal.finish()
    return answer
