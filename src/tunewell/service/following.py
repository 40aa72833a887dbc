"""Waiting for a job, and watching a search, for fronts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tunewell.service.types import Event, Job, JsonObject
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import JobFailed
from tunewell.spec.states import Cause, ExperimentState, JobState

OnChange = Callable[[Job], None]
#: How often a job is asked for.
INTERVAL_SECONDS = 0.5


def follow(
    verbs: Verbs,
    job: Job,
    on_change: OnChange = lambda job: None,
) -> JsonObject:
    """Wait for the end of a job, and return its result.

    Args:
        verbs: where it is on record.
        job: as a verb has returned it.
        on_change: told whenever something about it has changed.

    Raises:
        JobFailed: it failed, or was stopped.
    """
    while not job.state.final:
        time.sleep(INTERVAL_SECONDS)
        seen, job = job.version, verbs.job(job.id)
        if job.version != seen:
            on_change(job)
    return result_of(job)


def watch(verbs: Verbs, name: str, after: int) -> Iterator[Event]:
    """Yield what happens to an experiment until it has ended, by looking now and then; see `Verbs.watch`."""
    while True:
        over = verbs.experiment(name).state.final
        while events := verbs.events(name, after):
            yield from events
            after = events[-1].id
        if over:
            return
        time.sleep(INTERVAL_SECONDS)


def ends_search(event: Event) -> bool:
    """Whether an entry says that a search has ended; it may have gone on since."""
    return event.kind == "state" and ExperimentState(event.data["new"]).final


def result_of(job: Job) -> JsonObject:
    """Return the result of a job that has ended; raise `JobFailed` if it failed, or was stopped."""
    if job.state is not JobState.SUCCEEDED:
        raise JobFailed(why_failed(job), job.cause)
    return job.result or {}


def why_failed(job: Job) -> str:
    """Return, for people, why a job has ended without its result, and where to read more."""
    why = job.detail or f"Job {job.id} was stopped."
    why += "." if why[-1:].isalnum() else ""
    here = job.log is not None and Path(job.log).is_absolute()  # one from elsewhere is told as from its home
    log = f" The whole log: {job.log}" if here and job.cause is not Cause.DATA_ERROR else ""
    return why + log
