"""Make all tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "home",
        sa.Column("identity", sa.String(32), primary_key=True),
        sa.Column("folder", sa.Text, nullable=False),
    )
    op.create_table(
        "experiment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("identity", sa.String(32), nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("space", sa.JSON, nullable=False),
        sa.Column("algorithm", sa.JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("stop_rule", sa.String(50)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("elapsed_seconds", sa.Double, nullable=False),
    )
    _create_trial()
    _create_report()
    _create_event_and_request()


def _create_trial() -> None:
    op.create_table(
        "trial",
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(30)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("notes", sa.JSON),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("identity", sa.String(32)),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("fidelity", sa.Double, nullable=False),
        sa.Column("resume_from", sa.Integer),
        sa.Column("value", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_after", sa.Double),
        sa.Column("cost_seconds", sa.Double, nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("trial_by_state", "trial", ["experiment_id", "state", "number"])
    _create_partial_index("trial_by_value", "trial", ["experiment_id", "fidelity", "value"], "value IS NOT NULL")
    _create_partial_index("trial_noted", "trial", ["experiment_id", "number"], "notes IS NOT NULL")


def _create_report() -> None:
    op.create_table(
        "report",
        sa.Column("experiment_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("trial", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["experiment_id", "trial"], ["trial.experiment_id", "trial.number"]),
        sqlite_with_rowid=False,
    )


def _create_event_and_request() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("attempt", sa.Integer),
        sa.Column("data", sa.JSON),
    )
    op.create_index("event_by_experiment", "event", ["experiment_id", "id"])
    op.create_index("event_by_trial", "event", ["experiment_id", "trial", "id"])
    op.create_table(
        "request",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("key", sa.Text),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("handled_at", sa.Double),
    )
    op.create_index("request_by_key", "request", ["experiment_id", "key"], unique=True)
    _create_partial_index("request_unhandled", "request", ["experiment_id", "id"], "handled_at IS NULL")


def _create_partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
