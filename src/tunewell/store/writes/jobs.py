"""Writing on jobs: their transitions, each with its event, their progress, and whose they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select, update

from tunewell.spec.errors import TransitionRefused
from tunewell.spec.states import Cause, JobState
from tunewell.store import job_statements as statements
from tunewell.store.rows import EventKind, JobEnd, JsonObject
from tunewell.store.tables import job, request
from tunewell.store.writes.writer import Writer, clean, cleaned, or_present


class JobWrites(Writer):
    """The part of a transaction that is about jobs."""

    def add_job(
        self,
        kind: str,
        experiment: str | None = None,
        arguments: JsonObject | None = None,
        caller: str = "",
        after: int | None = None,
        now: float | None = None,
    ) -> int:
        """Add a job that waits, and return its id.

        Args:
            kind: what is to be done.
            experiment: name of the experiment that it is about.
            arguments: what the job needs to know.
            caller: who asks for it.
            after: id of a job that must have ended before, well or not.
            now: date.
        """
        now = or_present(now)
        this = None if experiment is None else self._find(experiment).id
        new = (
            self._dialect.insert(job)
            .values(kind=kind, experiment_id=this, arguments=arguments or {}, caller=caller, after=after)
            .values(state=JobState.WAITING, detail="", notes=[], progress={}, part=0, attempt=0, term=0, version=0)
            .values(created_at=now, cost_seconds=0.0)
            .returning(job.c.id)
        )
        added: int = self._execute(new).scalar_one()
        self._job_experiments[added] = this
        self._note(added, "created", now, data={"kind": kind, "caller": caller})
        return added

    def job_arguments(self, kind: str, experiment: str | None, states: Collection[JobState]) -> dict[int, JsonObject]:
        """Return id → arguments of the jobs of a kind about an experiment that are in one of these states.

        That stays so until the transaction ends, but for what it writes itself.
        """
        this = None if experiment is None else self._find(experiment).id
        wanted = (job.c.kind == kind, job.c.experiment_id == this, job.c.state.in_(states))
        return {row.id: row.arguments for row in self._execute(select(job.c.id, job.c.arguments).where(*wanted))}

    def take_over_job(self, job_id: int) -> int:
        """Make the caller the owner of a job, and return its term: who names an earlier one is refused."""
        self._experiment_of(job_id)
        taken = update(job).where(job.c.id == job_id).values(term=job.c.term + 1, waits_for=None)
        term: int = self._execute(taken.returning(job.c.term)).scalar_one()
        self._touched_jobs.add(job_id)
        return term

    def set_job_wait(self, job_id: int, waits_for: JsonObject | None) -> None:
        """Say why a job waits (see `Reason.to_json`); None: nothing is known to keep it."""
        self._execute(update(job).where(job.c.id == job_id).values(waits_for=waits_for))
        self._touched_jobs.add(job_id)

    def name_job_term(self, job_id: int, term: int, mark: str | None = None) -> None:
        """Write to a job only if `term` is still its term; see `name_term`."""
        self._job_terms[job_id] = term
        self._job_marks[job_id] = mark

    def start_job(
        self,
        job_id: int,
        attempt: int,
        identity: str,
        now: float | None = None,
        host: str = "",
        resources: JsonObject | None = None,
    ) -> None:
        """Move a job from waiting to running; the attempt must be the one after its last (the first is 1).

        Refused while the job that it has to wait for has not ended. `identity` is what the attempt's folder has,
        `host` the machine that it is bound to, `resources` what it takes; see `Resources.to_json`.
        """
        now = or_present(now)
        values = {
            "of_job": job_id,
            "next_attempt": attempt,
            "new_identity": identity,
            "new_host": host,
            "new_progress": {},
            "new_resources": resources,
            "now": now,
        }
        if self._execute(statements.START_JOB, values).rowcount != 1:
            raise self._job_refusal(job_id, f"to start attempt {attempt}")
        self._note(job_id, "started", now, attempt, {"identity": identity})

    def report_job(self, job_id: int, progress: Mapping[str, float], *, attempt: int) -> None:
        """Replace the progress of a job (what → share done, 0 to 1), if the attempt is the one that runs.

        As durable as reports of trials.
        """
        self._reports.add_progress(job_id, attempt, progress)
        self._touched_jobs.add(job_id)

    def next_part(
        self, job_id: int, part: int, *, attempt: int, seconds: float = 0.0, now: float | None = None
    ) -> None:
        """Move a job from running back to waiting, because its attempt has done a part of it.

        `part` is the number of parts that are done now, one more than before; the attempt took `seconds`.
        """
        now = or_present(now)
        values = {"of_job": job_id, "of_attempt": attempt, "parts_done": part, "seconds": seconds}
        row = self._execute(statements.NEXT_PART, values).first()
        if row is None:
            raise self._job_refusal(job_id, f"to end part {part} by attempt {attempt}")
        self._note(job_id, "part", now, attempt, {"part": part, **row._mapping})

    def lose_job(
        self,
        job_id: int,
        attempt: int,
        cause: Cause | None,
        detail: str,
        seconds: float = 0.0,
        now: float | None = None,
        last_step: int | None = None,
    ) -> None:
        """Move a job from running back to waiting, because its attempt went away through no fault of its own.

        `last_step` is the largest step that it reported; None: it reported none.
        """
        now = or_present(now)
        values = {"of_job": job_id, "of_attempt": attempt, "seconds": seconds}
        row = self._execute(statements.LOSE_JOB, values).first()
        if row is None:
            raise self._job_refusal(job_id, f"to lose attempt {attempt}")
        facts = {"cause": cause and cause.value, "detail": clean(detail), "last_step": last_step}
        self._note(job_id, "lost", now, attempt, {**facts, **row._mapping})

    def finish_job(self, job_id: int, attempt: int, end: JobEnd) -> None:
        """Move a job from running to a final state; what is asked of it is handled with that."""
        assert end.state.final, end
        now = or_present(end.now)
        facts = {
            "state": end.state.value,
            "cause": end.cause and end.cause.value,
            "detail": clean(end.detail),
            "notes": cleaned(end.notes) or [],
            "peak_memory_bytes": end.peak_memory_bytes,
        }
        this = {"of_job": job_id, "of_attempt": attempt, "seconds": end.seconds, "now": now}
        row = self._execute(statements.FINISH_JOB, {**this, **facts, "new_result": end.result}).first()
        if row is None:
            raise self._job_refusal(job_id, f"to end attempt {attempt} as {end.state}")
        self._close_requests(job_id, now)
        self._note(job_id, "ended", now, attempt, {**facts, **row._mapping})

    def end_waiting_job(self, job_id: int, end: JobEnd) -> None:
        """Move a job from waiting to a final state: it was stopped, can't be done, or needs nothing to be run.

        What is asked of it is handled with that.
        """
        assert end.state.final, end
        now = or_present(end.now)
        facts = {
            "state": end.state.value,
            "cause": end.cause and end.cause.value,
            "detail": clean(end.detail),
            "notes": cleaned(end.notes) or [],
        }
        values = {"of_job": job_id, "now": now, **facts, "new_result": end.result}
        row = self._execute(statements.END_WAITING_JOB, values).first()
        if row is None:
            raise self._job_refusal(job_id, f"to end it as {end.state} while it waits")
        self._close_requests(job_id, now)
        self._note(job_id, "ended", now, row.attempt, {**facts, **row._mapping})

    def retry_job(self, job_id: int, now: float | None = None) -> None:
        """Move a failed or stopped job back to waiting, to go on behind the parts that are done."""
        row = self._execute(statements.RETRY_JOB, {"of_job": job_id, "no_notes": [], "new_progress": {}}).first()
        if row is None:
            raise self._job_refusal(job_id, "to run it again")
        self._note(job_id, "retried", or_present(now), row.attempt)

    def _close_requests(self, job_id: int, now: float) -> None:
        """Call handled what was asked of a job that has ended: it is not meant for its next life."""
        open_ = (request.c.job == job_id, request.c.handled_at.is_(None))
        self._execute(update(request).where(*open_).values(handled_at=now))

    def _note(
        self,
        job_id: int,
        kind: EventKind,
        now: float,
        attempt: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Record what has happened to a job."""
        self._touched_jobs.add(job_id)
        experiment = self._experiment_of(job_id)
        self._add_event(kind, now, experiment=experiment, job=job_id, attempt=attempt, data=data)

    def _job_refusal(self, job_id: int, wish: str) -> TransitionRefused:
        row = self._connection.execute(
            select(job.c.state, job.c.attempt, job.c.after).where(job.c.id == job_id)
        ).first()
        if row is None:
            return TransitionRefused(f"there is no job {job_id}: refused {wish}")
        after = "" if row.after is None else f", it comes after job {row.after}"
        return TransitionRefused(
            f"job {job_id} is {row.state}, its latest attempt is {row.attempt}{after}: refused {wish}"
        )
