"""The statements that are executed again and again, built once: building one costs more than executing it.

Each that moves a trial names the state that it starts from, and changes nothing if that is no longer true: check and
change are one step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Insert,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from tunewell.spec.states import TRIAL_TRANSITIONS, TrialState
from tunewell.store.dialect import InsertFunction
from tunewell.store.tables import event, experiment, report, trial

#: Final states that a trial can leave again.
RETRIED_STATES = [s.value for s in TrialState if s.final and TrialState.WAITING in TRIAL_TRANSITIONS[s]]

# A parameter named like a column would be one of the values of an update.
_this_trial = and_(trial.c.experiment_id == bindparam("of_experiment"), trial.c.number == bindparam("of_trial"))
_waiting = and_(_this_trial, trial.c.state == literal_column(f"'{TrialState.WAITING}'"))
_running = and_(
    _this_trial,
    trial.c.attempt == bindparam("of_attempt"),
    trial.c.state == literal_column(f"'{TrialState.RUNNING}'"),
)
_now = bindparam("now", type_=Double)
_cost = trial.c.cost_seconds + bindparam("seconds", type_=Double)


@cache
def add_trial(insert: InsertFunction) -> Insert:
    """Insert a trial that waits, unless its number is not the next one."""
    given = ["experiment_id", "number", "parameters", "origin", "fidelity", "resume_from", "created_at"]
    values = [bindparam(name, type_=trial.c[name].type) for name in given]
    constant = {"state": f"'{TrialState.WAITING}'", "detail": "''", "attempt": "0", "cost_seconds": "0"}
    constants: list[ColumnElement[Any]] = [literal_column(value) for value in constant.values()]
    last = select(func.coalesce(func.max(trial.c.number), 0)).where(trial.c.experiment_id == bindparam("experiment_id"))
    new = select(*values, *constants).where(bindparam("number") == last.scalar_subquery() + 1)
    added = insert(trial).from_select([*given, *constant], new).on_conflict_do_nothing()
    return added.execution_options(preserve_rowcount=True)


@cache
def add_reports(insert: InsertFunction) -> Insert:
    """Insert a report unless it is there already, or its attempt is not the one that runs."""
    given = {"experiment_id": "of_experiment", "trial": "of_trial", "attempt": "of_attempt"}
    names = [column.name for column in report.columns]
    new = select(*(bindparam(given.get(name, name), type_=report.c[name].type) for name in names)).where(_running)
    added = insert(report).from_select(names, new).on_conflict_do_nothing()
    return added.execution_options(preserve_rowcount=True)


_this_attempt = and_(
    report.c.experiment_id == bindparam("of_experiment"),
    report.c.trial == bindparam("of_trial"),
    report.c.attempt == bindparam("of_attempt"),
)
#: What the running attempt has reported from one step to another.
REPORTED = select(report.c.step, report.c.metrics).where(
    _this_attempt,
    report.c.step.between(bindparam("first"), bindparam("last")),
    select(trial.c.number).where(_running).exists(),
)
SET_METRICS = (
    update(report)
    .where(_this_attempt, report.c.step == bindparam("of_step"))
    .values(metrics=bindparam("merged", type_=report.c.metrics.type))
)


#: A waiting trial's next attempt.
START_ATTEMPT = (
    update(trial)
    .where(_waiting, trial.c.attempt + 1 == bindparam("next_attempt"))
    .values(
        state=TrialState.RUNNING.value,
        attempt=bindparam("next_attempt"),
        identity=bindparam("new_identity"),
        started_at=_now,
        peak_memory_bytes=None,
    )
)

#: Back to waiting; returns when the attempt started, its identity, and what all attempts have cost together.
LOSE_ATTEMPT = (
    update(trial)
    .where(_running)
    .values(state=TrialState.WAITING.value, cost_seconds=_cost)
    .returning(trial.c.started_at, trial.c.cost_seconds, trial.c.identity)
)

#: The end of the running attempt and its trial; returns what `LOSE_ATTEMPT` does.
FINISH_TRIAL = (
    update(trial)
    .where(_running)
    .values(
        state=bindparam("state"),
        cause=bindparam("cause"),
        detail=bindparam("detail"),
        notes=bindparam("notes", type_=trial.c.notes.type),
        value=bindparam("value"),
        peak_memory_bytes=bindparam("peak_memory_bytes"),
        ended_at=_now,
        ended_after=bindparam("ended_after", type_=Double),
        cost_seconds=_cost,
    )
    .returning(trial.c.started_at, trial.c.cost_seconds, trial.c.identity)
)

#: The end of a trial that waits; returns its latest attempt and its cost.
STOP_WAITING = (
    update(trial)
    .where(_waiting)
    .values(state=TrialState.STOPPED.value, ended_at=_now)
    .returning(trial.c.attempt, trial.c.cost_seconds)
)

#: A trial that ended and is to run again; returns its latest attempt.
RETRY = (
    update(trial)
    .where(_this_trial, trial.c.state.in_(RETRIED_STATES))
    .values(state=TrialState.WAITING.value, cause=None, detail="", notes=null(), value=None)
    .values(ended_at=None, ended_after=None)
    .returning(trial.c.attempt)
)

ADD_ELAPSED = (
    update(experiment)
    .where(experiment.c.id == bindparam("of_experiment"))
    .values(elapsed_seconds=experiment.c.elapsed_seconds + bindparam("seconds", type_=Double))
)

ADD_EVENT = insert(event)
