"""Who sees what: conditions of queries."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, true

from tunewell.store.tables import code, dataset, experiment, job

#: In place of a user's name: somebody who sees everything.
EVERYBODY = "*"


def sees(user: str) -> ColumnElement[bool]:
    """Whether a user sees an experiment, in the bin or not."""
    if user == EVERYBODY:
        return true()
    return or_(experiment.c.visibility == "team", experiment.c.owner == user)


def sees_job(user: str) -> ColumnElement[bool]:
    """Whether a user sees a job, to which its experiment is joined, if it is about one: not one in the bin."""
    of_none = job.c.experiment_id.is_(None)
    own = of_none if user == EVERYBODY else and_(of_none, job.c.caller == user)
    there = and_(job.c.experiment_id.is_not(None), experiment.c.deleted_at.is_(None))
    return or_(own, and_(there, sees(user)))


def sees_dataset(user: str, deleted: bool) -> ColumnElement[bool]:
    """Whether a user sees a data set: one in the bin is its owner's alone."""
    if user == EVERYBODY:
        return true()
    own = dataset.c.owner == user
    return own if deleted else or_(own, dataset.c.visibility == "team")


def sees_code(user: str) -> ColumnElement[bool]:
    """Whether a user sees code: it was sent by nobody else."""
    return true() if user == EVERYBODY else code.c.owner == user
