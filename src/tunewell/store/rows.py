"""What the store hands out: plain frozen data. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tunewell.spec.names import Purpose, Role, Visibility
from tunewell.spec.notifications import (
    ChannelKind,
    DeliveryState,
    MessageKind,
    NotifiedEvent,
    NotifiedSearches,
    WebhookBody,
)
from tunewell.spec.states import Cause, Cut, ExperimentState, JobState, TrialState

JsonObject = dict[str, Any]

Goal = Literal["maximize", "minimize"]

#: What a user's secret is for; see `tables.token`.
TokenKind = Literal["token", "session", "link"]

#: What another process can ask the controller of an experiment or a job for.
#: `update`: to read its spec and facts again.
Verb = Literal["stop", "stop_trial", "retry", "pause", "resume", "update", "add_trial", "stop_job", "retry_job"]

#: What the audit trail tells of: an experiment or a job was `created`, an experiment's `state`, `spec` or other `facts`
#: changed; a trial was `suggested`; an attempt at a trial or a job `started`, was `lost` or `ended`, or did a `part` of
#: a job; an ended trial or job is `retried`.
EventKind = Literal["created", "state", "spec", "facts", "suggested", "started", "lost", "part", "ended", "retried"]

#: What is told of the home as a whole: there is too little room on its disk; files of it were removed.
HomeEventKind = Literal["disk_low", "collected"]

#: What a job found out about a trial, or made of it.
ResultKind = Literal["evaluation", "finalist", "model"]


@dataclass(frozen=True, slots=True)
class HomeRow:
    """The home whose folders belong to a database."""

    #: Random; the folder has it.
    identity: str
    #: Where it was when it was last written to.
    folder: str


@dataclass(frozen=True, slots=True)
class DiskRow:
    """What is on record about the disk of the home: what administrators have said, and that it is low."""

    #: How many bytes the home may take up, and how many are kept free for others; None: nothing was said.
    budget_bytes: int | None = None
    reserve_bytes: int | None = None
    #: Since when there is too little room on the disk, as controllers have noted; None: there is enough.
    low_at: float | None = None


@dataclass(frozen=True, slots=True)
class StandingRow:
    """What of a trial says what its files are kept for."""

    number: int
    state: TrialState
    #: The latest attempt, and its identity.
    attempt: int
    identity: str | None
    fidelity: float
    #: What the ranking goes by, lowest first; None: it does not count.
    loss: float | None
    resume_from: int | None


@dataclass(frozen=True, slots=True)
class HomeEventRow:
    """Something that happened to the home as a whole."""

    id: int
    #: Seconds since the epoch.
    time: float
    kind: HomeEventKind
    data: JsonObject


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """One experiment."""

    id: int
    #: In full; see `tunewell.spec.names`.
    name: str
    owner: str
    visibility: Visibility
    #: What people group experiments by; empty: none.
    project: str
    #: Its share of what its owner gets, in proportion to those of the owner's others.
    weight: float
    #: When it was put into the bin; None: it is in none.
    deleted_at: float | None
    description: str
    tags: tuple[str, ...]
    #: Id of the data set that it uses; None: none on record.
    dataset_id: int | None
    #: Random; tells it from an experiment of the same name in another database.
    identity: str
    spec: JsonObject
    #: Where the home lay when the spec was recorded, which the spec's paths go by; empty: not known.
    home: str
    space: JsonObject
    algorithm: JsonObject
    #: That of its objective.
    goal: Goal
    state: ExperimentState
    #: The rule that ended the search, or is ending it; None while it goes on.
    stop_rule: str | None
    #: One sentence for people about the state.
    detail: str
    #: Sentences for people about the whole search.
    notes: tuple[str, ...]
    created_at: float
    #: When it first ran; None: not yet.
    started_at: float | None
    #: None while it is not final.
    ended_at: float | None
    #: Time that it has been running, all runs together.
    elapsed_seconds: float
    #: What its attempts, and those of its jobs, that have ended have used together, in seconds times cores and GPUs.
    cpu_seconds: float
    gpu_seconds: float
    #: What each attempt takes; see `Resources.to_json`. None: that is not known yet.
    resources: JsonObject | None
    #: Why nothing is started just now, as its controller said; see `Reason.to_json`. None: nothing keeps it.
    waits_for: JsonObject | None
    #: How often a controller has taken it over; who names another one may not write.
    term: int
    #: Number of the transaction that touched it last.
    version: int
    #: Number of the transaction that changed its spec or facts last.
    revision: int
    #: What its owner called its last transaction: so an owner finds out whether one was committed. None: nothing yet.
    mark: str | None
    #: How many trials are in each state, zeros included.
    counts: Mapping[TrialState, int]
    #: How many trials have notes.
    noted_trials: int
    #: Number and value of the first in the order of `Store.top`; None: there is none.
    best_trial: int | None
    best_value: float | None
    #: Number of the trial of the default configuration; in a population the last of those that went on from it without
    #: a change. None: the search did not begin with one.
    default_trial: int | None
    #: Its value, if it was trained in full and its value counts.
    default_value: float | None


class Standing(NamedTuple):
    """What tells whether anybody has changed or taken over an experiment meanwhile."""

    #: Number of the transaction that changed its spec or facts last.
    revision: int
    #: How often a controller has taken it over.
    term: int


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial with the facts of its latest attempt."""

    number: int
    state: TrialState
    #: Why the latest attempt did not succeed; None while the trial waits or runs.
    cause: Cause | None
    #: One line for people about the end.
    detail: str
    #: Sentences for people on what the latest attempt reported and does not count, or counts in another way.
    notes: tuple[str, ...]
    #: Number of the latest attempt; 0: none was started yet.
    attempt: int
    #: Random identity of the latest attempt, which its folder has; None: none was started yet.
    identity: str | None
    #: The machine that the latest attempt is bound to; empty: none; None: none was started yet.
    host: str | None
    #: Active parameters only.
    parameters: JsonObject
    #: Why the tuner suggested it.
    origin: str
    #: Share of the full training, in (0, 1].
    fidelity: float
    #: Number of the trial whose checkpoint this one starts from.
    resume_from: int | None
    #: Finite value of the objective metric.
    value: float | None
    created_at: float
    #: Start of the latest attempt.
    started_at: float | None
    #: None while it is not final.
    ended_at: float | None
    #: For how many seconds the search had been running when the latest attempt ended; None: that is not known.
    ended_after: float | None
    #: How long all its attempts that have ended took together, by a clock that nobody sets.
    cost_seconds: float
    peak_memory_bytes: int | None
    #: Epochs that its training has done, and those of a full training; None: it has not ended, or none are known.
    epochs: int | None = None
    planned_epochs: int | None = None
    #: What ended it before the end of a full training; None: nothing did, or it failed otherwise.
    cut_by: Cut | None = None
    #: Its place among all ends on record, which grows from end to end whatever clocks say; None: it has not ended.
    ended_order: int | None = None


