"""What the built-in tasks over pictures share: from a spec to a search space, a checked data set, trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic

import numpy as np

from tunewell.spec.capacity import Capacity
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import UserError
from tunewell.spec.experiment import EarlyStoppingRule, ExperimentSpec
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks.contract import Network, OnProgress, PlannedAttempt, Program
from tunewell.tasks.data_view import DataView
from tunewell.tasks.vision.architecture import Architecture
from tunewell.tasks.vision.domains import check_domains, image_sizes
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters
from tunewell.tasks.vision.inspection import Pictures
from tunewell.tasks.vision.length import (
    Length,
    describe,
    describe_on_all,
    length_of,
    sampled,
    suitable_epochs,
    suited_to_data,
)
from tunewell.tasks.vision.memory_ranges import fitted_parameters, gpu_of, sizes_on_gpus
from tunewell.tasks.vision.preparation import (
    DecodedSet,
    check_weights,
    decode_set,
    known_preparation,
    trial_program,
    with_value_ranges,
    write_preparation,
)
from tunewell.tasks.vision.recent import recently_read
from tunewell.tasks.vision.resize_rules import ResizeRule
from tunewell.tasks.vision.sampling import advise_sampling
from tunewell.tasks.vision.specs import by_class, complete_objective, data_folder, require_libraries
from tunewell.tasks.vision.task_file import inputs_of
from tunewell.tasks.vision.weights import foresee_weights

#: Entry of the job `measure`.
MEASURE = "tunewell.tasks.vision.timing:measure"
#: What ends trials early, unless the spec says otherwise.
EARLY_STOPPING: EarlyStoppingRule = "halving"


def listed_networks(designs: Mapping[str, Architecture]) -> dict[str, Network]:
    """Return networks by name, with what is searched on GPUs."""
    return {name: replace(item.network, on_gpus=sizes_on_gpus(item.needs)) for name, item in designs.items()}


class VisionTask(ABC, Generic[Pictures]):
    """A task over pictures. It says how its data are read, described and drawn, and which networks it trains."""

    #: Name of the task.
    name: ClassVar[str]
    networks: ClassVar[Mapping[str, Network]]
    default_network: ClassVar[str]
    jobs: ClassVar[Mapping[str, str]]
    predictor: ClassVar[str | None]
    answering: ClassVar[frozenset[str]]
    preload: ClassVar[tuple[str, ...]]
    structural: ClassVar[tuple[str, ...]]
    #: Metric → goal; the first one is the default objective.
    metrics: ClassVar[Mapping[str, str]]
    #: Metric → what data must have for it, for people, where they may lack it.
    needs_of_metrics: ClassVar[Mapping[str, str]] = {}
    #: Package whose module `train` is the trial.
    package: ClassVar[str]
    #: Libraries that it needs, of the extra `vision`.
    libraries: ClassVar[tuple[str, ...]]
    #: What a trial can be given.
    hyperparameters: ClassVar[type[TrainingHyperparameters]]
    #: Parameters about pretrained weights, left out where there are none.
    about_weights: ClassVar[tuple[str, ...]]
    #: Side of the examples of each class in pixels.
    view_side: ClassVar[int]
    #: How pictures are resized; see `pictures`.
    rule: ClassVar[ResizeRule]

    @abstractmethod
    def architecture(self, name: str) -> Architecture:
        """Return the network called `name`; raise `SpecError` if this task has none of that name."""

    @abstractmethod
    def network_for(self, data: object) -> str | None:
        """Return the network that is taken where none is named, for the data as the user wrote it."""

    @abstractmethod
    def read(self, data: Path, seed: int) -> Pictures:
        """Return the data set at `data`; raise `DataError` if it is none."""

    def read_lately(self, data: Path, seed: int) -> Pictures:
        """Return the data set at `data`, read now or a moment ago; raise `DataError` if it is none."""
        return recently_read(self.name, data, seed, self.read)

    @abstractmethod
    def load(self, manifest: Path) -> Pictures:
        """Return a data set that was saved; raise `DataError` if the file is missing or damaged."""

    @abstractmethod
    def found(self, pictures: Pictures) -> list[str]:
        """Return what is in a data set, a line a fact."""

    @abstractmethod
    def draw(self, pictures: Pictures, position: int) -> np.ndarray:
        """Return a picture for people, with what is known of it, uint8 (H, W, 3)."""

    def sized(
        self, design: Architecture, pictures: Pictures, space: SearchSpace, given: Mapping[str, Any], on_gpu: bool
    ) -> dict[str, Any]:
        """Return declarations of image sizes, and of what depends on them, that suit the data.

        They lie above what the GPU affords, which is in `space`, and below what the spec declares, `given`.
        """
        del design, pictures, space, given, on_gpu
        return {}

    def sizes_found(
        self, design: Architecture, pictures: Pictures, space: SearchSpace, given: Mapping[str, Any]
    ) -> list[str]:
        """Return what the data are to the network at the default sizes of `space`, a line a fact; see `sized`."""
        del design, pictures, space, given
        return []

    def items(self, pictures: Pictures, configuration: Mapping[str, Any]) -> int:
        """Return how many items an epoch learns from; each is a training picture, or what is seen of one at a time."""
        del configuration
        return len(pictures.splits["train"])

    def decoded_sizes(self, space: SearchSpace) -> list[int]:
        """Return every size in pixels that the pictures are decoded at, ascending; raise `SpecError`: too many."""
        return image_sizes(space)

    def decoded_size(self, configuration: Mapping[str, Any]) -> int:
        """Return the one of `decoded_sizes` that a configuration is trained with."""
        return int(configuration["image_size"])

    def check_space(self, spec: ExperimentSpec, space: SearchSpace) -> None:
        """Raise `SpecError` if what the spec asks for makes no sense together."""

    def check_objective(self, spec: ExperimentSpec, pictures: Pictures) -> None:
        """Raise `SpecError` if the objective is not defined for this data set."""

    def check_left(self, pictures: Pictures, decoded: DecodedSet[Pictures]) -> Pictures:
        """Return the decoded pictures, broken ones left out; raise `DataError` if too few are left of `pictures`."""
        del pictures
        return decoded.pictures

    def __init__(self) -> None:
        #: What was read, and made of it, for the `check` that follows: (folder, seed) → data set, search space.
        self._read: dict[tuple[Path, int], Pictures] = {}
        self._spaces: dict[tuple[Path, int], SearchSpace] = {}

    def require(self) -> None:
        """Raise `UserError` if a part of the extra `vision` is missing."""
        require_libraries(f"The task {self.name}", self.libraries)

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Fill in the objective (the first of `metrics`), the network, and that trials which do badly are ended early.

        Raises:
            UserError: the metric or the network is unknown, or the data are needed to choose one and can't be read.
        """
        completed = dict(spec)
        completed["objective"] = complete_objective(spec.get("objective"), self.metrics)
        if completed.get("network") is not None:
            self.architecture(str(completed["network"]))
        elif network := self.network_for(spec.get("data")):
            completed["network"] = network
        if completed.get("early_stopping") is None:
            completed["early_stopping"] = EARLY_STOPPING
        return completed

    def space(self, spec: ExperimentSpec, capacity: Capacity) -> SearchSpace:
        """Return the network's space with the spec's overrides, sizes for the GPU and what suits the data.

        See `memory_ranges`, `sized` and `length`. Parameters about pretrained weights are left out where there are
        none. Data that can't be read change nothing here: `check` says what is wrong with them.

        Raises:
            SpecError: an override is malformed, or training can't follow it.
        """
        design = self.architecture(str(spec.network))
        left_out = {*self.about_weights} - {*spec.parameters} if spec.weights == "none" else set()
        base = SearchSpace(tuple(parameter for parameter in design.network.space if parameter.name not in left_out))
        pictures = self._pictures(spec)
        fitted = fitted_parameters(spec, design.needs, capacity)
        space = parse_space(fitted, base)
        if pictures is not None:
            on_gpu = gpu_of(spec, capacity) is not None
            sized = self.sized(design, pictures, space, spec.parameters, on_gpu)
            space = parse_space({**fitted, **sized, **spec.parameters}, base)
            items = sampled(self.items(pictures, space.default() or {}), spec.sampling)
            space = parse_space(suited_to_data(space, spec.parameters, items, design.least_steps), space)
            self._spaces[data_folder(spec), spec.seed] = space
        check_domains(space, self.hyperparameters)
        self.decoded_sizes(space)
        self.check_space(spec, space)
        return space

    def _pictures(self, spec: ExperimentSpec) -> Pictures | None:
        """Return the data set, which `check` will not read again; None if it can't be read."""
        place = (data_folder(spec), spec.seed)
        if place not in self._read:
            with suppress(UserError):
                self.require()
                self._read[place] = self.read_lately(*place)
        return self._read.get(place)

    def passes(self, space: SearchSpace) -> int:
        """Return how many sizes the pictures are decoded at, one after the other."""
        return len(self.decoded_sizes(space))

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return (origin, configuration) of what is worth a trial early; nothing, unless a task knows of something."""
        del spec, space
        return []

    def resumable(self, spec: ExperimentSpec) -> bool:
        """True: every trial leaves a checkpoint."""
        del spec
        return True

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look at what describes the data; pictures are decoded, and thereby checked, in `prepare`.

        What they are to the network is said of the space that was asked for before, which knows the machine.
        """
        self.require()
        design = self.architecture(str(spec.network))
        weights = foresee_weights(spec.weights, design.pretrained)
        place = (data_folder(spec), spec.seed)
        if place not in self._spaces:
            with suppress(UserError):
                self.space(spec, Capacity(()))
        pictures = self._read.pop(place, None) or self.read_lately(*place)
        space = self._spaces.pop(place, None)
        self.check_objective(spec, pictures)
        data = pictures.summary()
        length = self._lengths(spec, pictures, space) if space is not None else None
        return [
            *self.found(pictures),
            by_class(data),
            *(self.sizes_found(design, pictures, space, spec.parameters) if space is not None else ()),
            f"Network: {spec.network}.",
            weights,
            *(self._training(spec, design, length) if length is not None else ()),
            *pictures.notes,
            *(advise_sampling(spec.sampling, data, lambda share: length(share).steps) if length is not None else ()),
        ]

    def _training(self, spec: ExperimentSpec, design: Architecture, length: Callable[[float], Length]) -> list[str]:
        """Return how long the default configuration is trained, a line each."""
        own, is_given = design.network.space["epochs"].default, "epochs" in spec.parameters
        assert isinstance(own, int)
        lines = describe(length(spec.sampling), own, design.least_steps, is_given)
        return lines if spec.sampling == 1 else [*lines, describe_on_all(length(1.0), is_given)]

    def _lengths(
        self, spec: ExperimentSpec, pictures: Pictures, space: SearchSpace
    ) -> Callable[[float], Length] | None:
        """Return what tells how long the default configuration is trained on a share of the training pictures.

        None: that can't be told.
        """
        design, default = self.architecture(str(spec.network)), space.default()
        own = design.network.space["epochs"].default
        if default is None or not isinstance(own, int):
            return None
        items, trained = self.items(pictures, default), len(pictures.splits["train"])

        def length(share: float) -> Length:
            number, configuration = sampled(items, share), default
            if "epochs" not in spec.parameters:
                epochs = suitable_epochs(number, int(default["batch_size"]), own, design.least_steps)
                configuration = {**default, "epochs": epochs}
            return length_of(configuration, number, sampled(trained, share))

        return length

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> DataView:
        """Return the data set, all of it decoded, with examples of each class."""
        self.require()
        from tunewell.tasks.vision.viewing import view_data

        pictures = with_value_ranges(self.read(data_folder(spec), spec.seed), progress)
        return view_data(pictures, lambda position: self.draw(pictures, position), self.view_side, progress)

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Decode the pictures at every image size of the space and fetch the weights, where that is still to do.

        Raises:
            DataError: too many pictures are broken, or the weights can't be used.
            ConflictError: the data set is no longer what the experiment began with.
        """
        self.require()
        pictures = self.read(data_folder(spec), spec.seed)
        known = known_preparation(spec, folder, pictures, self.load)
        decoded = decode_set(pictures, self.decoded_sizes(space), cache, progress, self.rule)
        decoded = replace(decoded, pictures=self.check_left(pictures, decoded))
        pretrained = self.architecture(str(spec.network)).pretrained
        length = self._lengths(spec, decoded.pictures, space)
        advice, epochs_on_all = list[str](), None
        if length is not None:
            advice = advise_sampling(spec.sampling, decoded.pictures.summary(), lambda share: length(share).steps)
        if length is not None and spec.sampling < 1 and "epochs" not in spec.parameters:
            epochs_on_all = length(1.0).epochs
        return write_preparation(spec, folder, known, decoded, pretrained, cache, advice, epochs_on_all)

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Compare the data set and the file of weights with those that the experiment began with.

        Raises:
            UserError: they are others, or can't be read.
        """
        pictures = self.read(data_folder(spec), spec.seed)
        check_weights(spec, known_preparation(spec, folder, pictures, self.load))

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return the entry that trains one configuration."""
        del spec
        return trial_program(self.package, self.preload, folder, int(attempt.parameters["epochs"]))

    def inputs(self, spec: ExperimentSpec, folder: Path, configurations: Sequence[Configuration]) -> tuple[Path, ...]:
        """Return what `prepare` left: the decoded pictures at the sizes of these configurations, and the weights."""
        del spec
        return inputs_of(folder, {self.decoded_size(configuration) for configuration in configurations})
