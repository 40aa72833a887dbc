"""The job `retrain`: the model for use, trained on all data; see `retraining`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tunewell.tasks.job_folder import leave_result, place_in
from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.learner import DetectionLearner
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import read_config, save_model
from tunewell.tasks.object_detection.train import create_learner
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.retraining import train_again
from tunewell.tasks.vision.task_file import Prepared


def retrain(folder: Path) -> None:
    """Train on all data and save the model."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(place_in(folder, arguments["task_file"]))
        annotated = AnnotatedPictures.load(Path(prepared.manifest))
        model = place_in(folder, arguments["model"])
        threshold = _threshold(model)
        learner, facts = train_again(
            arguments,
            model,
            annotated,
            lambda found: create_learner(prepared, annotated, prepared.parameters_at(found, 1.0)),
            partial(shared_pictures, prepared, annotated),
            _measure,
        )
        config = replace(learner.config, **facts, score_threshold=threshold, value_ranges=annotated.value_ranges)
        save_model(folder / "artifacts" / "model", learner.result, config)
        leave_result(folder, facts)


def _threshold(model: Path) -> float:
    """Return the score threshold of the trial's model; one half where that is gone."""
    return read_config(model).score_threshold if (model / "model.json").is_file() else 0.5


def _measure(learner: DetectionLearner, pictures: DecodedPictures, test: np.ndarray) -> Mapping[str, float]:
    return measure(learner.detect(pictures, test), pictures.annotated)
