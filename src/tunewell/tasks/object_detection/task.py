"""The built-in tasks `object-detection` and `instance-segmentation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import SearchSpace
from tunewell.tasks.contract import Attempt, Network, OnProgress, Program
from tunewell.tasks.data_view import DataView
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.networks import DETECTORS, SEGMENTERS, Architecture, architecture
from tunewell.tasks.object_detection.weights import pretrained_weights
from tunewell.tasks.vision.domains import check_domains, image_sizes
from tunewell.tasks.vision.memory_ranges import describe_ranges, fitted_parameters
from tunewell.tasks.vision.preparation import (
    check_weights,
    decode_set,
    known_preparation,
    trial_program,
    with_value_ranges,
    write_preparation,
)
from tunewell.tasks.vision.sampling import advise_sampling
from tunewell.tasks.vision.specs import by_class, complete_objective, data_folder, require_libraries
from tunewell.tasks.vision.weights import foresee_weights

_PACKAGE = "tunewell.tasks.object_detection"
_LIBRARIES = ("torch", "torchvision", "timm", "PIL", "safetensors", "faster_coco_eval")
#: Longer side of the examples of each class.
_VIEW_SIDE = 288
_BOX_METRICS = {"map": "maximize", "map50": "maximize", "map75": "maximize"}


def _listed(designs: Mapping[str, Architecture]) -> dict[str, Network]:
    """Return networks by name, with what is searched on GPUs."""
    return {name: replace(item.network, on_gpus=describe_ranges(item.needs)) for name, item in designs.items()}


class ObjectDetection:
    """Trains one of `networks` to find objects in pictures, by boxes."""

    jobs: ClassVar[Mapping[str, str]] = {
        "evaluate": f"{_PACKAGE}.evaluate:evaluate",
        "predict": f"{_PACKAGE}.predict:predict",
        "draw": f"{_PACKAGE}.predict:predict",
        "export-model": f"{_PACKAGE}.export:export",
        "retrain": f"{_PACKAGE}.retrain:retrain",
    }
    # The optimisers would import torch._dynamo at their first use, in every trial anew.
    preload: ClassVar[tuple[str, ...]] = (
        "torch",
        "torch._dynamo",
        "torchvision",
        "timm",
        "faster_coco_eval",
        f"{_PACKAGE}.train",
    )
    structural: ClassVar[tuple[str, ...]] = ("anchor_ratio", "anchor_scale", "epochs", "frozen_stages", "optimizer")
    #: Name of the task.
    name: ClassVar[str] = "object-detection"
    #: Whether objects have masks.
    with_masks: ClassVar[bool] = False
    #: Every network on offer, by name.
    networks: ClassVar[Mapping[str, Network]] = _listed(DETECTORS)
    #: Which network is taken where none is named.
    default_network: ClassVar[str] = next(iter(DETECTORS))
    #: Metric → goal; the first one is the default objective.
    metrics: ClassVar[Mapping[str, str]] = _BOX_METRICS

    def require(self) -> None:
        """Raise `UserError` if a part of the extra `vision` is missing."""
        require_libraries(f"The task {self.name}", _LIBRARIES)

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Fill in the objective (COCO's mean average precision) and the network, a light one.

        Raises:
            UserError: the metric or the network is unknown.
        """
        completed = dict(spec)
        completed["objective"] = complete_objective(spec.get("objective"), self.metrics)
        if completed.get("network") is None:
            completed["network"] = self.default_network
        self._architecture(completed["network"])
        return completed

    def space(self, spec: ExperimentSpec) -> SearchSpace:
        """Return the network's space with the spec's overrides, and sizes for the GPU; see `memory_ranges`.

        `frozen_stages` is left out where there are no pretrained weights to keep.

        Raises:
            SpecError: an override is malformed, or training can't follow it.
        """
        design = self._architecture(spec.network)
        base = design.network.space
        if spec.weights == "none":
            if "frozen_stages" in spec.parameters:
                raise SpecError(
                    "parameters.frozen_stages", "with `weights: none` there is nothing to keep", "Drop one of the two"
                )
            base = SearchSpace(tuple(parameter for parameter in base if parameter.name != "frozen_stages"))
        space = parse_space(fitted_parameters(spec, design.needs), base)
        check_domains(space, Hyperparameters)
        return space

    def resumable(self, spec: ExperimentSpec) -> bool:
        """True: every trial leaves a checkpoint."""
        del spec
        return True

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look at annotations and at the headers of pictures; pixels are decoded, and thereby checked, in `prepare`."""
        self.require()
        weights = foresee_weights(spec.weights, pretrained_weights(self._architecture(spec.network)))
        annotated = self._read(spec)
        advice = advise_sampling(spec.sampling, annotated.summary())
        return [*describe(annotated), f"Network: {spec.network}.", weights, *annotated.notes, *advice]

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> DataView:
        """Return the data set with examples of each class, their objects drawn."""
        self.require()
        from tunewell.tasks.object_detection.dataset import load_picture
        from tunewell.tasks.object_detection.drawing import drawn, marks_of_objects
        from tunewell.tasks.object_detection.frames import Frame
        from tunewell.tasks.vision.viewing import view_data

        annotated = with_value_ranges(self._read(spec), progress)

        def draw(position: int) -> np.ndarray:
            marks = marks_of_objects(annotated.objects[position], annotated.classes)
            pixels, size = load_picture(annotated.path(position), Frame.square(_VIEW_SIDE), annotated.value_ranges)
            return np.asarray(drawn(pixels, size, marks))

        return view_data(annotated, draw, progress)

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Decode the pictures at every image size of the space and fetch the weights, where that is still to do.

        Raises:
            DataError: too many pictures are broken, or the weights can't be used.
            ConflictError: the data set is no longer what the experiment began with.
        """
        self.require()
        from tunewell.tasks.vision.pictures import LETTERBOX

        annotated = self._read(spec)
        known = known_preparation(spec, folder, annotated, AnnotatedPictures.load)
        decoded = decode_set(annotated, image_sizes(space), cache, progress, LETTERBOX)
        pretrained = pretrained_weights(self._architecture(spec.network))
        return write_preparation(spec, folder, known, decoded, pretrained, cache)

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Compare the data set and the file of weights with those that the experiment began with.

        Raises:
            UserError: they are others, or can't be read.
        """
        check_weights(spec, known_preparation(spec, folder, self._read(spec), AnnotatedPictures.load))

    def program(self, spec: ExperimentSpec, folder: Path, attempt: Attempt) -> Program:
        """Return the entry that trains one configuration."""
        del spec, attempt
        return trial_program(_PACKAGE, self.preload, folder)

    def _architecture(self, name: object) -> Architecture:
        return architecture(str(name), self.with_masks)

    def _read(self, spec: ExperimentSpec) -> AnnotatedPictures:
        from tunewell.tasks.object_detection.reading import read_annotations

        return read_annotations(data_folder(spec), spec.seed, self.with_masks)


class InstanceSegmentation(ObjectDetection):
    """Trains one of `networks` to find objects in pictures, by masks; metrics are those of masks, but for `box_…`."""

    name: ClassVar[str] = "instance-segmentation"
    with_masks: ClassVar[bool] = True
    networks: ClassVar[Mapping[str, Network]] = _listed(SEGMENTERS)
    default_network: ClassVar[str] = next(iter(SEGMENTERS))
    metrics: ClassVar[Mapping[str, str]] = {**_BOX_METRICS, "box_map": "maximize", "box_map50": "maximize"}


def describe(annotated: AnnotatedPictures) -> list[str]:
    """Return what is in a data set, a line a fact."""
    data = annotated.summary()
    pictures = ", ".join(f"{count} {split}" for split, count in data.pictures.items())
    totals = ", ".join(f"{annotated.counts(split).sum()} {split}" for split in data.pictures)
    kind = "Objects with masks" if annotated.has_masks else "Objects"
    classes = "1 class" if len(annotated.classes) == 1 else f"{len(annotated.classes)} classes"
    return [
        f"Pictures: {pictures}; each is decoded when the search begins.",
        f"{kind}: {totals}, in {classes}.",
        by_class(data),
    ]
