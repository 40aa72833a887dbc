"""Waiting for a job, for fronts."""

from __future__ import annotations

import time
from collections.abc import Callable

from tunewell.service.types import Job, JsonObject
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import TunewellError
from tunewell.spec.states import Cause, JobState


class JobFailed(TunewellError):
    """A job ended without its result; the message says why."""

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        """Say why; `cause` is that of its last attempt."""
        super().__init__(message)
        self.cause = cause


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


def result_of(job: Job) -> JsonObject:
    """Return the result of a job that has ended; raise `JobFailed` if it failed, or was stopped."""
    if job.state is not JobState.SUCCEEDED:
        raise JobFailed(why_failed(job), job.cause)
    return job.result or {}


def why_failed(job: Job) -> str:
    """Return, for people, why a job has ended without its result, and where to read more."""
    why = job.detail or f"Job {job.id} was stopped."
    why += "." if why[-1:].isalnum() else ""
    log = f" The whole log: {job.log}" if job.log is not None and job.cause is not Cause.DATA_ERROR else ""
    return why + log