@dataclass(frozen=True, slots=True)
class FailedTrials:
    """The trials of an experiment that failed for one cause."""

    cause: Cause
    trials: int
    #: The lowest number among them.
    first: int


@dataclass(frozen=True, slots=True)
class CutTrials:
    """The trials of an experiment that one thing has cut off."""

    cut_by: Cut
    number: int
    #: How many full trainings they have done together.
    trained: float
    #: What the longest of them would have cost in full, in seconds, judged by what it did; None: that is not known.
    full_seconds: float | None


@dataclass(frozen=True, slots=True)
class TrialColumns:
    """Facts of many trials, a sequence a fact; None where a trial has none. As those of `TrialRow`."""

    numbers: Sequence[int] = ()
    states: Sequence[str] = ()
    causes: Sequence[str | None] = ()
    origins: Sequence[str] = ()
    values: Sequence[float | None] = ()
    fidelities: Sequence[float] = ()
    parents: Sequence[int | None] = ()
    started_at: Sequence[float | None] = ()
    ended_at: Sequence[float | None] = ()
    ended_after: Sequence[float | None] = ()
    cost_seconds: Sequence[float] = ()
    parameters: Sequence[JsonObject] = ()


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt at a trial ended."""

    #: What it makes of the trial: a final state, or `waiting` if it was lost.
    state: TrialState = TrialState.WAITING
    #: Of a failed or lost one.
    cause: Cause | None = None
    #: One line for people.
    detail: str = ""
    #: Sentences for people.
    notes: tuple[str, ...] = ()
    #: Finite value of the objective metric; like the facts below up to `ended_after`, not recorded of a lost one.
    value: float | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    #: As those of `TrialRow`.
    epochs: int | None = None
    cut_by: Cut | None = None
    #: For how many seconds the search had been running by then; None: that is not known.
    ended_after: float | None = None
    #: How long the attempt took, by a clock that nobody sets.
    seconds: float = 0.0
    #: Date; None: this moment.
    now: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try at running a trial."""

    attempt: int
    #: Random; its folder has it, if it has one.
    identity: str
    #: `running`, `lost`, or the final state that it gave the trial.
    state: str
    cause: Cause | None
    detail: str
    #: As those of the trial.
    notes: tuple[str, ...]
    value: float | None
    exit_code: int | None
    peak_memory_bytes: int | None
    started_at: float
    #: None while it runs.
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """Metrics of one attempt at one step."""

    attempt: int
    step: int
    #: Metric name → number; what the trial gave as an infinity comes back as NaN.
    metrics: Mapping[str, float]
    #: By the trial's clock.
    time: float


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of the audit trail. Ids grow, though not by one."""

    id: int
    time: float
    kind: EventKind
    trial: int | None = None
    attempt: int | None = None
    #: Id of the job that it is about; None: it is about none.
    job: int | None = None
    #: What else is to be told; its keys depend on the kind.
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What a tuner was told or gave: a suggestion that was made, or an outcome.

    A trial that was retried has one `suggested` and several `ended` entries; the later outcome replaces the earlier.
    """

    kind: Literal["suggested", "ended"]
    number: int
    #: Of a suggestion.
    parameters: JsonObject = field(default_factory=dict)
    origin: str = ""
    fidelity: float = 1.0
    resume_from: int | None = None
    #: How many outcomes the tuner knew when it made the suggestion; None: all that come before it here.
    known: int | None = None
    #: Of an outcome.
    state: TrialState | None = None
    value: float | None = None
    cause: Cause | None = None
    cost_seconds: float = 0.0
    attempt: int = 0
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Something that another process asks the controller of an experiment or a job for."""

    id: int
    verb: Verb
    #: Name of the experiment that it is about; None: it is about a job.
    experiment: str | None
    #: Id of the job; None: it is about an experiment.
    job: int | None
    trial: int | None
    #: Given by the asker: asking twice under one key is asking once.
    key: str | None
    data: JsonObject
    created_at: float


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job with the facts of its latest attempt."""

    id: int
    kind: str
    #: Name of the experiment that it is about; None: it is about none.
    experiment: str | None
    arguments: JsonObject
    state: JobState
    #: Why the latest attempt did not succeed; None while the job waits or runs.
    cause: Cause | None
    #: One line for people about the end.
    detail: str
    #: Sentences for people on the latest attempt.
    notes: tuple[str, ...]
    #: What is being done → how much of it is done, 0 to 1.
    progress: Mapping[str, float]
    #: How many of its parts are done.
    part: int
    #: Number of the latest attempt; 0: none was started yet.
    attempt: int
    #: Random identity of the latest attempt, which its folder has; None: none was started yet.
    identity: str | None
    #: The machine that the latest attempt is bound to; empty: none; None: none was started yet.
    host: str | None
    #: What it found out; None: nothing yet.
    result: JsonObject | None
    #: Id of the job that must have ended before this one may start.
    after: int | None
    #: Who asked for it.
    caller: str
    #: How often a controller has taken it over; who names another one may not write.
    term: int
    #: Number of the transaction that touched it last.
    version: int
    #: What its owner called its last transaction: so an owner finds out whether one was committed. None: nothing yet.
    mark: str | None
    created_at: float
    #: Start of the latest attempt.
    started_at: float | None
    #: None while it is not final.
    ended_at: float | None
    #: How long all its attempts that have ended took together, by a clock that nobody sets.
    cost_seconds: float
    peak_memory_bytes: int | None
    #: What the latest attempt takes; see `Resources.to_json`. None: none was started yet.
    resources: JsonObject | None
    #: Why it waits, as its controller said; see `Reason.to_json`. None: nothing is known to keep it.
    waits_for: JsonObject | None


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended."""

    #: A final one.
    state: JobState
    #: Of a failed one.
    cause: Cause | None = None
    #: One line for people.
    detail: str = ""
    #: Sentences for people.
    notes: tuple[str, ...] = ()
    #: What it found out.
    result: JsonObject | None = None
    peak_memory_bytes: int | None = None
    #: How long the attempt took, by a clock that nobody sets.
    seconds: float = 0.0
    #: Date; None: this moment.
    now: float | None = None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What a job found out about a trial, or made of it. There is one of a kind for a trial: a new one replaces it."""

    id: int
    kind: ResultKind
    trial: int
    #: Identity of the attempt that it is about; None: that is not known.
    attempt_identity: str | None
    #: Id of the job that it comes from; None: it comes from none.
    job: int | None
    #: Small figures.
    data: JsonObject
    #: Path of the large part, relative to the home; None: there is none.
    file: str | None
    #: Checksum of the file, in hexadecimal.
    sha256: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Changed:
    """An experiment, job or model that was touched."""

    kind: Literal["experiment", "job", "model"]
    id: int
    #: Of an experiment or model; empty for a job.
    name: str
    #: Number of the transaction that touched it last.
    version: int


