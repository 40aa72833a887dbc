"""The built-in tasks `object-detection` and `instance-segmentation`."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import ConflictError, SpecError, UserError, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import SearchSpace
from tunewell.tasks.contract import Attempt, Network, Program, Progress
from tunewell.tasks.data_view import DataView
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.networks import DETECTORS, SEGMENTERS, Architecture, architecture
from tunewell.tasks.object_detection.weights import pretrained_weights
from tunewell.tasks.vision.domains import check_domains, image_sizes
from tunewell.tasks.vision.inspection import inspect
from tunewell.tasks.vision.memory_ranges import describe_ranges, fitted_parameters
from tunewell.tasks.vision.picture_set import fingerprint
from tunewell.tasks.vision.prepared import TASK_FILE_VARIABLE, Prepared
from tunewell.tasks.vision.sampling import advise_sampling
from tunewell.tasks.vision.weights import check_weights_file, obtain_weights

_PACKAGE = "tunewell.tasks.object_detection"
_LIBRARIES = ("torch", "torchvision", "timm", "PIL", "safetensors", "faster_coco_eval")
#: Most classes that a check lists.
_LISTED_CLASSES = 20
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
    #: Every network on offer, by name; the first one is the default.
    networks: ClassVar[Mapping[str, Network]] = _listed(DETECTORS)
    #: Metric → goal; the first one is the default objective.
    metrics: ClassVar[Mapping[str, str]] = _BOX_METRICS

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Fill in the objective (COCO's mean average precision) and the network, a light one.

        Raises:
            UserError: the metric or the network is unknown.
        """
        completed = dict(spec)
        completed["objective"] = self._complete_objective(spec.get("objective"))
        if completed.get("network") is None:
            completed["network"] = next(iter(self.networks))
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
        self._require_libraries()
        self._architecture(spec.network)
        check_weights_file(spec.weights)
        annotated = self._read(spec)
        return [*describe(annotated), f"Network: {spec.network}.", *annotated.notes, *_advice(spec, annotated)]

    def view(self, spec: ExperimentSpec, progress: Progress) -> DataView:
        """Return the data set with examples of each class, their objects drawn."""
        self._require_libraries()
        from tunewell.tasks.object_detection.dataset import load_frame
        from tunewell.tasks.object_detection.drawing import drawn, marks_of_objects
        from tunewell.tasks.vision.viewing import view_data

        annotated = self._read(spec)

        def draw(position: int) -> np.ndarray:
            marks = marks_of_objects(annotated.objects[position], annotated.classes)
            frame, size = load_frame(annotated.path(position), _VIEW_SIDE)
            return np.asarray(drawn(frame, size, marks))

        return view_data(annotated, annotated.summary(), annotated.of_class(), draw, progress)

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: Progress
    ) -> list[str]:
        """Decode the pictures at every image size of the space and fetch the weights, where that is still to do.

        Raises:
            DataError: too many pictures are broken, or the weights can't be used.
            ConflictError: the data set is no longer what the experiment began with.
        """
        self._require_libraries()
        folder.mkdir(parents=True, exist_ok=True)
        task_file = folder / "task.json"
        known = Prepared.load(task_file) if task_file.exists() else None
        annotated = self._read(spec)
        state = fingerprint(annotated)
        if known is not None and known.fingerprint != state:
            raise _changed(spec)
        pixels, annotated = _decode(annotated, state, image_sizes(space), cache, progress)
        if known is not None and AnnotatedPictures.load(Path(known.manifest)).digest() != annotated.digest():
            raise _changed(spec)
        if known is not None and (known.weights is None or Path(known.weights).exists()):
            return list(known.notes)
        weights = obtain_weights(spec.weights, pretrained_weights(self._architecture(spec.network)), cache)
        annotated.save(folder / "manifest.json")
        prepared = Prepared(
            network=str(spec.network),
            weights=str(weights.path) if weights.path else None,
            manifest=str(folder / "manifest.json"),
            fingerprint=state,
            pixels=pixels,
            seed=spec.seed,
            sampling=spec.sampling,
            notes=(*annotated.notes, weights.origin, *_advice(spec, annotated)),
        )
        prepared.save(task_file)
        return list(prepared.notes)

    def program(self, spec: ExperimentSpec, folder: Path, attempt: Attempt) -> Program:
        """Return the entry that trains one configuration."""
        del spec, attempt
        environment = {TASK_FILE_VARIABLE: str(folder / "task.json")}
        return Program(entry=f"{_PACKAGE}.train:train", preload=self.preload, environment=environment)

    def _architecture(self, name: object) -> Architecture:
        return architecture(str(name), self.with_masks)

    def _read(self, spec: ExperimentSpec) -> AnnotatedPictures:
        from tunewell.tasks.object_detection.reading import read_annotations

        assert spec.data is not None  # every spec with a task has one
        return read_annotations(spec.data, spec.seed, self.with_masks)

    def _require_libraries(self) -> None:
        missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(
                f"The task {self.name} needs {', '.join(missing)}. Install it with: pip install 'tunewell[vision]'"
            )

    def _complete_objective(self, objective: object) -> object:
        default = next(iter(self.metrics))
        if objective is None:
            return {"metric": default, "goal": self.metrics[default]}
        given = {"metric": objective} if isinstance(objective, str) else objective
        if not isinstance(given, Mapping) or not isinstance(given.get("metric", default), str):
            return objective  # for the spec's own validation to refuse
        metric = given.get("metric", default)
        if metric not in self.metrics:
            raise SpecError("objective.metric", f"this task does not report '{metric}'", nearest(metric, self.metrics))
        return {"metric": metric, "goal": self.metrics[metric], **given}


