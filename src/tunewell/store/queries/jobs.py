"""Reading jobs and requests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, select

from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import MODEL
from tunewell.spec.states import JobState
from tunewell.store import convert
from tunewell.store.queries.merging import first_of
from tunewell.store.queries.reader import Reader
from tunewell.store.queries.visible import sees_job
from tunewell.store.rows import EventRow, JobRow, RequestRow
from tunewell.store.tables import event, experiment, job, request
from tunewell.store.tables import experiment as experiment_table

_OPEN_STATES = [state for state in JobState if not state.final]
_jobs = select(job, experiment.c.name.label("experiment")).outerjoin(experiment, job.c.experiment_id == experiment.c.id)
_open_jobs = _jobs.where(job.c.state.in_(_OPEN_STATES)).order_by(job.c.id)
_requests = (
    select(request, experiment.c.name.label("experiment"))
    .outerjoin(experiment, request.c.experiment_id == experiment.c.id)
    .where(request.c.handled_at.is_(None))
    .order_by(request.c.id)
)


class JobQueries(Reader):
    """The part of the store that reads jobs and requests."""

    def job(self, job_id: int) -> JobRow:
        """Return a job; raise `NotFoundError` if there is none of this id."""
        rows = self._read_jobs(_jobs.where(job.c.id == job_id))
        if not rows:
            raise NotFoundError(f"There is no job {job_id}.")
        return rows[0]

    def jobs(
        self,
        experiment: str | None = None,
        kind: str | None = None,
        states: Collection[JobState] | None = None,
        before: int | None = None,
        limit: int | None = None,
        seen_by: str | None = None,
        model: str | None = None,
        caller: str | None = None,
    ) -> list[JobRow]:
        """Return jobs, newest first, beginning before (older than) the one with id `before`; all, or at most `limit`.

        With an `experiment` only those about it; with a `kind` or `states` only those of that kind or in one of them;
        with `seen_by` only those that this user sees; with a `model` only those about a version of this published one;
        with a `caller` only those that this user has asked for.
        """
        chosen = select(job.c.id)
        if before is not None:
            chosen = chosen.where(job.c.id < before)
        if seen_by is not None:
            chosen = chosen.outerjoin(experiment_table, job.c.experiment_id == experiment_table.c.id).where(
                sees_job(seen_by)
            )
        if kind is not None:
            chosen = chosen.where(job.c.kind == kind)
        if model is not None:
            versions = f"{MODEL}{model}@"
            start = func.substr(job.c.arguments["model"].as_string(), 1, len(versions))
            chosen = chosen.where(job.c.experiment_id.is_(None), start == versions)
        if caller is not None:
            chosen = chosen.where(job.c.caller == caller)
        if experiment is not None:  # which has hundreds at most: its index alone will do
            chosen = chosen.where(job.c.experiment_id == self._id(experiment))
            parts = [chosen if states is None else chosen.where(job.c.state.in_(states))]
        elif kind is None and states is None:
            parts = [chosen]
        else:
            parts = [chosen.where(job.c.state == state) for state in set(JobState if states is None else states)]
        if not parts:
            return []
        newest = first_of(parts, ["id"], True, limit).subquery()
        return self._read_jobs(_jobs.where(job.c.id.in_(select(newest.c.id))).order_by(job.c.id.desc()))

    def open_jobs(self) -> list[JobRow]:
        """Return the jobs that have not ended, oldest first."""
        return self._read_jobs(_open_jobs)

    def ended_jobs(self, before: float) -> list[JobRow]:
        """Return the jobs that ended before a moment, in the order of their numbers."""
        return self._read_jobs(_jobs.where(job.c.ended_at < before).order_by(job.c.id))

    def job_events(self, job_id: int, after: int = 0, limit: int | None = None) -> list[EventRow]:
        """Return the audit trail of a job, at most `limit` entries, beginning after the one with id `after`.

        A job has many of them where its machine went away often, or it was retried.
        """
        query = select(event).where(event.c.job == job_id, event.c.id > after).order_by(event.c.id).limit(limit)
        return [convert.event_row(row) for row in self._read(query)]

    def job_has_attempt(self, job_id: int, identity: str) -> bool:
        """Whether an attempt of this identity is on record at a job."""
        started = self._read(select(event.c.data).where(event.c.job == job_id, event.c.kind == "started"))
        return any((row.data or {}).get("identity") == identity for row in started)

    def requests(self, name: str) -> list[RequestRow]:
        """Return the requests about an experiment that have not been handled yet, in order."""
        query = _requests.where(request.c.experiment_id == self._id(name))
        return [convert.request_row(row) for row in self._read(query)]

    def open_requests(self) -> list[RequestRow]:
        """Return the requests about all experiments and jobs that have not been handled yet, in order."""
        return [convert.request_row(row) for row in self._read(_requests)]

    def _read_jobs(self, query: Select[Any]) -> list[JobRow]:
        return [convert.job_row(row) for row in self._read(query)]
