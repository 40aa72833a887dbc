"""The statements on trials, executed again and again and so built once: building one costs more than executing it.

Each that moves a trial names the state that it starts from, and changes nothing if that is no longer true: check and
change are one step.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Insert,
    Integer,
    Select,
    Update,
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
from tunewell.store.tables import event, experiment, report, trial, usage

if TYPE_CHECKING:
    from tunewell.store.dialect import InsertFunction

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
_place = bindparam("ended_order", type_=BigInteger)


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
        host=bindparam("new_host"),
        started_at=_now,
        peak_memory_bytes=None,
        planned_epochs=bindparam("planned_epochs"),
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
        loss=bindparam("loss", type_=Double),
        peak_memory_bytes=bindparam("peak_memory_bytes"),
        epochs=bindparam("epochs"),
        cut_by=bindparam("cut_by"),
        ended_at=_now,
        ended_after=bindparam("ended_after", type_=Double),
        ended_order=_place,
        cost_seconds=_cost,
    )
    .returning(trial.c.started_at, trial.c.cost_seconds, trial.c.identity)
)

#: The end of a trial that waits; returns its latest attempt and its cost.
STOP_WAITING = (
    update(trial)
    .where(_waiting)
    .values(state=TrialState.STOPPED.value, ended_at=_now, ended_order=_place)
    .returning(trial.c.attempt, trial.c.cost_seconds)
)

#: A trial that ended and may run again.
RETRIABLE = select(trial.c.state, trial.c.attempt, trial.c.notes).where(_this_trial, trial.c.state.in_(RETRIED_STATES))
RETRY = (
    update(trial)
    .where(_this_trial)
    .values(state=TrialState.WAITING.value, cause=None, detail="", notes=null(), value=None, loss=None)
    .values(ended_at=None, ended_after=None, ended_order=None, epochs=None, cut_by=None)
)

#: The trial that another one goes on from, if that is the one of the default configuration, trained in part.
DEFAULT_TRIAL = select(trial.c.parameters).where(
    _this_trial,
    trial.c.fidelity < 1,
    select(experiment.c.id)
    .where(experiment.c.id == bindparam("of_experiment"), experiment.c.default_trial == bindparam("of_trial"))
    .exists(),
)
SET_DEFAULT_TRIAL = (
    update(experiment).where(experiment.c.id == bindparam("of_experiment")).values(default_trial=bindparam("of_trial"))
)


def ranking(selected: Any, experiment_id: ColumnElement[Any], in_full: bool) -> Select[Any]:
    """Select from the trials of an experiment that count, best first: those trained in full, or the others."""
    fidelity: ColumnElement[bool] = literal_column("fidelity = 1" if in_full else "fidelity < 1")
    this = (trial.c.experiment_id == experiment_id, trial.c.loss.is_not(None), fidelity)
    return select(selected).where(*this).order_by(trial.c.loss, trial.c.number)


def _best(column: ColumnElement[Any]) -> ColumnElement[Any]:
    this = bindparam("of_experiment", type_=Integer)
    in_full, in_part = (
        ranking(column, this, in_full).limit(literal_column("1")).correlate(None).scalar_subquery()
        for in_full in (True, False)
    )
    return func.coalesce(in_full, in_part)


@cache
def touch(summed: tuple[str, ...], ranked: bool) -> Update:
    """Give a touched experiment the transaction's number, if the term is the one that was named.

    Args:
        summed: the columns to which something is added.
        ranked: whether the ranking of its trials may have changed.
    """
    more = {name: experiment.c[name] + bindparam(f"more_{name}", type_=experiment.c[name].type) for name in summed}
    best = {"best_trial": _best(trial.c.number), "best_value": _best(trial.c.value)} if ranked else {}
    term = func.coalesce(bindparam("named_term", type_=Integer), experiment.c.term)
    touched = update(experiment).where(experiment.c.id == bindparam("of_experiment"), experiment.c.term == term)
    mark = func.coalesce(bindparam("new_mark", type_=experiment.c.mark.type), experiment.c.mark)
    touched = touched.values({**more, **best, "version": bindparam("new_version"), "mark": mark})
    return touched.execution_options(preserve_rowcount=True)


ADD_EVENT = insert(event)


@cache
def add_usage(insert: InsertFunction) -> Insert:
    """Add to what a user has used in a month."""
    new = insert(usage)
    sums = {name: usage.c[name] + new.excluded[name] for name in ("cpu_seconds", "gpu_seconds")}
    return new.on_conflict_do_update(index_elements=["owner", "month"], set_=sums)
