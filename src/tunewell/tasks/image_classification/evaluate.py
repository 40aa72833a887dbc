"""The job `evaluate`; see `evaluation`.

An evaluation has the metrics of `detailed_metrics.measure` or `multilabel_details.measure` for the validation set, from
the predictions that the trial left, and for the test set, which nothing has looked at before.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewell.spec.errors import DataError
from tunewell.tasks.evaluation import evaluate_trials
from tunewell.tasks.image_classification.learner import PREDICTION_BATCH, Pictures, labelled_pictures
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.model import ModelConfig, load_model, normalize
from tunewell.tasks.vision.device import best_device, on_device
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.task_file import Prepared

Measures = dict[str, Any]


def evaluate(folder: Path) -> None:
    """Evaluate the trials that `job.json` names."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        manifest = load_manifest(Path(prepared.manifest))
        evaluate_trials(folder, arguments, lambda artifacts: _evaluate_trial(artifacts, prepared, manifest))


def _evaluate_trial(artifacts: Path, prepared: Prepared, manifest: LabelledPictures) -> dict[str, Measures | None]:
    logits, positions = _left_predictions(artifacts / "predictions.npz")
    module, config = load_model(artifacts / "model")
    validation = _measure(logits, positions, manifest, config)
    test = None
    tested = manifest.test_positions()
    if tested is not None:
        pictures = labelled_pictures(prepared, manifest, config.image_size)
        test = _measure(_logits(module, config, pictures, tested), tested, manifest, config)
    measured = {"val": validation, "test": test}
    return {split: found and {**found, "note": config.note} for split, found in measured.items()}


def _left_predictions(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits and positions that the trial left; raise `DataError` if the file is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream) as left:
            return left["logits"], left["positions"]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError):
        raise DataError("these predictions of a trial are damaged", field=str(file), remedy="Restore them") from None


def _measure(
    logits: np.ndarray, positions: np.ndarray, manifest: LabelledPictures, config: ModelConfig
) -> Measures | None:
    """Return the metrics of pictures, None if the model does not even give finite numbers."""
    if not np.isfinite(logits).all():
        return None
    paths = [manifest.path(position) for position in positions.tolist()]
    targets = manifest.targets()[positions]
    return config.kind.measure_in_detail(logits, targets, config.thresholds, manifest.classes, paths)


@torch.inference_mode()
def _logits(module: nn.Module, config: ModelConfig, pictures: Pictures, positions: np.ndarray) -> np.ndarray:
    device = best_device()
    module = on_device(module, device)
    parts = []
    for start in range(0, len(positions), PREDICTION_BATCH):
        pixels, _ = pictures.batch(positions[start : start + PREDICTION_BATCH], device)
        parts.append(module(normalize(pixels, config)).cpu().numpy())
    return np.concatenate(parts)