@dataclass(frozen=True, slots=True)
class Tallies:
    """How many experiments, trials and jobs are in each state."""

    experiments: Mapping[ExperimentState, int]
    trials: Mapping[TrialState, int]
    jobs: Mapping[JobState, int]


@dataclass(frozen=True, slots=True)
class AccessRow:
    """What of an experiment says who may do what with it."""

    #: In full.
    name: str
    owner: str
    visibility: Visibility
    #: None: it is not in the bin.
    deleted_at: float | None
    #: Random; tells it from an earlier one of the same name.
    identity: str


@dataclass(frozen=True, slots=True)
class UserRow:
    """Somebody who may use the service."""

    name: str
    role: Role
    #: Whether the user may have code of their own run.
    run_code: bool
    #: The user's share of what there is, in proportion to those of others.
    weight: float
    #: What is limited → how much of it the user may have.
    quota: JsonObject
    #: What the folders of the user's experiments take up, when it was last counted.
    disk_bytes: int
    created_at: float
    #: None: the user is not shut out.
    disabled_at: float | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What a user has used in a month, by when it ended."""

    owner: str
    #: `2026-03`
    month: str
    #: Seconds times cores and GPUs.
    cpu_seconds: float
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class RunningRow:
    """A trial that runs."""

    #: Name of the experiment.
    experiment: str
    owner: str
    number: int
    attempt: int
    #: The machine; empty: bound to none; None: that is not known.
    host: str | None
    #: Start of the attempt, in seconds since the epoch.
    started_at: float | None
    #: What the attempt takes; None: that is not known.
    resources: JsonObject | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What a user proves themselves by; the secret itself is on no record."""

    id: int
    #: Name of the user.
    owner: str
    kind: TokenKind
    #: Checksum of the secret, in hexadecimal.
    sha256: str
    #: What its user calls it.
    label: str
    created_at: float
    #: None: never.
    expires_at: float | None
    used_at: float | None
    #: None: it was not.
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who has changed something, or was refused it."""

    id: int
    time: float
    #: Empty: nobody known.
    caller: str
    #: Network address that it came from.
    address: str
    verb: str
    #: Name or number of what it was about.
    about: str
    #: `done`, or the kind of the error.
    outcome: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A file that a user sends, by parts."""

    #: Random.
    id: str
    owner: str
    #: What its user calls it.
    name: str
    #: How many bytes it is to have in the end.
    size: int
    #: Checksum of the whole in hexadecimal: as its user says, until it is whole; None: the user did not say.
    sha256: str | None
    created_at: float
    #: None: it is not whole yet.
    finished_at: float | None
    #: What is to be made of it; None: its user did not say.
    purpose: Purpose | None = None


