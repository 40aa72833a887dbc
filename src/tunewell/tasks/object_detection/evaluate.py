"""The job `evaluate`; see `evaluation`.

An evaluation has the metrics of `detailed_metrics.measure_in_detail` for the validation set, from the detections that
the trial left, and for the test set, which nothing has looked at before; its score threshold is that of the model.
The job `evaluate-model` has them for data that were labelled anew; see `new_data`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.spec.errors import DataError
from tunewell.tasks.evaluation import evaluate_trials
from tunewell.tasks.job_folder import place_in
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import ShownPictures, load_picture, shared_pictures
from tunewell.tasks.object_detection.detailed_metrics import measure_in_detail
from tunewell.tasks.object_detection.detections import Detections, are_finite, load_detections
from tunewell.tasks.object_detection.finding import find, find_all
from tunewell.tasks.object_detection.model import ModelConfig, load_model
from tunewell.tasks.object_detection.reading import read_to_measure
from tunewell.tasks.object_detection.resampling import on_resamples
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.new_data import chosen_positions, labels_by_name, leave, look_at, note_known
from tunewell.tasks.vision.task_file import Prepared

Measures = dict[str, Any]
#: Pictures that are read at a time.
_AT_A_TIME = 8


def evaluate(folder: Path) -> None:
    """Evaluate the trials that `job.json` names."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(place_in(folder, arguments["task_file"]))
        annotated = AnnotatedPictures.load(Path(prepared.manifest))
        evaluate_trials(folder, arguments, lambda artifacts: _evaluate_trial(artifacts, prepared, annotated))


def evaluate_model(folder: Path) -> None:
    """Evaluate the model that `job.json` names on other data."""
    with arguments_of(folder) as arguments:
        module, config = load_model(Path(arguments["model"]))
        with_masks = config.task == "instance-segmentation"
        read = read_to_measure(Path(arguments["data"]), with_masks)
        chosen = chosen_positions(read, arguments["split"])
        wanted = [position for positions in chosen.values() for position in positions]
        occurring = np.unique(np.concatenate([read.objects[position].labels for position in wanted]))
        places, notes = labels_by_name(read, occurring.tolist(), config.classes)
        annotated = replace(
            read,
            classes=config.classes,
            objects=tuple(replace(objects, labels=places[objects.labels]) for objects in read.objects),
            value_ranges=config.value_ranges,
        )
        pictures, device = _Fresh(annotated, config), best_device()
        module = on_device(module, device)

        def look(loaded: Sequence[tuple[np.ndarray, tuple[int, int]]]) -> list[Detections]:
            return [find(module, config, pixels, size, device) for pixels, size in loaded]

        load = partial(load_picture, frame=config.frame, ranges=config.value_ranges, tiles=config.tiles)
        found, unreadable = look_at(annotated, wanted, load, look, _AT_A_TIME)
        if not any(len(annotated.objects[position]) for position in found):
            raise DataError(
                "no picture shows an object", field=str(read.folder), remedy="Mark some, or choose another split"
            )
        measured = _measure(found, pictures, 0, config.score_threshold)
        known = note_known(arguments["task_file"], read, found)
        leave(folder, measured, chosen, found, unreadable, [*known, *read.notes, *notes])


@dataclass(frozen=True, slots=True)
class _Fresh:
    """Pictures that no search has decoded: each is read when it is wanted."""

    annotated: AnnotatedPictures
    config: ModelConfig

    def picture(self, position: int) -> np.ndarray:
        """Return the pixels of a picture as the network gets them."""
        frame, tiles = self.config.frame, self.config.tiles
        return load_picture(self.annotated.path(position), frame, self.annotated.value_ranges, tiles)[0]


def _evaluate_trial(artifacts: Path, prepared: Prepared, annotated: AnnotatedPictures) -> dict[str, Measures | None]:
    module, config = load_model(artifacts / "model")
    pictures = shared_pictures(prepared, annotated, config.decoded_side)
    validation = _measure(load_detections(artifacts / "detections.json"), pictures, prepared.seed)
    test = None
    tested = annotated.test_positions()
    if tested is not None:
        device = best_device()
        found = find_all(on_device(module, device), config, pictures, tested.tolist(), device)
        test = _measure(found, pictures, prepared.seed, config.score_threshold)
    measured = {"val": validation, "test": test}
    return {split: found and {**found, "note": config.note} for split, found in measured.items()}


def _measure(
    found: dict[int, Detections], pictures: ShownPictures, seed: int, threshold: float | None = None
) -> Measures | None:
    """Return the metrics of detections, None if the model does not even give finite numbers."""
    if not are_finite(list(found.values())):
        return None
    measures = measure_in_detail(found, pictures, threshold)
    return {**measures, "resampled": on_resamples(found, pictures.annotated, seed)}
