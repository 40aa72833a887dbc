"""What workers are told and tell: programs elsewhere that train the trials of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tunewell.service.types.base import JsonObject, Moment, NoFlag, Wire
from tunewell.service.types.trials import Metric

#: Causes that a worker may give for the end of an attempt: `no_metric` is for the service to say.
WorkerCause = Literal[
    "gpu_oom",
    "host_oom",
    "gpu_error",
    "non_finite",
    "timeout",
    "silent",
    "crashed",
    "killed",
    "node_lost",
    "invalid_parameters",
    "data_error",
    "disk_full",
]


class SuggestedTrial(Wire):
    """An attempt at a trial that a worker has from now on."""

    #: Full name of the experiment.
    experiment: str
    number: int
    attempt: int
    #: Active parameters only.
    parameters: JsonObject
    #: Share of the full training that it gets, and share of the training data, from 0 to 1.
    fidelity: float
    sampling: float
    #: Number of the trial whose checkpoint it goes on from; None: it begins afresh.
    resume_from: int | None
    #: How long the worker need not be heard from: each report, and each heartbeat, begins that time again.
    lease_seconds: float
    #: What proves that a report, heartbeat or end is this attempt's.
    credential: str


class Suggestion(Wire):
    """What a worker is answered that asks for a trial."""

    #: `trial`: it has one; `wait`: there is none just now, ask again; `ended`: the search has ended.
    kind: Literal["trial", "wait", "ended"]
    #: Why there is none, for people.
    detail: str = ""
    trial: SuggestedTrial | None = None


class Heard(Wire):
    """Whether an attempt goes on."""

    #: Whether it is asked to end.
    should_stop: bool


class LogTaken(Wire):
    """A piece of a log that was taken."""

    #: How long the log is now, in bytes.
    size_bytes: int
    should_stop: bool


class Completion(Wire):
    """How an attempt has ended, as its worker says."""

    model_config = ConfigDict(ser_json_inf_nan="strings", extra="forbid")

    #: Value of the objective: the same as a last report of it.
    value: Annotated[float, NoFlag] | None = None
    #: Name → number: a last report.
    metrics: Mapping[Metric, Annotated[float, NoFlag]] = Field(default_factory=dict, max_length=200)
    #: Why it failed; None: it did not.
    cause: WorkerCause | None = None
    #: One line for people about that.
    message: str = Field(default="", max_length=2000)
    exit_code: Annotated[int, NoFlag, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    #: Whether the worker just ends, and somebody else is to train the trial: that costs no attempt.
    handed_back: bool = Field(default=False, strict=True)


class Worker(Wire):
    """A worker that has been heard from within an hour, or has a trial."""

    #: As it calls itself.
    name: str
    #: Number of the trial that it has, and the attempt; None: it waits for one.
    trial: int | None
    attempt: int | None
    heard_at: Moment
