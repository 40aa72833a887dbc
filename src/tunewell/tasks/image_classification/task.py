"""The built-in tasks `image-classification`, one label a picture, and `multilabel-classification`, any number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import ClassVar

import numpy as np

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import SearchSpace
from tunewell.tasks.contract import Attempt, Network, OnProgress, Program
from tunewell.tasks.data_view import DataView
from tunewell.tasks.image_classification.data import check_classes_left, read_manifest
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.multilabel_data import read_multilabel
from tunewell.tasks.image_classification.networks import ARCHITECTURES, architecture
from tunewell.tasks.image_classification.weights import pretrained_weights
from tunewell.tasks.vision.domains import check_domains, image_sizes
from tunewell.tasks.vision.memory_ranges import describe_ranges, fitted_parameters
from tunewell.tasks.vision.preparation import (
    DecodedSet,
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

_PACKAGE = "tunewell.tasks.image_classification"
_LIBRARIES = ("torch", "timm", "PIL", "safetensors")
#: Pictures of at most this many pixels a side are small: there the network trained from scratch is the default.
_SMALL_PICTURE = 64
_SAMPLED_PICTURES = 20
#: Side of the examples of each class.
_VIEW_SIDE = 112


class ImageClassification:
    """Trains one of `networks` to give each picture its label."""

    jobs: ClassVar[Mapping[str, str]] = {
        "evaluate": f"{_PACKAGE}.evaluate:evaluate",
        "predict": f"{_PACKAGE}.predict:predict",
        "export-model": f"{_PACKAGE}.export:export",
        "retrain": f"{_PACKAGE}.retrain:retrain",
    }
    # The optimisers would import torch._dynamo at their first use, in every trial anew.
    preload: ClassVar[tuple[str, ...]] = ("torch", "torch._dynamo", "timm", f"{_PACKAGE}.train")
    structural: ClassVar[tuple[str, ...]] = ("backbone", "epochs", "optimizer")
    #: Name of the task.
    name: ClassVar[str] = "image-classification"
    #: Every network on offer, by name.
    networks: ClassVar[Mapping[str, Network]] = {
        name: replace(item.network, on_gpus=describe_ranges(item.needs)) for name, item in ARCHITECTURES.items()
    }
    #: Which network is taken where none is named, for people; see `complete`.
    default_network: ClassVar[str] = (
        f"small-cnn for pictures of up to {_SMALL_PICTURE} pixels a side, else efficientnet-lite0"
    )
    #: Metric → goal; the first one is the default objective.
    metrics: ClassVar[Mapping[str, str]] = {
        "accuracy": "maximize",
        "f1": "maximize",
        "auroc": "maximize",
        "top_5_accuracy": "maximize",
        "loss": "minimize",
    }

    def require(self) -> None:
        """Raise `UserError` if a part of the extra `vision` is missing."""
        require_libraries(f"The task {self.name}", _LIBRARIES)

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Fill in the objective (the first of `metrics`) and the network.

        Which network depends on the data alone; see `default_network`.

        Raises:
            UserError: the metric or the network is unknown, or the data can't be read.
        """
        completed = dict(spec)
        completed["objective"] = complete_objective(spec.get("objective"), self.metrics)
        if completed.get("network") is not None:
            architecture(str(completed["network"]))
        elif isinstance(spec.get("data"), str | Path):
            completed["network"] = self._default_network(Path(str(spec["data"])))
        return completed

    def space(self, spec: ExperimentSpec) -> SearchSpace:
        """Return the network's space with the spec's overrides, and sizes for the GPU; see `memory_ranges`.

        `backbone` and `layer_decay` are left out where there are no pretrained weights to keep.

        Raises:
            SpecError: an override is malformed, or training can't follow it.
        """
        design = architecture(str(spec.network))
        base = design.network.space
        if spec.weights == "none":
            left_out = {"backbone", "layer_decay"} - set(spec.parameters)
            base = SearchSpace(tuple(parameter for parameter in base if parameter.name not in left_out))
        space = parse_space(fitted_parameters(spec, design.needs), base)
        check_domains(space, Hyperparameters)
        if spec.weights == "none" and "layer_decay" in space and space["layer_decay"].size != 1:
            raise SpecError(
                "parameters.layer_decay", "with `weights: none` all layers learn at one rate", "Drop one of the two"
            )
        if spec.weights == "none" and "backbone" in space and space["backbone"].contains("frozen"):
            raise SpecError(
                "parameters.backbone", "'frozen' with `weights: none` would learn nothing", "Drop one of the two"
            )
        return space

    def resumable(self, spec: ExperimentSpec) -> bool:
        """True: every trial leaves a checkpoint."""
        del spec
        return True

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look at folders and files; pictures are decoded, and thereby checked, in `prepare`."""
        self.require()
        weights = foresee_weights(spec.weights, pretrained_weights(architecture(str(spec.network))))
        manifest = self.read(data_folder(spec), spec.seed)
        self._check_objective(spec, manifest)
        counts = ", ".join(f"{len(positions)} {split}" for split, positions in manifest.splits.items())
        opened = "each is opened by --pictures, and when the search begins"
        found = f"Pictures: {counts}, in {len(manifest.classes)} classes; {opened}."
        data = manifest.summary()
        advice = advise_sampling(spec.sampling, data)
        return [found, by_class(data), f"Network: {spec.network}.", weights, *manifest.notes, *advice]

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> DataView:
        """Return the data set with examples of each class, as a network would see them."""
        self.require()
        from tunewell.tasks.vision.viewing import view_data

        manifest = with_value_ranges(self.read(data_folder(spec), spec.seed), progress)

        def draw(position: int) -> np.ndarray:
            from tunewell.tasks.vision.pictures import SQUASH, load_pixels

            return load_pixels(manifest.path(position), _VIEW_SIDE, SQUASH, manifest.value_ranges)

        return view_data(manifest, draw, progress)

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Decode the pictures at every image size of the space and fetch the weights, where that is still to do.

        Raises:
            DataError: too many pictures are broken, or the weights can't be used.
            ConflictError: the data set is no longer what the experiment began with.
        """
        self.require()
        from tunewell.tasks.vision.pictures import SQUASH

        manifest = self.read(data_folder(spec), spec.seed)
        known = known_preparation(spec, folder, manifest, load_manifest)
        decoded = decode_set(manifest, image_sizes(space), cache, progress, SQUASH)
        decoded = replace(decoded, pictures=self._check_left(manifest, decoded))
        pretrained = pretrained_weights(architecture(str(spec.network)))
        return write_preparation(spec, folder, known, decoded, pretrained, cache)

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Compare the data set and the file of weights with those that the experiment began with.

        Raises:
            UserError: they are others, or can't be read.
        """
        check_weights(spec, known_preparation(spec, folder, self.read(data_folder(spec), spec.seed), load_manifest))

    def program(self, spec: ExperimentSpec, folder: Path, attempt: Attempt) -> Program:
        """Return the entry that trains one configuration."""
        del spec, attempt
        return trial_program(_PACKAGE, self.preload, folder)

    def read(self, data: Path, seed: int) -> LabelledPictures:
        """Return the data set at `data`; raise `DataError` if it is none."""
        return read_manifest(data, seed)

    def _check_left(self, manifest: LabelledPictures, decoded: DecodedSet[LabelledPictures]) -> LabelledPictures:
        """Return the decoded pictures; raise `DataError` if a class has lost all of its training pictures."""
        return check_classes_left(manifest, decoded.pictures, decoded.broken)

    def _check_objective(self, spec: ExperimentSpec, manifest: LabelledPictures) -> None:
        """Raise `SpecError` if the objective is not defined for so few classes."""
        if spec.objective.metric == "top_5_accuracy" and len(manifest.classes) <= 5:
            raise SpecError("objective.metric", f"with {len(manifest.classes)} classes it is always 1", "Take accuracy")
        if spec.objective.metric == "auroc" and (manifest.counts("val") > 0).sum() < 2:
            raise SpecError("objective.metric", "val has pictures of a single class, so it is not defined", "Take loss")

    def _default_network(self, data: Path) -> str:
        self.require()
        from PIL import Image

        manifest = self.read(data, 0)
        sides = []
        for position in range(0, len(manifest.paths), -(-len(manifest.paths) // _SAMPLED_PICTURES)):
            try:
                with Image.open(manifest.path(position)) as image:
                    sides.append(max(image.size))
            except (OSError, Image.DecompressionBombError):
                continue  # `prepare` deals with broken pictures
        return "small-cnn" if sides and median(sides) <= _SMALL_PICTURE else "efficientnet-lite0"


class MultilabelClassification(ImageClassification):
    """Trains one of `networks` to give each picture all of its labels."""

    name: ClassVar[str] = "multilabel-classification"
    metrics: ClassVar[Mapping[str, str]] = {
        "map": "maximize",
        "f1_macro": "maximize",
        "f1_micro": "maximize",
        "subset_accuracy": "maximize",
        "loss": "minimize",
    }

    def read(self, data: Path, seed: int) -> LabelledPictures:
        """Return the data set at `data`; raise `DataError` if it is none."""
        return read_multilabel(data, seed)

    def _check_left(self, manifest: LabelledPictures, decoded: DecodedSet[LabelledPictures]) -> LabelledPictures:
        """Return the decoded pictures: a class needs no picture in any split."""
        del manifest
        return decoded.pictures

    def _check_objective(self, spec: ExperimentSpec, manifest: LabelledPictures) -> None:
        """Raise `SpecError` if the objective would be 0 whatever is learned."""
        metric = spec.objective.metric
        if metric in ("map", "f1_macro", "f1_micro") and not manifest.counts("val").any():
            raise SpecError(
                "objective.metric",
                f"no picture of val has a label, so {metric} is always 0",
                "Add some to val, or take loss",
            )
