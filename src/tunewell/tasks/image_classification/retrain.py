"""The job `retrain`: the model for use, trained on all data with the parameters that the search found.

`job.json`::

    {"task_file": …, "schedule": [{"fidelity": 0.5, "parameters": {…}}, …], "splits": ["train", "val"],
     "model": model folder of the trial}

Each part of the schedule trains on from where the one before ended. The model goes into `artifacts/model` in the job's
folder. Nothing is held out of these splits, so the only honest figure is that of the test split, where there is one:
it is reported with the last epoch as `test_accuracy` and the like, and kept with the model. The thresholds from which
on labels are given are those that the trial found on the validation set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tunewell.tasks.image_classification.learner import Learner, Pictures, labelled_pictures
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.model import read_config, save_model
from tunewell.tasks.image_classification.train import create_learner
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.prepared import Prepared
from tunewell.tasks.vision.training import epochs_at
from tunewell.trial import report


def retrain(folder: Path) -> None:
    """Train with each part of the schedule in turn, with the seed of the search, and save the model."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        manifest = load_manifest(Path(prepared.manifest))
        splits, schedule = arguments["splits"], arguments["schedule"]
        positions = np.sort(np.concatenate([manifest.splits[split] for split in splits]))
        test = _test_positions(manifest, splits)
        thresholds = _thresholds(arguments.get("model"), manifest)
        learner, metrics = None, {}
        for place, part in enumerate(schedule, start=1):
            learner = _continued(learner, create_learner(prepared, manifest, part["parameters"]))
            pictures = labelled_pictures(prepared, manifest, learner.config.image_size)
            last_epoch = epochs_at(part["fidelity"], learner.hyperparameters.epochs)
            measured = test if place == len(schedule) else None
            metrics = _train(learner, pictures, positions, last_epoch, partial(_measure, measured, thresholds))
        assert learner is not None, "an empty schedule"
        note = f"Trained on the {len(positions)} pictures of {' and '.join(splits)}. {_figure(manifest, splits)}"
        if len(schedule) > 1:
            note += f" The parameters are those of the last of {len(schedule)} parts of the training."
        config = replace(learner.config, metrics=metrics, note=note, thresholds=thresholds)
        save_model(folder / "artifacts" / "model", learner.result, config)
        print(note)


def _test_positions(manifest: LabelledPictures, splits: Sequence[str]) -> np.ndarray | None:
    if "test" in splits or "test" not in manifest.splits:
        return None
    return np.asarray(manifest.splits["test"])


def _figure(manifest: LabelledPictures, splits: Sequence[str]) -> str:
    test = _test_positions(manifest, splits)
    if test is None:
        return "No test split: not measured on pictures that it has not learned from."
    return f"Measured on the {len(test)} pictures of test."


def _continued(before: Learner | None, learner: Learner) -> Learner:
    """Return `learner`, having it go on from where the one before has ended."""
    if before is not None:
        learner.load_state(before.state())
    return learner


def _thresholds(model: str | None, manifest: LabelledPictures) -> tuple[float, ...]:
    """Return the thresholds of the trial's model; one half each where that is gone, none for one label a picture."""
    if model is not None and (Path(model) / "model.json").is_file():
        return read_config(Path(model)).thresholds
    return () if manifest.targets().ndim == 1 else (0.5,) * len(manifest.classes)


def _measure(
    test: np.ndarray | None, thresholds: Sequence[float], learner: Learner, pictures: Pictures
) -> dict[str, float]:
    """Return the metrics on `test`, nothing without it."""
    if test is None:
        return {}
    measured = learner.config.kind.measure(learner.logits(pictures, test), pictures.labels[test], thresholds)
    return {f"test_{name}": value for name, value in measured.items()}


def _train(
    learner: Learner,
    pictures: Pictures,
    positions: np.ndarray,
    last_epoch: int,
    measure: Callable[[Learner, Pictures], dict[str, float]],
) -> dict[str, float]:
    """Train to an epoch, report each one, return what `measure` says after the last."""
    while True:
        losses: dict[str, float] = {}
        metrics: dict[str, float] = {}
        if learner.epoch < last_epoch:
            losses["train_loss"] = learner.train_epoch(pictures, positions)
        if learner.epoch >= last_epoch:
            metrics = measure(learner, pictures)
        if losses or metrics:
            report(step=learner.epoch, **losses, **metrics)
        if learner.epoch >= last_epoch:
            return metrics
