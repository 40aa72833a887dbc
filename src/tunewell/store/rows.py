"""What the store hands out: plain frozen data. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tunewell.spec.states import Cause, ExperimentState, TrialState

JsonObject = dict[str, Any]

#: What another process can ask the controller of an experiment for.
Verb = Literal["stop", "stop_trial", "retry", "pause", "resume"]

#: What the audit trail tells of: an experiment was `created`, its `state` or its `spec` changed; a trial was
#: `suggested`, an attempt `started`, was `lost` or `ended`, an ended trial is `retried`.
EventKind = Literal["created", "state", "spec", "suggested", "started", "lost", "ended", "retried"]


@dataclass(frozen=True, slots=True)
class HomeRow:
    """The home whose folders belong to a database."""

    #: Random; the folder bears it.
    identity: str
    #: Where it was when it was last written to.
    folder: str


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """One experiment."""

    id: int
    name: str
    #: Random; tells it from an experiment of the same name in another database.
    identity: str
    spec: JsonObject
    #: Where the home lay when the spec was recorded, which the spec's paths go by; empty: not known.
    home: str
    space: JsonObject
    algorithm: JsonObject
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
    #: Random identity of the latest attempt, which its folder bears; None: none was started yet.
    identity: str | None
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


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try at running a trial."""

    attempt: int
    #: Random; its folder bears it, if it has one.
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
    #: Of an outcome.
    state: TrialState | None = None
    value: float | None = None
    cause: Cause | None = None
    cost_seconds: float = 0.0
    attempt: int = 0
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Something that another process asks the controller of an experiment for."""

    id: int
    verb: Verb
    trial: int | None
    #: Given by the asker: asking twice under one key is asking once.
    key: str | None
    data: JsonObject
    created_at: float
