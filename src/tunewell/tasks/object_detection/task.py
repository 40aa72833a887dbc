"""The built-in tasks `object-detection` and `instance-segmentation`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import SearchSpace
from tunewell.tasks import prepare_job
from tunewell.tasks.contract import Network
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.fitting import decoded_sizes, sizes_found, suited_sizes
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.networks import Detector, architecture, detectors
from tunewell.tasks.object_detection.object_sizes import ObjectSizes
from tunewell.tasks.object_detection.tiling import decoded_side
from tunewell.tasks.vision.architecture import Architecture
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters
from tunewell.tasks.vision.resize_rules import LETTERBOX, ResizeRule
from tunewell.tasks.vision.task import MEASURE, VisionTask, listed_networks

_PACKAGE = "tunewell.tasks.object_detection"
_BOX_METRICS = {"map": "maximize", "map50": "maximize", "map75": "maximize"}


class ObjectDetection(VisionTask[AnnotatedPictures]):
    """Trains one of `networks` to find objects in pictures, by boxes; the default objective is COCO's mean average
    precision, the default network a light one.
    """

    name: ClassVar[str] = "object-detection"
    networks: ClassVar[Mapping[str, Network]] = listed_networks(detectors(with_masks=False))
    default_network: ClassVar[str] = next(iter(networks))
    jobs: ClassVar[Mapping[str, str]] = {
        "prepare": prepare_job.ENTRY,
        "measure": MEASURE,
        "evaluate": f"{_PACKAGE}.evaluate:evaluate",
        "evaluate-model": f"{_PACKAGE}.evaluate:evaluate_model",
        "predict": f"{_PACKAGE}.predict:predict",
        "draw": f"{_PACKAGE}.predict:predict",
        "export-model": f"{_PACKAGE}.export:export",
        "retrain": f"{_PACKAGE}.retrain:retrain",
    }
    predictor: ClassVar[str | None] = f"{_PACKAGE}.predict:load_predictor"
    answering: ClassVar[frozenset[str]] = frozenset({"threshold"})
    # The optimisers would import torch._dynamo at their first use, in every trial again.
    preload: ClassVar[tuple[str, ...]] = (
        "torch",
        "torch._dynamo",
        "torchvision",
        "timm",
        "faster_coco_eval",
        f"{_PACKAGE}.train",
    )
    structural: ClassVar[tuple[str, ...]] = (
        "anchor_ratio",
        "anchor_scale",
        "epochs",
        "frozen_stages",
        "optimizer",
        "tiles",
    )
    metrics: ClassVar[Mapping[str, str]] = _BOX_METRICS
    package: ClassVar[str] = _PACKAGE
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "timm", "PIL", "safetensors", "faster_coco_eval")
    hyperparameters: ClassVar[type[TrainingHyperparameters]] = Hyperparameters
    about_weights: ClassVar[tuple[str, ...]] = ("frozen_stages",)
    view_side: ClassVar[int] = 288
    rule: ClassVar[ResizeRule] = LETTERBOX
    #: Whether objects have masks.
    with_masks: ClassVar[bool] = False

    def architecture(self, name: str) -> Detector:
        """Return the network called `name`; raise `SpecError` if this task has none of that name."""
        return architecture(name, self.with_masks)

    def network_for(self, data: object) -> str:
        """Return the default network, whatever the data."""
        del data
        return self.default_network

    def read(self, data: Path, seed: int) -> AnnotatedPictures:
        """Return the data set at `data`; raise `DataError` if it is none."""
        from tunewell.tasks.object_detection.reading import read_annotations

        return read_annotations(data, seed, self.with_masks)

    def load(self, manifest: Path) -> AnnotatedPictures:
        """Return a data set that was saved; raise `DataError` if the file is missing or damaged."""
        return AnnotatedPictures.load(manifest)

    def found(self, pictures: AnnotatedPictures) -> list[str]:
        """Return how many pictures and objects there are."""
        counts = ", ".join(f"{len(positions)} {split}" for split, positions in pictures.splits.items())
        totals = ", ".join(f"{pictures.counts(split).sum()} {split}" for split in pictures.splits)
        kind = "Objects with masks" if pictures.has_masks else "Objects"
        classes = "1 class" if len(pictures.classes) == 1 else f"{len(pictures.classes)} classes"
        return [f"Pictures: {counts}; each is decoded when the search begins.", f"{kind}: {totals}, in {classes}."]

    def sized(
        self,
        design: Architecture,
        pictures: AnnotatedPictures,
        space: SearchSpace,
        given: Mapping[str, Any],
        on_gpu: bool,
    ) -> dict[str, Any]:
        """Return image sizes and anchors that suit the objects."""
        return suited_sizes(self.architecture(design.network.name), ObjectSizes.of(pictures), space, given, on_gpu)

    def sizes_found(
        self, design: Architecture, pictures: AnnotatedPictures, space: SearchSpace, given: Mapping[str, Any]
    ) -> list[str]:
        """Return how large and how many the objects are, and whether they can be found."""
        return sizes_found(self.architecture(design.network.name), ObjectSizes.of(pictures), space, given)

    def items(self, pictures: AnnotatedPictures, configuration: Mapping[str, Any]) -> int:
        """Return how many pictures, or views of them where they are seen in tiles, an epoch learns from."""
        from tunewell.tasks.object_detection.dataset import items_number

        tiles = int(configuration.get("tiles", 1))
        if tiles == 1:
            return len(pictures.splits["train"])
        return items_number(pictures, self.decoded_size(configuration), tiles)

    def decoded_sizes(self, space: SearchSpace) -> list[int]:
        """Return the sizes that the tiles of every image size are cut from."""
        return decoded_sizes(space)

    def decoded_size(self, configuration: Mapping[str, Any]) -> int:
        """Return the size that the tiles of a configuration are cut from."""
        return decoded_side(int(configuration["image_size"]), int(configuration.get("tiles", 1)))

    def draw(self, pictures: AnnotatedPictures, position: int) -> np.ndarray:
        """Return a picture with its objects drawn in."""
        from tunewell.tasks.object_detection.dataset import load_picture
        from tunewell.tasks.object_detection.drawing import drawn, marks_of_objects
        from tunewell.tasks.object_detection.frames import Frame

        marks = marks_of_objects(pictures.objects[position], pictures.classes)
        pixels, size = load_picture(pictures.path(position), Frame.square(self.view_side), pictures.value_ranges)
        return np.asarray(drawn(pixels, size, marks))

    def check_space(self, spec: ExperimentSpec, space: SearchSpace) -> None:
        """Raise `SpecError` if stages without pretrained weights are to be kept."""
        if spec.weights == "none" and "frozen_stages" in space:
            raise SpecError(
                "parameters.frozen_stages", "with `weights: none` there is nothing to keep", "Drop one of the two"
            )


class InstanceSegmentation(ObjectDetection):
    """Trains one of `networks` to find objects in pictures, by masks; metrics are those of masks, but for `box_…`."""

    name: ClassVar[str] = "instance-segmentation"
    with_masks: ClassVar[bool] = True
    networks: ClassVar[Mapping[str, Network]] = listed_networks(detectors(with_masks=True))
    default_network: ClassVar[str] = next(iter(networks))
    metrics: ClassVar[Mapping[str, str]] = {**_BOX_METRICS, "box_map": "maximize", "box_map50": "maximize"}
