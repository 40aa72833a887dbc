"""The tables. Queries are built from these; `migrations/` makes them.

A trial's row carries the facts of its latest attempt. `event` is the audit trail, and at the same time what past
attempts and the history of a tuner are read from: each fact is written once, and what ended is only ever added to.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()


def _json(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


#: One row: the home whose folders belong to this database.
home = Table(
    "home",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("folder", Text, nullable=False),
)

experiment = Table(
    "experiment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("identity", String(32), nullable=False),
    _json("spec"),
    Column("home", Text, nullable=False),
    _json("space"),
    _json("algorithm"),
    Column("state", String(20), nullable=False),
    Column("stop_rule", String(50)),
    Column("detail", Text, nullable=False),
    _json("notes"),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("elapsed_seconds", Double, nullable=False),
)

trial = Table(
    "trial",
    metadata,
    Column("experiment_id", ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(20), nullable=False),
    Column("cause", String(30)),
    Column("detail", Text, nullable=False),
    _json("notes", nullable=True),
    Column("attempt", Integer, nullable=False),
    Column("identity", String(32)),
    _json("parameters"),
    Column("origin", Text, nullable=False),
    Column("fidelity", Double, nullable=False),
    Column("resume_from", Integer),
    Column("value", Double),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("ended_after", Double),
    Column("cost_seconds", Double, nullable=False),
    Column("peak_memory_bytes", BigInteger),
    sqlite_with_rowid=False,
)
Index("trial_by_state", trial.c.experiment_id, trial.c.state, trial.c.number)
_ranked = text("value IS NOT NULL")
Index(
    "trial_by_value",
    trial.c.experiment_id,
    trial.c.fidelity,
    trial.c.value,
    sqlite_where=_ranked,
    postgresql_where=_ranked,
)

_noted = text("notes IS NOT NULL")
Index("trial_noted", trial.c.experiment_id, trial.c.number, sqlite_where=_noted, postgresql_where=_noted)

report = Table(
    "report",
    metadata,
    Column("experiment_id", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    _json("metrics"),
    Column("time", Double, nullable=False),
    ForeignKeyConstraint(["experiment_id", "trial"], ["trial.experiment_id", "trial.number"]),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id"), nullable=False),
    Column("time", Double, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("trial", Integer),
    Column("attempt", Integer),
    _json("data", nullable=True),
)
Index("event_by_experiment", event.c.experiment_id, event.c.id)
Index("event_by_trial", event.c.experiment_id, event.c.trial, event.c.id)

request = Table(
    "request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id"), nullable=False),
    Column("verb", String(20), nullable=False),
    Column("trial", Integer),
    Column("key", Text),
    _json("data"),
    Column("created_at", Double, nullable=False),
    Column("handled_at", Double),
)
Index("request_by_key", request.c.experiment_id, request.c.key, unique=True)
_unhandled = text("handled_at IS NULL")
Index(
    "request_unhandled",
    request.c.experiment_id,
    request.c.id,
    sqlite_where=_unhandled,
    postgresql_where=_unhandled,
)
