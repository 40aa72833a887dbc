"""Who sees what: conditions of queries."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, or_, true

from tunewell.store.tables import code, dataset, event, experiment, job, model

#: In place of a user's name: somebody who sees everything.
EVERYBODY = "*"
#: Kinds of the jobs about which nobody but their callers learns: they are about data of these.
OF_CALLERS = ("predict", "evaluate-model")


def sees(user: str) -> ColumnElement[bool]:
    """Whether a user sees an experiment, in the bin or not."""
    if user == EVERYBODY:
        return true()
    return or_(experiment.c.visibility == "team", experiment.c.owner == user)


def sees_job(user: str) -> ColumnElement[bool]:
    """Whether a user sees a job, to which its experiment is joined, if it is about one: not one in the bin.

    What somebody gave a model to look at is theirs alone.
    """
    of_none = job.c.experiment_id.is_(None)
    there = and_(job.c.experiment_id.is_not(None), experiment.c.deleted_at.is_(None))
    if user == EVERYBODY:
        return or_(of_none, there)
    own = job.c.caller == user
    return or_(and_(of_none, own), and_(there, sees(user), or_(job.c.kind.not_in(OF_CALLERS), own)))


def sees_event(user: str) -> ColumnElement[bool]:
    """Whether a user who sees an experiment sees an entry of its audit trail: it may be about somebody's own job."""
    if user == EVERYBODY:
        return true()
    return ~exists().where(job.c.id == event.c.job, job.c.kind.in_(OF_CALLERS), job.c.caller != user)


def sees_dataset(user: str, deleted: bool) -> ColumnElement[bool]:
    """Whether a user sees a data set: one in the bin is its owner's alone."""
    if user == EVERYBODY:
        return true()
    own = dataset.c.owner == user
    return own if deleted else or_(own, dataset.c.visibility == "team")


def sees_model(user: str, deleted: bool = False) -> ColumnElement[bool]:
    """Whether a user sees a model: one in the bin is its owner's alone."""
    if user == EVERYBODY:
        return true()
    own = model.c.owner == user
    return own if deleted else or_(own, model.c.visibility == "team")


def sees_code(user: str) -> ColumnElement[bool]:
    """Whether a user sees code: it was sent by nobody else."""
    return true() if user == EVERYBODY else code.c.owner == user