class InstanceSegmentation(ObjectDetection):
    """Trains one of `networks` to find objects in pictures, by masks; metrics are those of masks, but for `box_…`."""

    name: ClassVar[str] = "instance-segmentation"
    with_masks: ClassVar[bool] = True
    networks: ClassVar[Mapping[str, Network]] = _listed(SEGMENTERS)
    metrics: ClassVar[Mapping[str, str]] = {**_BOX_METRICS, "box_map": "maximize", "box_map50": "maximize"}


def describe(annotated: AnnotatedPictures) -> list[str]:
    """Return what is in a data set, a line a fact."""
    pictures = ", ".join(f"{len(positions)} {split}" for split, positions in annotated.splits.items())
    lines = [f"Pictures: {pictures}; each is decoded when the search begins."]
    kind = "Objects with masks" if annotated.has_masks else "Objects"
    counts = {split: annotated.class_counts(split) for split in annotated.splits}
    totals = ", ".join(f"{int(count.sum())} {split}" for split, count in counts.items())
    classes = "1 class" if len(annotated.classes) == 1 else f"{len(annotated.classes)} classes"
    lines.append(f"{kind}: {totals}, in {classes}.")
    shown = sorted(range(len(annotated.classes)), key=lambda label: -counts["train"][label])
    named = [
        f"{annotated.classes[label]} {' + '.join(str(count[label]) for count in counts.values())}" for label in shown
    ]
    more = f" and {len(named) - _LISTED_CLASSES} more" if len(named) > _LISTED_CLASSES else ""
    lines.append(f"By class ({' + '.join(counts)}): {', '.join(named[:_LISTED_CLASSES])}{more}.")
    return lines


def _advice(spec: ExperimentSpec, annotated: AnnotatedPictures) -> list[str]:
    return advise_sampling(spec.sampling, len(annotated.splits["train"]), annotated.class_counts("train").tolist())


def _changed(spec: ExperimentSpec) -> ConflictError:
    return ConflictError(
        f"{spec.data}: the data set has changed since experiment '{spec.name}' began. "
        "Restore it, or start afresh with --new."
    )


def _decode(
    annotated: AnnotatedPictures, state: str, sizes: list[int], cache: Path, progress: Progress
) -> tuple[dict[int, str], AnnotatedPictures]:
    """Return image size → cache folder, and the set without broken pictures and with notes on the pictures."""
    from tunewell.tasks.vision.cache import decode
    from tunewell.tasks.vision.pictures import LETTERBOX

    decoded = {size: decode(annotated, state, size, cache, progress, LETTERBOX) for size in sizes}
    first = decoded[sizes[0]]
    return {size: str(item.folder) for size, item in decoded.items()}, inspect(annotated, first.digests, first.broken)
