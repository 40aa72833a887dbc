"""What verbs take and give: one frozen type a thing, the same for REST, clients, `--json`, console and programs.

Moments are aware datetimes in UTC, and RFC 3339 with milliseconds in JSON. Durations are seconds, sizes bytes, shares
numbers from 0 to 1. A path is one on the machine of the service. Values of `environment` are in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SerializerFunctionWrapHandler, model_serializer

from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState

Item = TypeVar("Item")
JsonObject = dict[str, Any]


def rfc3339(moment: datetime) -> str:
    """Return a moment as JSON has it: `2026-03-01T14:05:00.000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


Moment = Annotated[datetime, PlainSerializer(rfc3339, when_used="json")]


class Wire(BaseModel):
    """Base of all types: frozen, and what a newer service adds is left out by an older reader."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        ser_json_bytes="base64",
        val_json_bytes="base64",
        defer_build=True,  # a command needs few of them, and should not wait for all
    )

    def to_json(self) -> JsonObject:
        """Return it as JSON types."""
        return self.model_dump(mode="json")


class Page(Wire, Generic[Item]):
    """A part of a list."""

    items: tuple[Item, ...]
    #: What to ask for the part that follows; None: this is the last one.
    next: str | None = None


class Caller(Wire):
    """Who asks for something."""

    name: str
    role: Literal["administrator", "user", "reader"]


#: On the command line and in a program without a server: the person whose home it is.
OWNER = Caller(name="owner", role="administrator")


# Experiments ----------------------------------------------------------------------------------------------


class Objective(Wire):
    """What is optimised."""

    metric: str
    goal: Literal["maximize", "minimize"]


class BestTrial(Wire):
    """The best trial in a line of a list."""

    number: int
    value: float


class ExperimentSummary(Wire):
    """An experiment as a line of a list."""

    name: str
    state: ExperimentState
    #: Whether a controller runs it now. One that is neither final nor running was interrupted.
    running: bool
    #: Which rule ended it; None while none has.
    stop_rule: str | None
    #: One sentence for people about its state.
    detail: str
    objective: Objective
    #: How many trials are in each state.
    trials: Mapping[TrialState, int]
    best: BestTrial | None
    #: Number of trials that it may make.
    max_trials: int
    algorithm: str
    created_at: Moment
    #: When it first ran.
    started_at: Moment | None
    #: None while it is not final.
    ended_at: Moment | None
    #: For how long it has run, all runs together.
    elapsed_seconds: float
    #: Grows whenever something about it changes.
    version: int


class ReportFile(Wire):
    """The HTML report in the folder of an experiment."""

    path: str
    written_at: Moment


class Experiment(ExperimentSummary):
    """One experiment."""

    #: The spec as it is on record.
    spec: JsonObject
    #: Declarations of the parameters, those of the network included.
    space: JsonObject
    #: Why the algorithm was taken; empty: the user named it.
    algorithm_reason: str
    #: Sentences for people about the whole search.
    notes: tuple[str, ...]
    #: Where its files lie.
    folder: str
    #: None: it has not been written.
    report: ReportFile | None


class Submission(Wire):
    """What became of a spec that was submitted."""

    name: str
    #: `new`: it was created; `continued`: it goes on; `finished`: it has ended, nothing is to be done.
    kind: Literal["new", "continued", "finished"]


class Parameter(Wire):
    """One parameter of a search space, for people."""

    name: str
    #: Its range or choices: `1e-05 … 0.1 (log)`.
    domain: str
    #: Whether it has one value only.
    fixed: bool
    #: Whether its declaration gives a default.
    has_default: bool
    #: Its default; of a fixed one that has none, its value; None where there is neither.
    default: Any = None
    #: With which values of which other parameters it is active; empty: always.
    when: Mapping[str, tuple[Any, ...]]
    #: Where default and range come from; empty: the user's spec.
    source: str = ""


class LineFindings(Wire):
    """What is found in a line of a program's output."""

    step: int | None
    metrics: Mapping[str, float]
    #: One sentence for people.
    told: str


class DataFindings(Wire):
    """What was found in the data when all of them were opened."""

    #: What they consist of: `picture`, `row` …
    unit: str
    #: How many of them can't be read.
    broken: int
    #: How many are in train and in another split, too.
    copied: int


class Checked(Wire):
    """A spec that has passed every check, with what follows from it. Nothing has been started or recorded."""

    experiment: str
    objective: Objective
    algorithm: str
    #: Why it is taken; empty: the user named it.
    algorithm_reason: str
    #: The algorithm's options: the user's, and those that follow from the number of trials.
    options: JsonObject
    max_trials: int
    parameters: tuple[Parameter, ...]
    #: What the check found, a line each.
    findings: tuple[str, ...]
    line: LineFindings | None = None
    data: DataFindings | None = None


# Trials ---------------------------------------------------------------------------------------------------


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


class TrialDetails(Trial):
    """One trial with all of its attempts."""

    attempt_list: tuple[Attempt, ...]
    #: Numbers of the trials whose checkpoints led to it, the first one first, and its own.
    lineage: tuple[int, ...]
    #: Where the output of the latest attempt lies; None: there is none yet.
    log: str | None


class TrialResult(Wire):
    """One trial with a value."""

    number: int
    parameters: JsonObject
    value: float
    #: Why it was proposed.
    origin: str
    #: Share of the full training that it had.
    fidelity: float = 1.0

    @model_serializer(mode="wrap")
    def _briefly(self, handler: SerializerFunctionWrapHandler) -> JsonObject:
        """Leave out a share that is the whole."""
        known: JsonObject = handler(self)
        return {name: value for name, value in known.items() if name != "fidelity" or value != 1}


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


class Artifact(Wire):
    """A file that a trial or job has left."""

    #: Relative to the folder of all of them, with `/`.
    path: str
    size_bytes: int
    modified_at: Moment


# Results --------------------------------------------------------------------------------------------------


class Finalist(Wire):
    """One of the best trials of a search on a sample, trained on all data."""

    #: Number of the trial.
    number: int
    #: Its objective on the sample, and on all data; None if that training failed.
    sample_value: float
    value: float | None
    #: Where what the training left lies; None if it failed.
    folder: str | None = None
    #: Why it failed.
    detail: str = ""


class SearchResult(Wire):
    """What a search has brought so far: what `--json` prints."""

    experiment: str
    state: ExperimentState
    stop_rule: str | None
    detail: str
    objective: Objective
    best: TrialResult | None
    #: The trial that trained the default configuration in full, if it has a value.
    default: TrialResult | None
    #: The best trials, best first; at most five.
    top: tuple[TrialResult, ...]
    #: How many trials are in each state.
    trials: Mapping[TrialState, int]
    elapsed_seconds: float
    notes: tuple[str, ...]
    #: Trial number → objective on the test data, of the best trials and the default one, where it was measured.
    test: Mapping[int, float] = Field(default_factory=dict)
    #: The best trials of a search on a sample, trained on all data, best first.
    finalists: tuple[Finalist, ...] = ()
    #: Rank correlation of the finalists' values on the sample and on all data; None for fewer than three.
    rank_agreement: float | None = None

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the default configuration (never negative by goal)."""
        if self.best is None or self.default is None:
            return None
        difference = self.best.value - self.default.value
        return difference if self.objective.goal == "maximize" else -difference


class Evaluation(Wire):
    """The detailed evaluation of one trial."""

    number: int
    #: Figures of each split, and what charts are drawn from; they depend on the task.
    figures: JsonObject


class Model(Wire):
    """A trained model of an experiment."""

    experiment: str
    #: `best`: the best trial's; `retrained`: trained on all data afterwards.
    kind: Literal["best", "retrained"]
    #: Where it lies.
    folder: str


class Latest(Wire):
    """The objective of a running trial so far."""

    step: int
    value: float


class Snapshot(Wire):
    """A search at one moment, small enough to be read several times a second."""

    experiment: Experiment
    result: SearchResult
    #: Running and waiting trials by number, 100 at most.
    unfinished: tuple[Trial, ...]
    #: The trials that ended last, the latest first.
    ended: tuple[Trial, ...]
    #: Number of a running trial → its objective so far.
    latest: Mapping[int, Latest]

    @property
    def ended_count(self) -> int:
        """How many trials have ended."""
        return sum(count for state, count in self.result.trials.items() if state.final)

    @property
    def remaining_seconds(self) -> float | None:
        """Estimate of the time to the last trial from the pace so far; None before a trial has ended."""
        if not self.ended_count or self.result.state.final:
            return None
        # A running trial is half done, on average.
        done = self.ended_count + 0.5 * self.result.trials.get(TrialState.RUNNING, 0)
        return self.result.elapsed_seconds / done * (self.experiment.max_trials - done)


class Chart(Wire):
    """A chart of an experiment."""

    title: str
    #: What it shows and how to read it. Without a figure: why there is none.
    caption: str
    #: A Plotly figure: `data` and `layout`.
    figure: JsonObject | None


# Jobs -----------------------------------------------------------------------------------------------------

JobKind = Literal[
    "check",
    "probe",
    "prepare",
    "finalists",
    "finalist",
    "evaluate",
    "retrain",
    "predict",
    "export-model",
    "report",
    "import",
]


class Job(Wire):
    """Work on record that is no trial."""

    id: int
    kind: JobKind
    #: Name of the experiment that it is about; None: it is about none.
    experiment: str | None
    arguments: JsonObject
    state: JobState
    #: Why it did not succeed.
    cause: Cause | None = None
    #: One line for people about the end.
    detail: str = ""
    #: Sentences for people.
    notes: tuple[str, ...] = ()
    #: What is being done → share of it that is done.
    progress: Mapping[str, float] = Field(default_factory=dict)
    #: What it found out or made; depends on the kind.
    result: JsonObject | None = None
    #: Who asked for it.
    caller: str = ""
    attempt: int = 0
    #: File that its latest attempt prints into; None: it has printed nothing.
    log: str | None = None
    created_at: Moment
    started_at: Moment | None = None
    #: None while it is not final.
    ended_at: Moment | None = None
    cost_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    #: Grows whenever something about it changes.
    version: int = 0


# The service ----------------------------------------------------------------------------------------------


class Network(Wire):
    """A model architecture that built-in tasks offer."""

    name: str
    #: The tasks that offer it.
    tasks: tuple[str, ...]
    #: One sentence: what it is and when to choose it.
    description: str
    #: Where pretrained weights come from, for people; empty if there are none.
    weights: str
    #: What is searched instead where a GPU's memory allows more or less, for people; empty: that makes no difference.
    on_gpus: str
    parameters: tuple[Parameter, ...]


class Task(Wire):
    """A built-in task."""

    name: str
    #: Which network is taken where none is named, for people.
    default_network: str
    #: Name → description.
    networks: Mapping[str, str]


class Event(Wire):
    """One entry of the audit trail. Ids grow, though not by one."""

    id: int
    time: Moment
    kind: str
    trial: int | None
    attempt: int | None
    #: What else is to be told; its keys depend on the kind.
    data: JsonObject


class Changed(Wire):
    """An experiment or job that has changed."""

    kind: Literal["experiment", "job"]
    #: Of an experiment.
    name: str | None
    #: Of a job.
    id: int | None
    version: int


class Changes(Wire):
    """What has changed since a version."""

    #: What to ask for next. Below the version that was asked for: begin again from 0.
    version: int
    #: By version; each experiment and job once, with its latest.
    items: tuple[Changed, ...]


class Gpu(Wire):
    """One GPU."""

    #: As CUDA_VISIBLE_DEVICES names it.
    device: str
    name: str
    memory_bytes: int | None


class Node(Wire):
    """One machine that runs trials and jobs."""

    name: str
    #: What trials may use of it in all, …
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    #: … and what of it is free now.
    free_cpus: float
    free_memory_bytes: int
    free_gpus: tuple[str, ...]


class Capacity(Wire):
    """What there is for trials and jobs."""

    nodes: tuple[Node, ...]
