"""The indexes of the tables, which migrations are compared with. Queries need not know them.

Declaring one for PostgreSQL imports all that SQLAlchemy has for it: with the tables, each command would wait for that.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, text

from tunewell.store.tables import (
    audit,
    channel,
    dataset,
    delivery,
    event,
    experiment,
    job,
    model,
    model_version,
    request,
    result,
    token,
    trial,
    upload,
)
from tunewell.store.tables import metadata as metadata


def _partial_index(name: str, condition: str, *columns: Column[object]) -> None:
    where = text(condition)
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


def _version_index(name: str, column: Column[object]) -> None:
    """Index what changes with every transaction; PostgreSQL rewrites a row in its place only without a B-tree on it."""
    Index(name, column, postgresql_using="brin", postgresql_with={"pages_per_range": 4})


Index("experiment_by_state", experiment.c.state, experiment.c.id)
Index("experiment_by_owner", experiment.c.owner, experiment.c.id)
_partial_index("experiment_by_dataset", "dataset_id IS NOT NULL", experiment.c.dataset_id)
_version_index("experiment_by_version", experiment.c.version)
Index("trial_by_state", trial.c.experiment_id, trial.c.state, trial.c.number)
# Of ended trials alone, so that a trial enters each once. Lists by other columns are made from `trial_columns`.
_ended, _failed = "ended_order IS NOT NULL", "cause IS NOT NULL"
_partial_index("trial_by_end", _ended, trial.c.experiment_id, trial.c.state, trial.c.ended_order, trial.c.number)
_partial_index("trial_by_cause", _failed, trial.c.experiment_id, trial.c.cause, trial.c.number)
_partial_index("trial_best", "loss IS NOT NULL AND fidelity = 1", trial.c.experiment_id, trial.c.loss, trial.c.number)
_partial_index(
    "trial_best_in_part", "loss IS NOT NULL AND fidelity < 1", trial.c.experiment_id, trial.c.loss, trial.c.number
)
_partial_index("trial_by_cut", "cut_by IS NOT NULL", trial.c.experiment_id, trial.c.cut_by)
_partial_index("trial_noted", "notes IS NOT NULL", trial.c.experiment_id, trial.c.number)
Index("job_by_experiment", job.c.experiment_id, job.c.id)
Index("job_by_state", job.c.state, job.c.id)
Index("job_by_kind", job.c.kind, job.c.state, job.c.id)
_version_index("job_by_version", job.c.version)
Index("result_by_trial", result.c.experiment_id, result.c.kind, result.c.trial, unique=True)
Index("event_by_experiment", event.c.experiment_id, event.c.id)
Index("event_by_trial", event.c.experiment_id, event.c.trial, event.c.id)
_partial_index("event_by_job", "job IS NOT NULL", event.c.job, event.c.id)
Index("request_by_key", request.c.experiment_id, request.c.key, unique=True)
Index("request_by_job_key", request.c.job, request.c.key, unique=True)
_partial_index("request_unhandled", "handled_at IS NULL", request.c.id)
Index("token_by_owner", token.c.owner, token.c.id)
Index("audit_by_caller", audit.c.caller, audit.c.id)
Index("audit_by_verb", audit.c.verb, audit.c.id)
Index("upload_by_owner", upload.c.owner)
Index("dataset_by_owner", dataset.c.owner)
Index("dataset_by_content", dataset.c.sha256)
Index("model_by_owner", model.c.owner)
_version_index("model_by_version", model.c.version)
Index("model_version_by_content", model_version.c.sha256)
Index("channel_by_owner", channel.c.owner, channel.c.id)
Index("delivery_by_channel", delivery.c.channel_id, delivery.c.id)
_partial_index("delivery_waiting", "state = 'waiting'", delivery.c.channel_id, delivery.c.next_at)
