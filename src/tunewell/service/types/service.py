"""What the service offers, what changes in it, what there is for trials, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from tunewell.service.types.base import JsonObject, Moment, Wire
from tunewell.service.types.experiments import Parameter, WaitsFor
from tunewell.spec.states import ExperimentState, JobState, TrialState


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
    #: What it reports → its goal; the first one is optimised where none is named.
    metrics: Mapping[str, Literal["maximize", "minimize"]]
    #: What its models can be asked for besides: `threshold`, `probabilities`; see `Verbs.predict`.
    answering: tuple[str, ...] = ()


class AlgorithmOption(Wire):
    """An option of an algorithm."""

    name: str
    #: What it is, for people.
    meaning: str
    #: Its values, for people: `a whole number from 1 to 20`.
    values: str
    #: The ends of its values; None: they are no numbers.
    low: float | None = None
    high: float | None = None
    #: Its values, where they are a few words, or true and false.
    choices: tuple[str | bool, ...] = ()
    #: The value that it has where none is given; None: that follows from the space or the number of trials.
    default: float | int | str | bool | None = None


class Algorithm(Wire):
    """A search algorithm."""

    name: str
    #: One sentence: what it does, and when to take it.
    description: str
    options: tuple[AlgorithmOption, ...]


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
    """An experiment, job or published model that has changed."""

    kind: Literal["experiment", "job", "model"]
    #: Of an experiment or model.
    name: str | None
    #: Of a job.
    id: int | None
    version: int


class Changes(Wire):
    """What has changed since a version."""

    #: What to ask for next. Below the version that was asked for: begin again from 0.
    version: int
    #: By version; each experiment, job and model once, with its latest.
    items: tuple[Changed, ...]


class About(Wire):
    """What a service is, and how much it takes."""

    version: str
    database: Literal["sqlite", "postgresql"]
    #: Whether users who may run code may send Python functions.
    takes_functions: bool
    #: Largest upload, and most uploads of a user that nothing was made of.
    upload_bytes: int
    uploads: int
    #: For how long an upload is kept after its last part, and a data set in the bin.
    upload_seconds: float
    bin_seconds: float
    #: What a data set, and a program, may be unpacked: together, and how many files.
    dataset_bytes: int
    dataset_files: int
    code_bytes: int
    code_files: int


class Gpu(Wire):
    """One GPU."""

    #: As CUDA_VISIBLE_DEVICES names it.
    device: str
    name: str
    memory_bytes: int | None


class Used(Wire):
    """An attempt that runs, and what it takes of its machine."""

    #: The user, and the experiment that it is about; None: there is none, or the caller may not see it.
    owner: str | None
    experiment: str | None
    #: Number of the trial, or of the job; None: it is the other one, or the caller may not see it.
    trial: int | None
    job: int | None
    #: When it was started; None: that is not known, or the caller may not see it.
    since: Moment | None
    cpus: float
    gpus: float
    #: Which GPUs, as far as that is known.
    devices: tuple[str, ...] = ()
    #: What is reserved for it; 0: nothing is.
    memory_bytes: int


class Node(Wire):
    """One machine that runs trials and jobs."""

    name: str
    #: What people call it, where its name tells them nothing.
    called: str = ""
    #: Whether it is a node of a Ray cluster, by Ray's name for it; else it is a machine with a controller.
    cluster: bool = False
    #: What trials may use of it in all, …
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    #: … and what of it is free now; of memory, what is not reserved by `resources: {memory: …}` of what runs. Parts of
    #: GPUs count, too: 0.5 and 0.5 are 1, although no attempt gets a whole GPU then.
    free_cpus: float
    free_memory_bytes: int
    free_gpus: float
    #: Which GPUs these are; of a cluster's nodes nobody knows.
    free_devices: tuple[str, ...] = ()
    #: What a spec can ask of a cluster's node by name: its labels, amounts that it offers, and what of them is free.
    labels: Mapping[str, str] = Field(default_factory=dict)
    custom: Mapping[str, float] = Field(default_factory=dict)
    free_custom: Mapping[str, float] = Field(default_factory=dict)
    #: Who uses what of it.
    used: tuple[Used, ...] = ()


class Cluster(Wire):
    """The Ray cluster that searches with `scheduler: ray` run on."""

    #: HOST:PORT of its head, or `auto`: the one that the machine of the service is a node of.
    address: str
    #: Since when it can't be used, so that searches for it wait; None: it can be.
    away_since: Moment | None
    #: Why it can't be used; empty: it can be, or has not answered yet.
    problem: str


class Capacity(Wire):
    """What there is for trials and jobs."""

    #: The nodes of a cluster that is away are those that it had, with nothing free.
    nodes: tuple[Node, ...]
    #: None: there is none.
    cluster: Cluster | None = None
    #: What runs on machines that this one knows nothing about, by their names.
    elsewhere: Mapping[str, tuple[Used, ...]] = Field(default_factory=dict)


class QueueEntry(Wire):
    """An experiment or a job that has something to start, and does not."""

    #: Name of the experiment, or of the one that the job is about; None: the job is about none.
    experiment: str | None
    #: Number of the job; None: it is the experiment's trials.
    job: int | None
    #: The user for whom it runs.
    owner: str
    #: Its place among all who wait for room, 1: the next; None: it waits for something else.
    place: int | None
    #: How many of its attempts run.
    running: int
    #: Of an experiment: its share of what its owner gets, in proportion to those of the owner's others.
    weight: float | None
    waits_for: WaitsFor


class Queue(Wire):
    """What waits, and why."""

    #: How many wait for room, those that the caller may not see among them.
    waiting: int
    #: Those that the caller may see: who waits for room first, in their order, then the others.
    entries: tuple[QueueEntry, ...]


class Readiness(Wire):
    """Whether a service can do its work."""

    #: Whether the database can be read.
    database: bool
    #: Whether a controller runs what is on record.
    controller: bool
    #: Whether nothing is missing.
    ready: bool


class Figures(Wire):
    """How much there is of everything, in all experiments together; those in the bin are left out."""

    experiments: Mapping[ExperimentState, int]
    trials: Mapping[TrialState, int]
    jobs: Mapping[JobState, int]
    #: Attempts at trials and jobs that run.
    running: int
    #: Trials and jobs that wait to be run.
    waiting: int
