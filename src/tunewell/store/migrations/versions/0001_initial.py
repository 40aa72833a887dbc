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
        "change",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("moved_to", sa.Text),
    )
    op.execute("INSERT INTO change (id, number) VALUES (1, 0)")
    _create_storage()
    _create_model()
    _create_experiment()
    _create_trial()
    _create_report()
    _create_job()
    _create_result()
    _create_event()
    _create_request()
    _create_account()
    _create_usage()
    _create_token()
    _create_audit()
    _create_notifications()
    _create_answer()


def _create_experiment() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(151), nullable=False, unique=True),
        sa.Column("owner", sa.String(50), nullable=False),
        sa.Column("visibility", sa.String(10), nullable=False),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.Column("identity", sa.String(32), nullable=False),
        sa.Column("goal", sa.String(10), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("stop_rule", sa.String(50)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("term", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.String(32)),
        sa.Column("waiting_trials", sa.Integer, nullable=False),
        sa.Column("running_trials", sa.Integer, nullable=False),
        sa.Column("succeeded_trials", sa.Integer, nullable=False),
        sa.Column("stopped_trials", sa.Integer, nullable=False),
        sa.Column("pruned_trials", sa.Integer, nullable=False),
        sa.Column("failed_trials", sa.Integer, nullable=False),
        sa.Column("noted_trials", sa.Integer, nullable=False),
        sa.Column("best_trial", sa.Integer),
        sa.Column("best_value", sa.Double),
        sa.Column("default_trial", sa.Integer),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("elapsed_seconds", sa.Double, nullable=False),
        sa.Column("cpu_seconds", sa.Double, nullable=False),
        sa.Column("gpu_seconds", sa.Double, nullable=False),
        sa.Column("resources", sa.JSON),
        sa.Column("waits_for", sa.JSON),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("dataset_id", sa.Integer, sa.ForeignKey("dataset.id")),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("space", sa.JSON, nullable=False),
        sa.Column("algorithm", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("experiment_by_state", "experiment", ["state", "id"])
    op.create_index("experiment_by_owner", "experiment", ["owner", "id"])
    _create_partial_index("experiment_by_dataset", "experiment", ["dataset_id"], "dataset_id IS NOT NULL")
    _create_version_index("experiment_by_version", "experiment")


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
        sa.Column("host", sa.Text),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("fidelity", sa.Double, nullable=False),
        sa.Column("resume_from", sa.Integer),
        sa.Column("value", sa.Double),
        sa.Column("loss", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_after", sa.Double),
        sa.Column("ended_order", sa.BigInteger),
        sa.Column("cost_seconds", sa.Double, nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("epochs", sa.Integer),
        sa.Column("planned_epochs", sa.Integer),
        sa.Column("cut_by", sa.String(30)),
        sqlite_with_rowid=False,
    )
    op.create_index("trial_by_state", "trial", ["experiment_id", "state", "number"])
    ended, failed, ranked = "ended_order IS NOT NULL", "cause IS NOT NULL", "loss IS NOT NULL"
    _create_partial_index("trial_by_end", "trial", ["experiment_id", "state", "ended_order", "number"], ended)
    _create_partial_index("trial_by_cause", "trial", ["experiment_id", "cause", "number"], failed)
    by_loss = ["experiment_id", "loss", "number"]
    _create_partial_index("trial_best", "trial", by_loss, f"{ranked} AND fidelity = 1")
    _create_partial_index("trial_best_in_part", "trial", by_loss, f"{ranked} AND fidelity < 1")
    _create_partial_index("trial_by_cut", "trial", ["experiment_id", "cut_by"], "cut_by IS NOT NULL")
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


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id")),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("cause", sa.String(30)),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("identity", sa.String(32)),
        sa.Column("host", sa.Text),
        sa.Column("after", sa.Integer, sa.ForeignKey("job.id")),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("term", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("mark", sa.String(32)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("cost_seconds", sa.Double, nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("resources", sa.JSON),
        sa.Column("waits_for", sa.JSON),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sqlite_autoincrement=True,
    )
    op.create_index("job_by_experiment", "job", ["experiment_id", "id"])
    op.create_index("job_by_state", "job", ["state", "id"])
    op.create_index("job_by_kind", "job", ["kind", "state", "id"])
    _create_version_index("job_by_version", "job")


def _create_result() -> None:
    op.create_table(
        "result",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("attempt_identity", sa.String(32)),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id")),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("file", sa.Text),
        sa.Column("sha256", sa.String(64)),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("result_by_trial", "result", ["experiment_id", "kind", "trial"], unique=True)


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id")),
        sa.Column("job", sa.Integer, sa.ForeignKey("job.id")),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("attempt", sa.Integer),
        sa.Column("data", sa.JSON),
        sqlite_autoincrement=True,
    )
    op.create_index("event_by_experiment", "event", ["experiment_id", "id"])
    op.create_index("event_by_trial", "event", ["experiment_id", "trial", "id"])
    _create_partial_index("event_by_job", "event", ["job", "id"], "job IS NOT NULL")


def _create_request() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("experiment_id", sa.Integer, sa.ForeignKey("experiment.id")),
        sa.Column("job", sa.Integer, sa.ForeignKey("job.id")),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("key", sa.Text),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("handled_at", sa.Double),
    )
    op.create_index("request_by_key", "request", ["experiment_id", "key"], unique=True)
    op.create_index("request_by_job_key", "request", ["job", "key"], unique=True)
    _create_partial_index("request_unhandled", "request", ["id"], "handled_at IS NULL")


def _create_account() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("run_code", sa.Boolean, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("quota", sa.JSON, nullable=False),
        sa.Column("disk_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
    )


def _create_usage() -> None:
    op.create_table(
        "usage",
        sa.Column("owner", sa.String(50), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("cpu_seconds", sa.Double, nullable=False),
        sa.Column("gpu_seconds", sa.Double, nullable=False),
    )


def _create_token() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String(50), sa.ForeignKey("account.name"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("used_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_index("token_by_owner", "token", ["owner", "id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("caller", sa.String(50), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("verb", sa.String(50), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("audit_by_caller", "audit", ["caller", "id"])
    op.create_index("audit_by_verb", "audit", ["verb", "id"])


def _create_notifications() -> None:
    op.create_table(
        "allowed_host",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("port", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("plain_http", sa.Boolean, nullable=False),
        sa.Column("private", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "channel",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String(50), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("body", sa.String(10)),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("searches", sa.String(10), nullable=False),
        sa.Column("project", sa.String(100), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("confirmed_at", sa.Double),
        sa.Column("wrong_codes", sa.Integer, nullable=False),
        sa.Column("resting_until", sa.Double),
        sa.Column("removed_at", sa.Double),
        sqlite_autoincrement=True,
    )
    op.create_index("channel_by_owner", "channel", ["owner", "id"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel_id", sa.Integer, sa.ForeignKey("channel.id"), nullable=False),
        sa.Column("message", sa.String(40), nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("next_at", sa.Double),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("tried_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("claim", sa.String(32)),
        sa.Column("claimed_until", sa.Double),
        sqlite_autoincrement=True,
    )
    op.create_index("delivery_by_channel", "delivery", ["channel_id", "id"])
    _create_partial_index("delivery_waiting", "delivery", ["channel_id", "next_at"], "state = 'waiting'")


def _create_answer() -> None:
    op.create_table(
        "answer",
        sa.Column("caller", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("verb", sa.String(50), nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def _create_storage() -> None:
    op.create_table(
        "upload",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(50), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("purpose", sa.String(20)),
    )
    op.create_index("upload_by_owner", "upload", ["owner"])
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(151), nullable=False, unique=True),
        sa.Column("owner", sa.String(50), nullable=False),
        sa.Column("visibility", sa.String(10), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("job", sa.Integer),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.Column("refusal", sa.JSON),
    )
    op.create_index("dataset_by_owner", "dataset", ["owner"])
    op.create_index("dataset_by_content", "dataset", ["sha256"])
    op.create_table(
        "code",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(50), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "allowed_folder",
        sa.Column("folder", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "disk",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("budget_bytes", sa.BigInteger),
        sa.Column("reserve_bytes", sa.BigInteger),
        sa.Column("low_at", sa.Double),
    )


def _create_model() -> None:
    op.create_table(
        "model",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(151), nullable=False, unique=True),
        sa.Column("owner", sa.String(50), nullable=False),
        sa.Column("visibility", sa.String(10), nullable=False),
        sa.Column("current", sa.Integer, nullable=False),
        sa.Column("latest", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sqlite_autoincrement=True,
    )
    op.create_index("model_by_owner", "model", ["owner"])
    _create_version_index("model_by_version", "model")
    op.create_table(
        "model_version",
        sa.Column("model_id", sa.Integer, sa.ForeignKey("model.id"), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("publisher", sa.String(50), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("model_version_by_content", "model_version", ["sha256"])


def _create_partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _create_version_index(name: str, table: str) -> None:
    op.create_index(name, table, ["version"], postgresql_using="brin", postgresql_with={"pages_per_range": 4})
