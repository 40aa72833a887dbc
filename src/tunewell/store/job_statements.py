"""The statements on jobs, like those on trials: each that moves a job names the state that it starts from."""

from __future__ import annotations

from sqlalchemy import Double, Integer, and_, bindparam, func, literal_column, null, or_, select, update

from tunewell.spec.states import FINAL_JOB_STATES, JOB_TRANSITIONS, JobState
from tunewell.store.tables import job

#: Final states that a job can leave again.
_RETRIED_STATES = [s.value for s in JobState if s.final and JobState.WAITING in JOB_TRANSITIONS[s]]

_this_job = job.c.id == bindparam("of_job")
_waiting = and_(_this_job, job.c.state == literal_column(f"'{JobState.WAITING}'"))
_running = and_(
    _this_job, job.c.attempt == bindparam("of_attempt"), job.c.state == literal_column(f"'{JobState.RUNNING}'")
)
_now = bindparam("now", type_=Double)
_cost = job.c.cost_seconds + bindparam("seconds", type_=Double)
_earlier = job.alias("earlier")

#: A waiting job's next attempt, unless it has to wait for another job.
START_JOB = (
    update(job)
    .where(
        _waiting,
        job.c.attempt + 1 == bindparam("next_attempt"),
        or_(
            job.c.after.is_(None),
            select(_earlier.c.id)
            .where(_earlier.c.id == job.c.after, _earlier.c.state.in_(sorted(FINAL_JOB_STATES)))
            .exists(),
        ),
    )
    .values(
        state=JobState.RUNNING.value,
        attempt=bindparam("next_attempt"),
        identity=bindparam("new_identity"),
        host=bindparam("new_host"),
        started_at=_now,
        progress=bindparam("new_progress", type_=job.c.progress.type),
        resources=bindparam("new_resources", type_=job.c.resources.type),
        waits_for=null(),
        peak_memory_bytes=None,
    )
)

REPORT_JOB = update(job).where(_running).values(progress=bindparam("new_progress", type_=job.c.progress.type))

#: Back to waiting; returns when the attempt started, its identity, and what all attempts have cost together.
LOSE_JOB = (
    update(job)
    .where(_running)
    .values(state=JobState.WAITING.value, cost_seconds=_cost)
    .returning(job.c.started_at, job.c.cost_seconds, job.c.identity)
)

#: Back to waiting with one more part done, which must be the next one; returns what `LOSE_JOB` does.
NEXT_PART = (
    update(job)
    .where(_running, job.c.part + 1 == bindparam("parts_done"))
    .values(state=JobState.WAITING.value, cost_seconds=_cost, part=bindparam("parts_done"))
    .returning(job.c.started_at, job.c.cost_seconds, job.c.identity)
)

#: The end of the running attempt and its job; returns what `LOSE_JOB` does.
FINISH_JOB = (
    update(job)
    .where(_running)
    .values(
        state=bindparam("state"),
        cause=bindparam("cause"),
        detail=bindparam("detail"),
        notes=bindparam("notes", type_=job.c.notes.type),
        result=bindparam("new_result", type_=job.c.result.type),
        peak_memory_bytes=bindparam("peak_memory_bytes"),
        ended_at=_now,
        cost_seconds=_cost,
    )
    .returning(job.c.started_at, job.c.cost_seconds, job.c.identity)
)

#: The end of a job that waits; returns its latest attempt and its cost.
END_WAITING_JOB = (
    update(job)
    .where(_waiting)
    .values(
        state=bindparam("state"),
        cause=bindparam("cause"),
        detail=bindparam("detail"),
        notes=bindparam("notes", type_=job.c.notes.type),
        result=bindparam("new_result", type_=job.c.result.type),
        waits_for=null(),
        ended_at=_now,
    )
    .returning(job.c.attempt, job.c.cost_seconds)
)

#: A job that ended and is to run again, after the parts that are done; returns its latest attempt.
RETRY_JOB = (
    update(job)
    .where(_this_job, job.c.state.in_(_RETRIED_STATES))
    .values(state=JobState.WAITING.value, cause=None, detail="", result=null(), ended_at=None)
    .values(
        notes=bindparam("no_notes", type_=job.c.notes.type),
        progress=bindparam("new_progress", type_=job.c.progress.type),
    )
    .returning(job.c.attempt)
)

#: Give a touched job the transaction's number, if the term is the one that was named.
TOUCH_JOB = (
    update(job)
    .where(_this_job, job.c.term == func.coalesce(bindparam("named_term", type_=Integer), job.c.term))
    .values(
        version=bindparam("new_version"), mark=func.coalesce(bindparam("new_mark", type_=job.c.mark.type), job.c.mark)
    )
    .execution_options(preserve_rowcount=True)
)
