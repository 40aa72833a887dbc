"""The job `evaluate`; see `evaluation`.

An evaluation has the metrics of `detailed_metrics.measure_in_detail` for the validation set, from the detections that
the trial left, and for the test set, which nothing has looked at before; its score threshold is that of the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewell.tasks.evaluation import evaluate_trials
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.detailed_metrics import measure_in_detail
from tunewell.tasks.object_detection.detections import Detections, are_finite, load_detections
from tunewell.tasks.object_detection.finding import find_all
from tunewell.tasks.object_detection.model import load_model
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.task_file import Prepared

Measures = dict[str, Any]


def evaluate(folder: Path) -> None:
    """Evaluate the trials that `job.json` names."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        annotated = AnnotatedPictures.load(Path(prepared.manifest))
        evaluate_trials(folder, arguments, lambda artifacts: _evaluate_trial(artifacts, prepared, annotated))


def _evaluate_trial(artifacts: Path, prepared: Prepared, annotated: AnnotatedPictures) -> dict[str, Measures | None]:
    module, config = load_model(artifacts / "model")
    pictures = shared_pictures(prepared, annotated, config.decoded_side)
    validation = _measure(load_detections(artifacts / "detections.json"), pictures)
    test = None
    tested = annotated.test_positions()
    if tested is not None:
        device = best_device()
        found = find_all(on_device(module, device), config, pictures, tested.tolist(), device)
        test = _measure(found, pictures, config.score_threshold)
    return {"val": validation, "test": test}


def _measure(
    found: dict[int, Detections], pictures: DecodedPictures, threshold: float | None = None
) -> Measures | None:
    """Return the metrics of detections, None if the model does not even give finite numbers."""
    return measure_in_detail(found, pictures, threshold) if are_finite(list(found.values())) else None
