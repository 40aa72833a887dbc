"""The tables. Queries are built from these; `indexes.py` has what they need to be fast, and `migrations/` makes both.

A row of `trial` or `job` carries the facts of its latest attempt, and one of `experiment` what a line about it shows,
so that no list has to read the trials. `event` is the audit trail, and at the same time what past attempts and the
history of a tuner are read from: each fact is written once, and what ended is only ever added to.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from tunewell.spec.states import TrialState

metadata = MetaData()

#: State of trials → the column of `experiment` that counts them.
COUNTS = {state: f"{state.value}_trials" for state in TrialState}


def _json(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


#: One row: the home whose folders belong to this database.
home = Table(
    "home",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("folder", Text, nullable=False),
)

#: One row: the number of the latest transaction. Each takes the next one when it begins, so writers take turns, and
#: numbers are in the order of the commits. Where the database was moved to another place, none takes any more.
change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("moved_to", Text),
)

#: Ids of experiments, jobs and events are never given again, even if the last ones are removed.
experiment = Table(
    "experiment",
    metadata,
    Column("id", Integer, primary_key=True),
    # In full: with its owner, unless that is the person whose home it is.
    Column("name", String(151), nullable=False, unique=True),
    Column("owner", String(50), nullable=False),
    Column("visibility", String(10), nullable=False),
    Column("project", String(100), nullable=False),
    # Its share of what its owner gets, in proportion to those of the owner's others.
    Column("weight", Double, nullable=False),
    # When it was put into the bin.
    Column("deleted_at", Double),
    Column("identity", String(32), nullable=False),
    Column("goal", String(10), nullable=False),
    Column("state", String(20), nullable=False),
    Column("stop_rule", String(50)),
    Column("detail", Text, nullable=False),
    _json("notes"),
    # How often a controller has taken it over.
    Column("term", Integer, nullable=False),
    # Number of the transaction that touched it last.
    Column("version", BigInteger, nullable=False),
    # Number of the transaction that changed spec or facts last.
    Column("revision", BigInteger, nullable=False),
    Column("mark", String(32)),
    *(Column(name, Integer, nullable=False) for name in COUNTS.values()),
    Column("noted_trials", Integer, nullable=False),
    Column("best_trial", Integer),
    Column("best_value", Double),
    Column("default_trial", Integer),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("elapsed_seconds", Double, nullable=False),
    # What its attempts have used together, in seconds times cores and GPUs.
    Column("cpu_seconds", Double, nullable=False),
    Column("gpu_seconds", Double, nullable=False),
    # What each attempt takes, once that is known; and why nothing is started just now, if there is something to start.
    _json("resources", nullable=True),
    _json("waits_for", nullable=True),
    Column("description", Text, nullable=False),
    _json("tags"),
    Column("dataset_id", ForeignKey("dataset.id")),
    Column("home", Text, nullable=False),
    # Last, because they may be large: SQLite reads a row up to the column that is asked for.
    _json("spec"),
    _json("space"),
    _json("algorithm"),
    sqlite_autoincrement=True,
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
    # The machine that the latest attempt is bound to; empty: none.
    Column("host", Text),
    _json("parameters"),
    Column("origin", Text, nullable=False),
    Column("fidelity", Double, nullable=False),
    Column("resume_from", Integer),
    Column("value", Double),
    # What the ranking goes by, lowest first: the value, or its negative if it is maximized; NULL if it does not count.
    Column("loss", Double),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("ended_after", Double),
    # Its place among all ends: dates don't tell, because clocks are set.
    Column("ended_order", BigInteger),
    Column("cost_seconds", Double, nullable=False),
    Column("peak_memory_bytes", BigInteger),
    Column("epochs", Integer),
    Column("planned_epochs", Integer),
    Column("cut_by", String(30)),
    sqlite_with_rowid=False,
)

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

job = Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("experiment_id", ForeignKey("experiment.id")),
    Column("state", String(20), nullable=False),
    Column("cause", String(30)),
    Column("detail", Text, nullable=False),
    _json("notes"),
    _json("progress"),
    Column("part", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("identity", String(32)),
    Column("host", Text),
    Column("after", ForeignKey("job.id")),
    Column("caller", Text, nullable=False),
    Column("term", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("mark", String(32)),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("cost_seconds", Double, nullable=False),
    Column("peak_memory_bytes", BigInteger),
    # What the latest attempt takes; and why the job waits, where that is known.
    _json("resources", nullable=True),
    _json("waits_for", nullable=True),
    _json("arguments"),
    _json("result", nullable=True),
    sqlite_autoincrement=True,
)

#: What jobs found out or made: small figures here, anything large in a file.
result = Table(
    "result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("attempt_identity", String(32)),
    Column("job_id", ForeignKey("job.id")),
    _json("data"),
    Column("file", Text),
    Column("sha256", String(64)),
    Column("created_at", Double, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id")),
    Column("job", ForeignKey("job.id")),
    Column("time", Double, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("trial", Integer),
    Column("attempt", Integer),
    _json("data", nullable=True),
    sqlite_autoincrement=True,
)

request = Table(
    "request",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id")),
    Column("job", ForeignKey("job.id")),
    Column("verb", String(20), nullable=False),
    Column("trial", Integer),
    Column("key", Text),
    _json("data"),
    Column("created_at", Double, nullable=False),
    Column("handled_at", Double),
)

#: Who may use a service.
account = Table(
    "account",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("run_code", Boolean, nullable=False),
    # The user's share of what there is, in proportion to those of others.
    Column("weight", Double, nullable=False),
    _json("quota"),
    # What the folders of the user's experiments take up, when it was last counted.
    Column("disk_bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
)

#: What users have used in a calendar month (UTC), by when it ended, in seconds times cores and GPUs.
usage = Table(
    "usage",
    metadata,
    Column("owner", String(50), primary_key=True),
    # `2026-03`
    Column("month", String(7), primary_key=True),
    Column("cpu_seconds", Double, nullable=False),
    Column("gpu_seconds", Double, nullable=False),
)

#: What users prove themselves by. Of each, a checksum alone is kept.
token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", ForeignKey("account.name"), nullable=False),
    # `token`: for programs; `session`: of a browser; `link`: begins a session, once.
    Column("kind", String(10), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("used_at", Double),
    Column("revoked_at", Double),
)

#: Who has changed what, and what was refused to whom; only ever added to.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    # Empty: nobody known.
    Column("caller", String(50), nullable=False),
    Column("address", Text, nullable=False),
    Column("verb", String(50), nullable=False),
    # Name or number of what it was about.
    Column("about", Text, nullable=False),
    Column("outcome", String(20), nullable=False),
    _json("data"),
)

#: Files that users send, by parts, before anything is made of them; what has come of one lies in the home.
upload = Table(
    "upload",
    metadata,
    # Random, because who knows one can't be told from who may.
    Column("id", String(32), primary_key=True),
    Column("owner", String(50), nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    # As its user says, until it is whole; then as it is.
    Column("sha256", String(64)),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double),
    # What is to be made of it, as its user says.
    Column("purpose", String(20)),
)

#: Data sets: files that were sent, which lie in the home by their content, or a folder of this machine.
dataset = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    # In full, as that of an experiment.
    Column("name", String(151), nullable=False, unique=True),
    Column("owner", String(50), nullable=False),
    Column("visibility", String(10), nullable=False),
    # Of the content; of a folder: of names, sizes and dates in it.
    Column("sha256", String(64), nullable=False),
    # Empty: it lies in the home.
    Column("folder", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    # The latest look at it; it refers to no experiment, else tables would refer to each other in a circle.
    Column("job", Integer),
    Column("created_at", Double, nullable=False),
    # When it was put into the bin.
    Column("deleted_at", Double),
    # Why it could not even be begun to look at, if that was asked for last.
    _json("refusal", nullable=True),
)

#: Programs that users have sent, which lie in the home by their content.
code = Table(
    "code",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("owner", String(50), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

#: Models that were published. Ids are never given again, as those of experiments.
model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    # In full, as that of an experiment.
    Column("name", String(151), nullable=False, unique=True),
    Column("owner", String(50), nullable=False),
    Column("visibility", String(10), nullable=False),
    # Number of the version that is used where none is named, and of the last one.
    Column("current", Integer, nullable=False),
    Column("latest", Integer, nullable=False),
    # Number of the transaction that touched it last.
    Column("version", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    # When it was put into the bin.
    Column("deleted_at", Double),
    sqlite_autoincrement=True,
)

#: Their versions, whose files lie in the home by their content. They refer to no experiment: they outlive it.
model_version = Table(
    "model_version",
    metadata,
    Column("model_id", ForeignKey("model.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # Of the content.
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("files", Integer, nullable=False),
    Column("publisher", String(50), nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # Where it comes from and what it reached, as it was then.
    _json("facts"),
)

#: Folders of this machine that data sets may be made of.
allowed_folder = Table(
    "allowed_folder",
    metadata,
    Column("folder", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
)

#: Hosts that notifications may be sent to.
allowed_host = Table(
    "allowed_host",
    metadata,
    # A name, an address, or `*.` and what names end in.
    Column("host", String(255), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("plain_http", Boolean, nullable=False),
    # Whether addresses count that are not of the public internet.
    Column("private", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

#: Where notifications of a user go.
channel = Table(
    "channel",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(50), nullable=False),
    # `webhook` or `mail`
    Column("kind", String(10), nullable=False),
    Column("label", Text, nullable=False),
    # A URL, or an address; of a channel that was removed: empty.
    Column("target", Text, nullable=False),
    # What a webhook is sent: `json` or `slack`; NULL: it is a mail.
    Column("body", String(10)),
    # What signs what a webhook is sent, or the code by which the owner of an address confirms it.
    Column("secret", Text, nullable=False),
    _json("events"),
    # `own`, `all`, or `project`.
    Column("searches", String(10), nullable=False),
    Column("project", String(100), nullable=False),
    Column("active", Boolean, nullable=False),
    # Why it was deactivated, if its owner did not.
    Column("reason", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # NULL: nobody has said that the address is theirs.
    Column("confirmed_at", Double),
    # How often a code was given, all but the last one wrong ones.
    Column("wrong_codes", Integer, nullable=False),
    # Until when its receiver wants to be left alone.
    Column("resting_until", Double),
    Column("removed_at", Double),
    sqlite_autoincrement=True,
)

#: Notifications on their way: one a channel, recorded in the transaction that does what they tell of.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel_id", ForeignKey("channel.id"), nullable=False),
    # What receivers know it by, however often it is sent.
    Column("message", String(40), nullable=False),
    Column("event", String(20), nullable=False),
    # What is told, as it was at that moment.
    _json("facts"),
    # `waiting`, `delivered` or `failed`.
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    # What the receiver answered to the latest attempt, and what is wrong with it.
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # When it is tried next, and until when that goes on.
    Column("next_at", Double),
    Column("expires_at", Double, nullable=False),
    Column("tried_at", Double),
    Column("ended_at", Double),
    # Who is at it, and until when nobody else begins.
    Column("claim", String(32)),
    Column("claimed_until", Double),
    sqlite_autoincrement=True,
)
#: One row: what administrators have said about the disk of the home, in bytes; NULL: nothing.
disk = Table(
    "disk",
    metadata,
    Column("id", Integer, primary_key=True),
    # What the home may take up.
    Column("budget_bytes", BigInteger),
    # What is kept free for others.
    Column("reserve_bytes", BigInteger),
    # Since when it is low; of several controllers, one tells.
    Column("low_at", Double),
)

#: What was answered to callers under their keys, so that asking again changes nothing.
answer = Table(
    "answer",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("verb", String(50), nullable=False),
    Column("fingerprint", Text, nullable=False),
    _json("answer"),
    Column("created_at", Double, nullable=False),
)
