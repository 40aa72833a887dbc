"""The built-in tasks `image-classification`, one label a picture, and `multilabel-classification`, any number."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np

from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.spec.states import LINEAR_PROBE
from tunewell.tasks import prepare_job
from tunewell.tasks.contract import Network
from tunewell.tasks.image_classification.data import check_classes_left, read_manifest
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.metrics import MOST_WITHOUT_TOP_5, has_top_5
from tunewell.tasks.image_classification.multilabel_data import read_multilabel
from tunewell.tasks.image_classification.networks import ARCHITECTURES, Classifier, architecture
from tunewell.tasks.vision.domains import MAX_IMAGE_SIZES
from tunewell.tasks.vision.hyperparameters import TrainingHyperparameters
from tunewell.tasks.vision.preparation import DecodedSet
from tunewell.tasks.vision.resize_rules import SQUASH, ResizeRule
from tunewell.tasks.vision.task import MEASURE, VisionTask, listed_networks

_PACKAGE = "tunewell.tasks.image_classification"
#: Pictures of at most this many pixels a side are small: there the network trained from scratch is the default.
_SMALL_PICTURE = 64
_SAMPLED_PICTURES = 20
#: What makes a linear probe of a configuration.
_PROBE: Mapping[str, Any] = {"backbone": "frozen", "augmentation": 0.0, "horizontal_flip": False, "mixup": 0.0}


class ImageClassification(VisionTask[LabelledPictures]):
    """Trains one of `networks` to give each picture its label."""

    name: ClassVar[str] = "image-classification"
    networks: ClassVar[Mapping[str, Network]] = listed_networks(ARCHITECTURES)
    default_network: ClassVar[str] = (
        f"small-cnn for pictures of up to {_SMALL_PICTURE} pixels a side, else efficientnet-lite0"
    )
    jobs: ClassVar[Mapping[str, str]] = {
        "prepare": prepare_job.ENTRY,
        "measure": MEASURE,
        "evaluate": f"{_PACKAGE}.evaluate:evaluate",
        "evaluate-model": f"{_PACKAGE}.evaluate:evaluate_model",
        "predict": f"{_PACKAGE}.predict:predict",
        "export-model": f"{_PACKAGE}.export:export",
        "retrain": f"{_PACKAGE}.retrain:retrain",
    }
    predictor: ClassVar[str | None] = f"{_PACKAGE}.predict:load_predictor"
    answering: ClassVar[frozenset[str]] = frozenset({"probabilities"})
    # The optimisers would import torch._dynamo at their first use, in every trial again.
    preload: ClassVar[tuple[str, ...]] = ("torch", "torch._dynamo", "timm", f"{_PACKAGE}.train")
    structural: ClassVar[tuple[str, ...]] = ("backbone", "epochs", "optimizer")
    metrics: ClassVar[Mapping[str, str]] = {
        "accuracy": "maximize",
        "f1": "maximize",
        "auroc": "maximize",
        "top_5_accuracy": "maximize",
        "loss": "minimize",
    }
    needs_of_metrics: ClassVar[Mapping[str, str]] = {
        "auroc": "validation pictures of more than one class",
        "top_5_accuracy": f"more than {MOST_WITHOUT_TOP_5} classes",
    }
    package: ClassVar[str] = _PACKAGE
    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm", "PIL", "safetensors")
    hyperparameters: ClassVar[type[TrainingHyperparameters]] = Hyperparameters
    about_weights: ClassVar[tuple[str, ...]] = ("backbone", "layer_decay")
    view_side: ClassVar[int] = 112
    rule: ClassVar[ResizeRule] = SQUASH

    def architecture(self, name: str) -> Classifier:
        """Return the network called `name`; raise `SpecError` if there is none."""
        return architecture(name)

    def network_for(self, data: object) -> str | None:
        """Return the network that is taken where none is named; see `default_network`."""
        if not isinstance(data, str | Path):
            return None  # validation says what is wrong with it
        self.require()
        from PIL import Image

        manifest = self.read_lately(Path(data), 0)
        self._read = {(Path(data).resolve(), 0): manifest}
        sides = []
        for position in range(0, len(manifest.paths), -(-len(manifest.paths) // _SAMPLED_PICTURES)):
            try:
                with Image.open(manifest.path(position)) as image:
                    sides.append(max(image.size))
            except (OSError, Image.DecompressionBombError):
                continue  # `prepare` deals with broken pictures
        return "small-cnn" if sides and median(sides) <= _SMALL_PICTURE else "efficientnet-lite0"

    def read(self, data: Path, seed: int) -> LabelledPictures:
        """Return the data set at `data`; raise `DataError` if it is none."""
        return read_manifest(data, seed)

    def load(self, manifest: Path) -> LabelledPictures:
        """Return a data set that was saved; raise `DataError` if the file is missing or damaged."""
        return load_manifest(manifest)

    def found(self, pictures: LabelledPictures) -> list[str]:
        """Return how many pictures there are."""
        counts = ", ".join(f"{len(positions)} {split}" for split, positions in pictures.splits.items())
        return [f"Pictures: {counts}, in {len(pictures.classes)} classes; each is opened when the search begins."]

    def draw(self, pictures: LabelledPictures, position: int) -> np.ndarray:
        """Return a picture as a network would see it."""
        from tunewell.tasks.vision.pictures import load_pixels

        return load_pixels(pictures.path(position), self.view_side, self.rule, pictures.value_ranges)

    def check_space(self, spec: ExperimentSpec, space: SearchSpace) -> None:
        """Raise `SpecError` if layers without pretrained weights are to be kept, or to learn at rates of their own."""
        if spec.weights != "none":
            return
        if "layer_decay" in space and space["layer_decay"].size != 1:
            raise SpecError(
                "parameters.layer_decay", "with `weights: none` all layers learn at one rate", "Drop one of the two"
            )
        if "backbone" in space and space["backbone"].contains("frozen"):
            raise SpecError(
                "parameters.backbone", "'frozen' with `weights: none` would learn nothing", "Drop one of the two"
            )

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return a linear probe, where the space has one: the last layer alone, trained on features of the others.

        Pictures are not changed at random then, so each goes through the network once, whatever the number of epochs:
        the training takes about as long as one of those. It is a strong baseline where data are like ImageNet's
        (Kornblith et al. 2019, arXiv:1805.08974).
        """
        default = space.default()
        if spec.weights == "none" or default is None:
            return []
        largest = max(space["image_size"].values(MAX_IMAGE_SIZES))
        with suppress(SpecError):  # it is not in the space
            return [(LINEAR_PROBE, space.check({**default, **_PROBE, "image_size": largest}))]
        return []

    def check_objective(self, spec: ExperimentSpec, pictures: LabelledPictures) -> None:
        """Raise `SpecError` if the objective is not defined for so few classes."""
        if spec.objective.metric == "top_5_accuracy" and not has_top_5(len(pictures.classes)):
            raise SpecError(
                "objective.metric",
                f"it is measured with more than {MOST_WITHOUT_TOP_5} classes, and here are {len(pictures.classes)}",
                "Take accuracy",
            )
        if spec.objective.metric == "auroc" and (pictures.counts("val") > 0).sum() < 2:
            raise SpecError("objective.metric", "val has pictures of a single class, so it is not defined", "Take loss")

    def check_left(self, pictures: LabelledPictures, decoded: DecodedSet[LabelledPictures]) -> LabelledPictures:
        """Return the decoded pictures; raise `DataError` if a class has lost all of its training pictures."""
        return check_classes_left(pictures, decoded.pictures, decoded.broken)