@dataclass(frozen=True, slots=True)
class DataSetRow:
    """A data set."""

    id: int
    #: In full; see `tunewell.spec.names`.
    name: str
    owner: str
    visibility: Visibility
    #: Of the content; of a folder: of names, sizes and dates in it.
    sha256: str
    #: Empty: it lies in the home.
    folder: str
    #: Of all files together, in bytes, and how many they are.
    size: int
    files: int
    #: The latest look at it; None: there was none.
    job: int | None
    created_at: float
    #: None: it is in no bin.
    deleted_at: float | None
    #: Why the look that was asked for last was refused at once: `task`, `detail`, and as `suggested` the task that can
    #: read it, if that is known; None: it was not.
    refusal: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that was published, with its current version."""

    id: int
    #: In full; see `tunewell.spec.names`.
    name: str
    owner: str
    visibility: Visibility
    #: Number of the version that is used where none is named, and of the last one.
    current: int
    latest: int
    #: Number of the transaction that touched it last.
    version: int
    created_at: float
    #: None: it is in no bin.
    deleted_at: float | None


@dataclass(frozen=True, slots=True)
class ModelVersionRow:
    """A version of a model, which lies in the home by its content."""

    model_id: int
    number: int
    #: Of the content.
    sha256: str
    #: Of all files together, in bytes, and how many they are.
    size: int
    files: int
    publisher: str
    note: str
    created_at: float
    #: Where it comes from and what it reached, as it was then; see `tunewell.service.models.facts`.
    facts: JsonObject


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A program that a user has sent."""

    sha256: str
    owner: str
    #: Of all files together, in bytes, and how many they are.
    size: int
    files: int
    created_at: float


