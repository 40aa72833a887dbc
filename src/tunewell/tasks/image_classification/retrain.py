"""The job `retrain`: the model for use, trained on all data; see `retraining`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tunewell.tasks.image_classification.learner import ClassificationLearner, Pictures, labelled_pictures
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.model import read_config, save_model
from tunewell.tasks.image_classification.train import create_learner
from tunewell.tasks.job_folder import leave_result, place_in
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.retraining import train_again
from tunewell.tasks.vision.task_file import Prepared


def retrain(folder: Path) -> None:
    """Train on all data and save the model."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(place_in(folder, arguments["task_file"]))
        manifest = load_manifest(Path(prepared.manifest))
        model = place_in(folder, arguments["model"])
        thresholds = _thresholds(model, manifest)
        learner, facts = train_again(
            arguments,
            model,
            manifest,
            lambda found: create_learner(prepared, manifest, prepared.parameters_at(found, 1.0)),
            partial(labelled_pictures, prepared, manifest),
            partial(_measure, thresholds),
        )
        config = replace(learner.config, **facts, thresholds=thresholds)
        save_model(folder / "artifacts" / "model", learner.result, config)
        leave_result(folder, facts)


def _thresholds(model: Path, manifest: LabelledPictures) -> tuple[float, ...]:
    """Return the thresholds of the trial's model; one half each where that is gone, none for one label a picture."""
    if (model / "model.json").is_file():
        return read_config(model).thresholds
    return () if manifest.targets().ndim == 1 else (0.5,) * len(manifest.classes)


def _measure(
    thresholds: Sequence[float], learner: ClassificationLearner, pictures: Pictures, test: np.ndarray
) -> Mapping[str, float]:
    return learner.config.kind.measure(learner.logits(pictures, test), pictures.labels[test], thresholds)
