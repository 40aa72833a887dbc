"""Trials, their attempts, and what these report, print and leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from tunewell.service.types.base import JsonObject, Moment, NoFlag, Page, Wire
from tunewell.spec.epochs import training_text
from tunewell.spec.states import Cause, Cut, TrialState


class Measured(Wire):
    """Metrics at one step of a training."""

    step: int
    #: Name → number; None where it was not finite.
    metrics: Mapping[str, float | None]


class Report(Measured):
    """What an attempt at a trial reported at one step."""

    attempt: int
    #: By the trial's clock.
    time: Moment


#: A text without NUL, ends of lines and the like.
_NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"


#: Name of a metric, as it is given over the network.
Metric = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROL)]


class GivenReport(Wire):
    """What an attempt at a trial reports over the network."""

    model_config = ConfigDict(ser_json_inf_nan="strings", extra="forbid")

    #: Such as the epoch; None: the one after the last.
    step: Annotated[int, NoFlag, Field(ge=-(2**53), le=2**53)] | None = None
    #: Name → number; in JSON `"NaN"`, `"Infinity"` and `"-Infinity"` are numbers, too.
    metrics: Annotated[
        Mapping[Metric, Annotated[float, NoFlag]],
        Field(min_length=1, max_length=200),
    ]
    #: By the trial's clock; None: when it came in.
    time: Moment | None = None


class Taken(Wire):
    """Reports that were taken: they are on the disk."""

    #: How many.
    reports: int
    #: Whether the attempt is asked to end.
    should_stop: bool


class Trial(Wire):
    """One trial with the facts of its latest attempt."""

    number: int
    state: TrialState
    #: Why the latest attempt did not succeed; None while the trial waits or runs.
    cause: Cause | None
    #: One line for people about the end.
    detail: str
    #: Sentences for people on what it reported and does not count, or counts in another way.
    notes: tuple[str, ...]
    #: How often it was tried.
    attempts: int
    #: Active parameters only.
    parameters: JsonObject
    #: Why it was proposed.
    origin: str
    #: Share of the full training that it gets.
    fidelity: float
    #: Number of the trial whose checkpoint it goes on from.
    resume_from: int | None
    #: Its objective; None: it has none.
    value: float | None
    #: When the latest attempt started.
    start: Moment | None
    #: None while it is not final.
    end: Moment | None
    #: How long all its attempts that have ended took together.
    cost_seconds: float
    peak_memory_bytes: int | None
    #: Epochs that its training has done; None: it has not ended, or its task does not tell.
    epochs: int | None = None
    #: Epochs of a full training; None: its task does not tell.
    planned_epochs: int | None = None
    #: What ended it before the end of a full training, `early_stopping` and `fidelity` by design; None: nothing did,
    #: or it failed for another reason.
    cut_by: Cut | None = None

    @property
    def training(self) -> str:
        """How far its training came, and why no further, for people; empty if all was done, or that is not known."""
        return training_text(self.epochs, self.planned_epochs, self.cut_by)

    @property
    def latest_seconds(self) -> float:
        """How long its latest attempt took, if that has ended; of several, that is known by the clock of the day."""
        if self.attempts < 2 or self.start is None or self.end is None:
            return self.cost_seconds
        return min(self.cost_seconds, max(0.0, (self.end - self.start).total_seconds()))


class TrialPage(Page[Trial]):
    """A part of a list of trials."""

    #: How many trials are wanted, on all pages together.
    count: int


#: Fields of a trial that are columns of a table, before its parameters.
TRIAL_COLUMNS = (
    "number",
    "state",
    "cause",
    "value",
    "attempts",
    "origin",
    "fidelity",
    "start",
    "end",
    "cost_seconds",
    "epochs",
    "planned_epochs",
    "cut_by",
)


class ExportedTrial(Trial):
    """A trial as an export has it."""

    #: Of the latest attempt that reported.
    reports: tuple[Measured, ...]


class Attempt(Wire):
    """One try at running a trial."""

    attempt: int
    #: `running`, `lost`, or the final state that it gave the trial.
    state: str
    cause: Cause | None
    detail: str
    notes: tuple[str, ...]
    value: float | None
    exit_code: int | None
    peak_memory_bytes: int | None
    start: Moment
    #: None while it runs.
    end: Moment | None


class Difference(Wire):
    """The values of a parameter in a trial and in another one."""

    own: Any
    other: Any
    #: In which of the two alone the parameter is active; its value in the other one is null. `both`: it is in both.
    active_in: Literal["both", "own", "other"] = "both"


class Comparison(Wire):
    """What a trial has other than another one."""

    #: Number of the other trial.
    number: int
    #: How much better its value is than the other's, negative where it is worse; None: one of them has none, or was
    #: trained further.
    gain: float | None
    #: The parameters in which they differ.
    parameters: Mapping[str, Difference]


class TrialDetails(Trial):
    """One trial with all of its attempts, and what it has other than others."""

    #: Why it was proposed, in a sentence.
    reason: str
    #: Compared with the trial of the default configuration, and with the best one; None: there is none, or it is this.
    beside_default: Comparison | None
    beside_best: Comparison | None
    attempt_list: tuple[Attempt, ...]
    #: Numbers of the trials whose checkpoints led to it, the first one first, and its own.
    lineage: tuple[int, ...]
    #: Where the output of the latest attempt lies; None: there is none yet.
    log: str | None
    #: What the worker calls itself that has, or had, the latest attempt; None: it was not for workers, or none has it.
    worker: str | None = None


class TrialResult(Wire):
    """One trial with a value."""

    number: int
    parameters: JsonObject
    value: float
    #: Why it was proposed.
    origin: str
    #: Share of the full training that it had.
    fidelity: float = 1.0
    #: As those of `Trial`.
    epochs: int | None = None
    planned_epochs: int | None = None
    cut_by: Cut | None = None

    @property
    def training(self) -> str:
        """How far its training came, and why no further, for people; empty if all was done, or that is not known."""
        return training_text(self.epochs, self.planned_epochs, self.cut_by)

    @model_serializer(mode="wrap")
    def _briefly(self, handler: SerializerFunctionWrapHandler) -> JsonObject:
        """Leave out a share that is the whole, and what is not known."""
        usual = {"fidelity": 1, "epochs": None, "planned_epochs": None, "cut_by": None}
        known: JsonObject = handler(self)
        return {name: value for name, value in known.items() if name not in usual or value != usual[name]}


class LogPart(Wire):
    """A part of what a trial or job has printed."""

    #: Where the whole lies.
    path: str
    #: Whether there is anything: it may not have been started yet, or have been tidied away.
    exists: bool
    #: Where in the whole this part begins, in bytes.
    offset: int
    data: bytes
    #: Where the part behind it begins.
    next: int
    #: Whether nothing comes any more behind what there is now.
    ended: bool
    #: How long the whole is now.
    size_bytes: int = 0


class Artifact(Wire):
    """A file that a trial or job has left."""

    #: Relative to the folder of all of them, with `/`.
    path: str
    size_bytes: int
    modified_at: Moment
