"""The task contract: what is trained, in terms that the controller and the schedulers understand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tunewell.spec.capacity import Capacity
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import AttemptKey
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks.data_view import DataView

#: Says how far a lengthy step is: (what, done, total).
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Network:
    """A model architecture of a built-in task, with its search space, whose defaults are its default parameters."""

    name: str
    #: One sentence: what it is and when to choose it.
    description: str
    space: SearchSpace
    #: Parameter name → where its default and range come from.
    sources: Mapping[str, str]
    #: Where pretrained weights come from, for people; empty if there are none.
    weights: str = ""
    #: What is searched instead where a GPU's memory allows more or less, for people; empty if that makes no difference.
    on_gpus: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """How one trial is run. Exactly one of `command` and `entry` is set; see `tunewell.spec.launch.Launch`."""

    command: tuple[str, ...] | None = None
    entry: str | None = None
    preload: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: Path = Path()
    metric_pattern: str | None = None
    #: Epochs of a full training, each of which is reported as a step of that number; None: that is not known.
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One attempt that is about to be started."""

    key: AttemptKey
    #: Its own folder; it exists and holds `parameters.json`.
    folder: Path
    #: Active parameters only.
    parameters: Configuration
    #: Share of the full training that it gets, in (0, 1].
    fidelity: float = 1.0
    #: Share of the training data that it gets, in (0, 1].
    sampling: float = 1.0


@dataclass(frozen=True, slots=True)
class Answering:
    """How a model is to answer; which of it its task takes, `Task.answering` says."""

    #: Score or probability from which on an object or a label is given, in (0, 1]; None: the model's own.
    threshold: float | None = None
    #: Whether the probability of every class is given, where that is not so anyway.
    probabilities: bool = False


#: How it answers if nothing is asked for.
AS_TRAINED = Answering()


class Predicting(Protocol):
    """A model that is loaded."""

    #: Items → what the model says of each, JSON types; of one that can't be read, why not as its `error`.
    predict: Callable[[Sequence[bytes], Answering], list[dict[str, Any]]]
    #: Most items that it takes at a time.
    batch_size: int


class Task(Protocol):
    """One way to say what is trained."""

    #: Its networks by name; empty for a task that has none of its own.
    networks: ClassVar[Mapping[str, Network]]
    #: Which network is taken where none is named, for people; empty without networks.
    default_network: ClassVar[str]
    #: Kind of job (`prepare`, `measure`, `evaluate`, `evaluate-model`, `retrain`, `predict`, `draw`, `export-model`) →
    #: entry that does it; any may be missing. It is called with the job's folder; see `job_folder`.
    jobs: ClassVar[Mapping[str, str]]
    #: Entry (`module:function`) that makes a `Predicting` of a model's folder; None: its models can't be asked.
    predictor: ClassVar[str | None]
    #: Fields of `Answering` that its models can be asked for.
    answering: ClassVar[frozenset[str]]
    #: Modules to import before trials and jobs are forked off.
    preload: ClassVar[tuple[str, ...]]
    #: Parameters that a training can't change when it goes on from a checkpoint.
    structural: ClassVar[tuple[str, ...]]

    def require(self) -> None:
        """Raise `UserError`, which says what to install, if a library is missing that checks, trials or jobs need."""

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Return the raw spec with this task's defaults filled in (objective, network)."""

    def space(self, spec: ExperimentSpec, capacity: Capacity) -> SearchSpace:
        """Return the search space for trials on machines of that capacity.

        Raises:
            SpecError: the spec's parameters don't fit.
        """

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return (origin, configuration) of what is worth a trial early, beside the default configuration."""

    def resumable(self, spec: ExperimentSpec) -> bool:
        """Whether trials go on from the checkpoints of others, and train as far as their fidelity says."""

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look at data and program without starting anything; return what was found, a line each.

        Raises:
            UserError: the experiment could not run; names what is wrong and the remedy.
        """

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> DataView | None:
        """Return the data set, every item of which was read, for people; None if the task knows of none.

        Raises:
            UserError: it can't be read.
        """

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Do once what all trials of a search over `space` share, into the experiment's `folder` and the `cache`.

        Idempotent: a second call with the same spec is quick. Returns notes for the user. A task that takes long for
        it, or has notes, names a job `prepare`; without one, it is called in the controller's process.
        """

    def passes(self, space: SearchSpace) -> int:
        """Return how often `prepare` goes through all items for trials over `space`; 0: that is not known.

        What the job `measure` finds of one pass tells with it how long `prepare` takes.
        """

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Compare the data and weights that the spec names with those that `prepare` saw, wherever these lay.

        Raises:
            UserError: they are others, or it can't be told. `folder` is the experiment's.
        """

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return how to run one attempt. `folder` is the experiment's, prepared before."""

    def inputs(self, spec: ExperimentSpec, folder: Path, configurations: Sequence[Configuration]) -> tuple[Path, ...]:
        """Return the files and folders of the home that trainings with these parameters read, beside their own folders.

        They are what a machine without the home's file system is to have for them; so the jobs of `jobs` about such
        trainings (`evaluate`, `retrain`) read nothing else, but for what trials have left. `folder` is the
        experiment's, prepared before.
        """
