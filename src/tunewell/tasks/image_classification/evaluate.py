"""The job `evaluate`: how good the models of trials are, in detail.

`job.json`: `{"task_file": …, "trials": [{"number": 7, "folder": attempt folder}, …]}`. Leaves `evaluation.json`::

    {"trials": {"7": {"val": {…}, "test": {…} or null}, …}}

with the metrics of `detailed_metrics.measure` for the validation set, from the predictions that the trial left,
and for the test set, which nothing has looked at before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tunewell.tasks.image_classification.data import Manifest
from tunewell.tasks.image_classification.detailed_metrics import measure
from tunewell.tasks.image_classification.learner import PREDICTION_BATCH, Pictures, labelled_pictures
from tunewell.tasks.image_classification.model import ModelConfig, load_model, normalize
from tunewell.tasks.vision.job import arguments_of
from tunewell.tasks.vision.prepared import Prepared
from tunewell.tasks.vision.training import best_device
from tunewell.trial import report
from tunewell.trial.files import write_json

Measures = dict[str, Any]


def evaluate(folder: Path) -> None:
    """Evaluate the trials that `job.json` names; report how many are done after each."""
    with arguments_of(folder) as arguments:
        prepared = Prepared.load(Path(arguments["task_file"]))
        manifest = Manifest.load(Path(prepared.manifest))
        found = {}
        for trial in arguments["trials"]:
            found[str(trial["number"])] = _evaluate_trial(Path(trial["folder"]) / "artifacts", prepared, manifest)
            report(step=len(found), evaluated=len(found))
        write_json(folder / "evaluation.json", {"trials": found})


def _evaluate_trial(artifacts: Path, prepared: Prepared, manifest: Manifest) -> dict[str, Measures | None]:
    with np.load(artifacts / "predictions.npz") as left:
        validation = _measure(left["logits"], left["positions"], manifest)
    test = None
    if "test" in manifest.splits:
        module, config = load_model(artifacts / "model")
        positions = np.asarray(manifest.splits["test"])
        pictures = labelled_pictures(prepared, manifest, config.image_size)
        test = _measure(_logits(module, config, pictures, positions), positions, manifest)
    return {"val": validation, "test": test}


def _measure(logits: np.ndarray, positions: np.ndarray, manifest: Manifest) -> Measures | None:
    """Return the metrics of pictures, None if the model does not even give finite numbers."""
    if not np.isfinite(logits).all():
        return None
    labels = np.asarray(manifest.labels)[positions]
    return measure(logits, labels, manifest.classes, [manifest.path(position) for position in positions.tolist()])


@torch.inference_mode()
def _logits(module: nn.Module, config: ModelConfig, pictures: Pictures, positions: np.ndarray) -> np.ndarray:
    device = best_device()
    module = module.to(device)
    parts = []
    for start in range(0, len(positions), PREDICTION_BATCH):
        pixels, _ = pictures.batch(positions[start : start + PREDICTION_BATCH], device)
        parts.append(module(normalize(pixels, config)).cpu().numpy())
    return np.concatenate(parts)