class MultilabelClassification(ImageClassification):
    """Trains one of `networks` to give each picture all of its labels."""

    name: ClassVar[str] = "multilabel-classification"
    answering: ClassVar[frozenset[str]] = frozenset({"threshold", "probabilities"})
    metrics: ClassVar[Mapping[str, str]] = {
        "map": "maximize",
        "f1_macro": "maximize",
        "f1_micro": "maximize",
        "subset_accuracy": "maximize",
        "loss": "minimize",
    }
    needs_of_metrics: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("map", "f1_macro", "f1_micro"), "validation pictures with labels"
    )

    def read(self, data: Path, seed: int) -> LabelledPictures:
        """Return the data set at `data`; raise `DataError` if it is none."""
        return read_multilabel(data, seed)

    def check_objective(self, spec: ExperimentSpec, pictures: LabelledPictures) -> None:
        """Raise `SpecError` if the objective would be 0 whatever is learned."""
        metric = spec.objective.metric
        if metric in ("map", "f1_macro", "f1_micro") and not pictures.counts("val").any():
            raise SpecError(
                "objective.metric",
                f"no picture of val has a label, so {metric} is always 0",
                "Add some to val, or take loss",
            )

    def check_left(self, pictures: LabelledPictures, decoded: DecodedSet[LabelledPictures]) -> LabelledPictures:
        """Return the decoded pictures: a class needs no picture in any split."""
        del pictures
        return decoded.pictures