@dataclass(frozen=True, slots=True)
class AllowedHostRow:
    """A host that notifications may be sent to."""

    #: A name, an address, or `*.` and what names end in.
    host: str
    port: int
    plain_http: bool
    #: Whether addresses count that are not of the public internet.
    private: bool
    created_at: float


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """Where notifications of a user go."""

    #: Its own; 0: it is not on record yet.
    id: int
    owner: str
    kind: ChannelKind
    #: What its owner calls it; empty: nothing.
    label: str
    #: A URL, or an address.
    target: str = field(repr=False)
    #: What a webhook is sent; None: it is a mail.
    body: WebhookBody | None
    #: What signs what a webhook is sent, or the code by which the owner of an address confirms it.
    secret: str = field(repr=False)
    events: tuple[NotifiedEvent, ...]
    searches: NotifiedSearches
    #: With `project`: which one.
    project: str
    active: bool
    #: Why it was deactivated, if its owner did not; empty otherwise.
    reason: str
    created_at: float
    #: None: nobody has said that the address is theirs.
    confirmed_at: float | None
    #: How often a code was given, all but the last one wrong ones.
    wrong_codes: int
    #: Until when its receiver wants to be left alone; None: it has not said so.
    resting_until: float | None
    removed_at: float | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A notification on its way to a channel."""

    id: int
    channel_id: int
    #: What receivers know it by, however often it is sent.
    message: str
    event: MessageKind
    #: What is told, as it was at that moment.
    facts: JsonObject
    state: DeliveryState
    attempts: int
    #: What the receiver answered to the latest attempt; None: nothing.
    status: int | None
    #: What is wrong with the latest attempt; empty: nothing.
    error: str
    created_at: float
    #: When it is tried next; None: never.
    next_at: float | None
    #: Until when it is tried.
    expires_at: float
    tried_at: float | None
    ended_at: float | None
    #: Who is at it, and until when nobody else begins.
    claim: str | None
    claimed_until: float | None
