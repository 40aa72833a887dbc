"""The job `retrain`: the model for use, trained on all data with the parameters that the search found.

`job.json`::

    {"task_file": …, "schedule": [{"fidelity": 0.5, "parameters": {…}}, …], "splits": ["train", "val"],
     "model": model folder of the trial}

Each part of the schedule trains on from where the one before ended. The model goes into `artifacts/model` in the job's
folder. Nothing is held out of these splits, so the only honest figures are those of the test split, where there is
one: they are reported with the last epoch as `test_map` and so on, and kept with the model. The score threshold is that
of the trial's model, which had the validation set to find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.learner import Learner
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import read_config, save_model
from tunewell.tasks.object_detection.train import create_learner
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.prepared import Prepared
from tunewell.tasks.vision.training import epochs_at
from tunewell.trial import report


def retrain(folder: Path) -> None:
    """Train with each part of the schedule in turn, with the seed of the search, and save the model."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        annotated = AnnotatedPictures.load(Path(prepared.manifest))
        splits, schedule = arguments["splits"], arguments["schedule"]
        positions = np.sort(np.concatenate([annotated.splits[split] for split in splits]))
        test = _test_positions(annotated, splits)
        threshold = _threshold(arguments.get("model"))
        learner, metrics = None, {}
        for place, part in enumerate(schedule, start=1):
            learner = _continued(learner, create_learner(prepared, annotated.classes, part["parameters"]))
            pictures = shared_pictures(prepared, annotated, learner.config.image_size)
            last_epoch = epochs_at(part["fidelity"], learner.hyperparameters.epochs)
            metrics = _train(learner, pictures, positions, last_epoch, test if place == len(schedule) else None)
        assert learner is not None, "an empty schedule"
        note = f"Trained on the {len(positions)} pictures of {' and '.join(splits)}. {_figure(annotated, splits)}"
        if len(schedule) > 1:
            note += f" The parameters are those of the last of {len(schedule)} parts of the training."
        config = replace(learner.config, metrics=metrics, note=note, score_threshold=threshold)
        save_model(folder / "artifacts" / "model", learner.result, config)
        print(note)


def _threshold(model: str | None) -> float:
    """Return the score threshold of the trial's model; one half where that is gone."""
    if model is None or not (Path(model) / "model.json").is_file():
        return 0.5
    return read_config(Path(model)).score_threshold


def _test_positions(annotated: AnnotatedPictures, splits: Sequence[str]) -> np.ndarray | None:
    if "test" in splits or "test" not in annotated.splits:
        return None
    return np.asarray(annotated.splits["test"])


def _figure(annotated: AnnotatedPictures, splits: Sequence[str]) -> str:
    test = _test_positions(annotated, splits)
    if test is None:
        return "No test split: not measured on pictures that it has not learned from."
    return f"Measured on the {len(test)} pictures of test."


def _continued(before: Learner | None, learner: Learner) -> Learner:
    """Return `learner`, having it go on from where the one before has ended."""
    if before is not None:
        learner.load_state(before.state())
    return learner


def _train(
    learner: Learner, pictures: DecodedPictures, positions: np.ndarray, last_epoch: int, test: np.ndarray | None
) -> dict[str, float]:
    """Train to an epoch, report each one, return the metrics on `test` after the last (none without it)."""
    while True:
        losses: dict[str, float] = {}
        metrics: dict[str, float] = {}
        if learner.epoch < last_epoch:
            losses["train_loss"] = learner.train_epoch(pictures, positions)
        if test is not None and learner.epoch >= last_epoch:
            measured = measure(learner.detect(pictures, test), pictures.annotated)
            metrics = {f"test_{name}": value for name, value in measured.items()}
        if losses or metrics:
            report(step=learner.epoch, **losses, **metrics)
        if learner.epoch >= last_epoch:
            return metrics
