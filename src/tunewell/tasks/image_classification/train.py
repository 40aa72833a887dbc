"""The trial: train one configuration, report after each epoch, leave the model.

Reads the trial's parameters, and through `TUNEWELL_TASK_FILE` what `prepare` left. Leaves in the trial's output
folder, renewed before each report so that they belong to the last one wherever the trial ends::

    model/              see `model`
    predictions.npz     validation set: logits (N, C) float32, labels (N,), positions (N,) in the manifest

and in the trial's folder `timing.json`: when the function was entered and when the first step began (seconds
since the epoch).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from tunewell.tasks.image_classification.cache import load_cached_pixels
from tunewell.tasks.image_classification.data import Manifest, stratified_share
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import Learner, NonFiniteLoss, Pictures
from tunewell.tasks.image_classification.metrics import measure
from tunewell.tasks.image_classification.model import ModelConfig, build_module, last_layer, save_model
from tunewell.tasks.image_classification.networks import architecture
from tunewell.tasks.image_classification.prepared import TASK_FILE_VARIABLE, Prepared
from tunewell.trial import checkpoint_dir, fail, fidelity, output_dir, parameters, report, sampling

#: Shortest time between two checkpoints, but for the last one.
_CHECKPOINT_SECONDS = 20.0


def train(folder: Path) -> None:
    """Train the configuration of the trial in `folder` as far as its fidelity says.

    Ends with the cause `non_finite` or `gpu_oom` if the training fails that way.
    """
    entered = time.time()
    configure_torch()
    prepared = Prepared.load(Path(os.environ[TASK_FILE_VARIABLE]))
    manifest = prepared.load_manifest()
    learner = create_learner(prepared, manifest.classes, parameters())
    pictures = load_pictures(prepared, manifest, learner.config.image_size)
    timing = folder / "timing.json"

    def note_first_step() -> None:
        if not timing.exists():
            timing.write_text(json.dumps({"entered": entered, "first_batch": time.time()}))

    try:
        _train_and_report(learner, pictures, manifest, note_first_step)
    except NonFiniteLoss as error:
        fail("non_finite", str(error))
    except torch.cuda.OutOfMemoryError as error:
        fail("gpu_oom", str(error).splitlines()[0])


def configure_torch() -> None:
    """Make this process's computations repeatable, on as many threads as it was given.

    Must run before any other operation: a forked process has none of its parent's threads and would wait for
    them forever.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def create_learner(prepared: Prepared, classes: tuple[str, ...], configuration: Mapping[str, Any]) -> Learner:
    """Return a learner at epoch 0, on the GPU if there is one, with pretrained weights if there are any.

    A frozen backbone of random weights would be no use: without weights it is fine-tuned.
    """
    hyperparameters = Hyperparameters.from_configuration(configuration)
    design = architecture(prepared.network)
    torch.manual_seed(prepared.seed)
    module = build_module(prepared.network, len(classes))
    if prepared.weights is None:
        hyperparameters = replace(hyperparameters, backbone="fine-tuned")
    else:
        # Only the last layer is not in the file: `convert_weights` has seen to it. It starts from zero (Kolesnikov
        # et al. 2020, arXiv:1912.11370, section 3.3): random logits would upset the pretrained layers below.
        module.load_state_dict(load_file(prepared.weights), strict=False)
        for tensor in last_layer(module).parameters():
            torch.nn.init.zeros_(tensor)
    config = ModelConfig(
        network=prepared.network,
        classes=classes,
        image_size=hyperparameters.image_size,
        mean=design.mean,
        std=design.std,
        parameters=dict(configuration),
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Learner(module, config, hyperparameters, prepared.seed, device)


def load_pictures(prepared: Prepared, manifest: Manifest, image_size: int) -> Pictures:
    """Return the decoded pictures of the whole data set at a size that `prepare` decoded."""
    pixels = load_cached_pixels(Path(prepared.pixels[image_size]))
    return Pictures(pixels, np.asarray(manifest.labels, dtype=np.int64))


def training_positions(manifest: Manifest, sampling: float, seed: int) -> np.ndarray:
    """Return the positions of the training pictures, or of a stratified share of them."""
    positions = np.asarray(manifest.splits["train"])
    if sampling >= 1:
        return positions
    share: np.ndarray = positions[stratified_share(manifest.split_labels("train"), sampling, seed)]
    return share


def epochs_at(fidelity: float, epochs: int) -> int:
    """Return how many epochs of a full training belong to this share of it, one at least."""
    return max(1, round(fidelity * epochs))


def _train_and_report(learner: Learner, pictures: Pictures, manifest: Manifest, on_step: Callable[[], None]) -> None:
    positions = training_positions(manifest, sampling(), learner.seed)
    last_epoch = epochs_at(fidelity(), learner.hyperparameters.epochs)
    checkpoint = checkpoint_dir() / "checkpoint.pt"
    if checkpoint.exists():
        learner.load_state(torch.load(checkpoint, map_location=learner.device, weights_only=True))
    saved = time.monotonic()
    while True:
        losses = {}
        # A checkpoint may already be where this training ends: then its quality is all that is wanted.
        if learner.epoch < last_epoch:
            losses["train_loss"] = learner.train_epoch(pictures, positions, on_step)
        metrics = _validate_and_save(learner, pictures, manifest)
        report(step=learner.epoch, **metrics, **losses)
        finished = learner.epoch >= last_epoch or _reaches_target(metrics)
        if finished or time.monotonic() - saved >= _CHECKPOINT_SECONDS:
            _save_checkpoint(checkpoint, learner)
            saved = time.monotonic()
        if finished:
            return


def _reaches_target(metrics: Mapping[str, float]) -> bool:
    """Whether the search ends with this report: then the model on disk is to be the one that was reported."""
    target, value = os.environ.get("TUNEWELL_TARGET"), metrics.get(os.environ.get("TUNEWELL_METRIC", ""))
    if not target or value is None:
        return False
    return value >= float(target) if os.environ.get("TUNEWELL_GOAL") == "maximize" else value <= float(target)


def _validate_and_save(learner: Learner, pictures: Pictures, manifest: Manifest) -> dict[str, float]:
    positions = np.asarray(manifest.splits["val"])
    labels = pictures.labels[positions]
    logits = learner.logits(pictures, positions)
    metrics = measure(logits, labels)
    output = output_dir()
    save_model(output / "model", learner.module, replace(learner.config, metrics=metrics))
    beside = output / ".predictions.npz"
    np.savez(beside, logits=logits, labels=labels, positions=positions)
    beside.replace(output / "predictions.npz")
    return metrics


def _save_checkpoint(path: Path, learner: Learner) -> None:
    """Write the learner's state, whole or not at all."""
    beside = path.with_suffix(".part")
    torch.save(learner.state(), beside)
    beside.replace(path)
