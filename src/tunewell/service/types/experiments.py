"""Experiments, what is submitted and what is found out before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tunewell.service.types.base import JsonObject, Moment, Wire
from tunewell.service.types.storage import UsedDataSet
from tunewell.spec.experiment import EarlyStoppingRule
from tunewell.spec.names import Visibility
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.spec.waits import WaitCode


class Objective(Wire):
    """What is optimised."""

    metric: str
    goal: Literal["maximize", "minimize"]
    #: The search ends where a trial reaches it; None: there is none.
    target: float | None = None

    def gain(self, value: float | None, other: float | None) -> float | None:
        """Return how much better a value is than another; negative where it is worse, None where one is missing."""
        if value is None or other is None:
            return None
        return value - other if self.goal == "maximize" else other - value


class TrialValue(Wire):
    """A trial in a line of a list."""

    number: int
    value: float


class WaitsFor(Wire):
    """Why something that could go on does not."""

    code: WaitCode
    #: One sentence for people.
    detail: str
    #: What is used up: a limit of a quota, such as `gpus`; or the host or the job that it waits for; may be empty.
    what: str = ""
    #: Since when; None: that is not known.
    since: Moment | None = None


class Use(Wire):
    """What attempts that have ended have used together."""

    #: Seconds times cores, and times GPUs.
    cpu_seconds: float
    gpu_seconds: float


class ExperimentSummary(Wire):
    """An experiment as a line of a list."""

    #: In full; see `tunewell.service.verbs`.
    name: str
    owner: str
    visibility: Visibility
    #: What people group experiments by; empty: none.
    project: str
    tags: tuple[str, ...]
    state: ExperimentState
    #: Whether a controller runs it now. One that is neither final nor running is paused, or has not begun.
    running: bool
    #: Why it starts nothing just now that could be started; None: nothing keeps it, or there is nothing to start.
    waits_for: WaitsFor | None
    #: Which rule ended it; None while none has.
    stop_rule: str | None
    #: One sentence for people about its state.
    detail: str
    objective: Objective
    #: How many trials are in each state.
    trials: Mapping[TrialState, int]
    best: TrialValue | None
    #: The trial that trained the default configuration in full, if it has a value.
    default: TrialValue | None
    #: Number of trials that it may make.
    max_trials: int
    algorithm: str
    created_at: Moment
    #: When it first ran.
    started_at: Moment | None
    #: None while it is not final.
    ended_at: Moment | None
    #: For how long it has run, all runs together: time passes while a controller runs it.
    elapsed_seconds: float
    #: Grows whenever something about it changes, with every report, too.
    version: int
    #: Grows when its spec or one of the facts that people set changes, and at nothing else: what a change is compared
    #: with that is only meant for what its caller has seen (`If-Match`).
    revision: int

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the default configuration; None: one of them has no value."""
        if self.best is None or self.default is None:
            return None
        return self.objective.gain(self.best.value, self.default.value)


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
    description: str
    #: Its share of what its owner gets, in proportion to those of the owner's others.
    weight: float
    #: What its attempts, and those of its jobs, have used.
    use: Use
    #: Why the algorithm was taken; empty: the user named it.
    algorithm_reason: str
    #: Sentences for people about the whole search.
    notes: tuple[str, ...]
    #: The data set of the service that it uses; None: it uses none.
    dataset: UsedDataSet | None = None
    #: Where its files lie.
    folder: str
    #: None: it has not been written.
    report: ReportFile | None


class Clone(Wire):
    """A spec that would search again what an experiment searches."""

    #: As `create` takes it, under a name that is free.
    spec: JsonObject
    #: Variables of its `environment`, which are left out: their values are told to nobody.
    environment: tuple[str, ...]


class OwnConfiguration(Wire):
    """A configuration that was added to a running search: it is tried as one of the next trials, of origin `own`."""

    #: As the trial will have them: active parameters only.
    parameters: JsonObject


class Submission(Wire):
    """What became of a spec that was submitted."""

    name: str
    #: `new`: it was created; `continued`: it goes on; `finished`: it has ended, nothing is to be done.
    kind: Literal["new", "continued", "finished"]
    #: Sentences for people about what was submitted and what is on record.
    notes: tuple[str, ...] = ()


class Parameter(Wire):
    """One parameter of a search space, for people."""

    name: str
    #: Its range or choices: `1e-05 … 0.1 (log)`.
    domain: str
    #: The same as a spec declares it, with its default and condition.
    declaration: JsonObject
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


class Estimate(Wire):
    """How long a search may take, judged by an earlier one that trained the same, or by a few steps of a training."""

    #: Of all trials, each trained in full, if nothing ends the search before; None: that depends on the workers.
    seconds: float | None
    #: Of a trial that is trained in full.
    trial_seconds: float
    #: How many trials trained in full `max_duration` has room for; None: that depends on the workers, too.
    room: int | None
    #: The earlier experiment, and how many of its trials were looked at; empty and 0: it was measured now.
    experiment: str = ""
    trials: int = 0
    #: Of the default configuration, as it was measured: epochs of a training, steps of an epoch, seconds of a step.
    epochs: int | None = None
    steps: int | None = None
    step_seconds: float | None = None
    #: What the search prepares before its first trial, the first time that its data are used; None: that is not known.
    prepare_seconds: float | None = None
    #: A few sentences for people.
    told: str
    #: Sentences on limits that are too short for it.
    warnings: tuple[str, ...] = ()


class Checked(Wire):
    """A spec that has passed every check, with what follows from it. Nothing has been started or recorded."""

    experiment: str
    #: The network that is trained; empty: it is no built-in task.
    network: str = ""
    objective: Objective
    algorithm: str
    #: Why it is taken; empty: the user named it.
    algorithm_reason: str
    #: The algorithm's options: the user's, and those that follow from the number of trials.
    options: JsonObject
    #: Where the first trials lie because of what parameters are called, in a sentence; empty: names tell nothing here.
    first_trials: str = ""
    #: What saves training on trials that promise little; `off`: nothing does.
    early_stopping: EarlyStoppingRule
    max_trials: int
    #: Most trials at once, and a sentence on what bounds them.
    at_once: int
    concurrency: str
    #: None: no earlier search tells, and it was not measured.
    estimate: Estimate | None = None
    #: Why it could not be measured; empty: it was, or need not be, or nobody has asked for it.
    not_estimated: str = ""
    parameters: tuple[Parameter, ...]
    #: What the check found, a line each.
    findings: tuple[str, ...]
    line: LineFindings | None = None
    data: DataFindings | None = None
