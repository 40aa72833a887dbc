"""The job `retrain`: the model for use, trained on all data with the parameters that the search found.

`job.json`: `{"task_file": …, "parameters": {…}, "splits": ["train", "val"], …}`. The model goes into
`artifacts/model` in the job's folder. Nothing is held out of these splits, so the only honest figure is that of the
test split, where there is one: it is reported with the last epoch as `test_accuracy`, `test_f1` and `test_loss`, and
kept with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tunewell.tasks.image_classification.data import Manifest
from tunewell.tasks.image_classification.job import arguments_of, shared_pictures
from tunewell.tasks.image_classification.learner import Learner, Pictures
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import save_model
from tunewell.tasks.image_classification.prepared import Prepared
from tunewell.tasks.image_classification.train import create_learner
from tunewell.trial import report


def retrain(folder: Path) -> None:
    """Train for all epochs, with the schedule and the seed of the search, and save the model."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        manifest = prepared.load_manifest()
        learner = create_learner(prepared, manifest.classes, arguments["parameters"])
        pictures = shared_pictures(prepared, manifest, learner.config.image_size)
        splits = arguments["splits"]
        positions = np.sort(np.concatenate([manifest.splits[split] for split in splits]))
        metrics = _train(learner, pictures, positions, _test_positions(manifest, splits))
        note = f"Trained on the {len(positions)} pictures of {' and '.join(splits)}. {_figure(manifest, splits)}"
        save_model(folder / "artifacts" / "model", learner.module, replace(learner.config, metrics=metrics, note=note))
        print(note)


def _test_positions(manifest: Manifest, splits: Sequence[str]) -> np.ndarray | None:
    if "test" in splits or "test" not in manifest.splits:
        return None
    return np.asarray(manifest.splits["test"])


def _figure(manifest: Manifest, splits: Sequence[str]) -> str:
    test = _test_positions(manifest, splits)
    if test is None:
        return "No test split: not measured on pictures that it has not learned from."
    return f"Measured on the {len(test)} pictures of test."


def _train(learner: Learner, pictures: Pictures, positions: np.ndarray, test: np.ndarray | None) -> dict[str, float]:
    """Train to the last epoch, report each one, return the metrics on `test` (none without it)."""
    metrics: dict[str, float] = {}
    while learner.epoch < learner.hyperparameters.epochs:
        loss = learner.train_epoch(pictures, positions)
        if test is not None and learner.epoch == learner.hyperparameters.epochs:
            measured = measure(learner.logits(pictures, test), pictures.labels[test])
            metrics = {f"test_{name}": value for name, value in measured.items()}
        report(step=learner.epoch, train_loss=loss, **metrics)
    return metrics
