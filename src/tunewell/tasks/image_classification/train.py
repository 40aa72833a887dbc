"""The trial: train one configuration, report after each epoch, leave the model of the best one.

Reads the trial's parameters, and through `TUNEWELL_TASK_FILE` what `prepare` left. Leaves in the trial's output
folder, renewed before the report of an epoch that is the best so far::

    model/              see `model`
    predictions.npz     validation set: logits (N, C) float32, labels (N,) or (N, C), positions (N,) in the manifest
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewell.tasks.image_classification.data import stratified_share
from tunewell.tasks.image_classification.hyperparameters import Hyperparameters
from tunewell.tasks.image_classification.learner import ClassificationLearner, Pictures, labelled_pictures
from tunewell.tasks.image_classification.manifest import LabelledPictures, load_manifest
from tunewell.tasks.image_classification.model import ModelConfig, build_module, last_layer, save_model
from tunewell.tasks.image_classification.networks import architecture
from tunewell.tasks.vision.best_epoch import Validated
from tunewell.tasks.vision.device import best_device
from tunewell.tasks.vision.foreign_weights import load_into
from tunewell.tasks.vision.task_file import Prepared
from tunewell.tasks.vision.training import Training, own_seed, run_trial
from tunewell.trial import output_dir, parameters, sampling


def train(folder: Path) -> None:
    """Train the configuration of the trial in `folder`; see `run_trial`."""
    run_trial(folder, begin)


def begin(prepared: Prepared, whole: LabelledPictures | None = None) -> Training:
    """Return what the trial of this process trains, of what `prepare` left.

    Nothing of the network follows from the data set `whole`, where only a part of that was prepared.
    """
    del whole
    manifest = load_manifest(Path(prepared.manifest))
    learner = create_learner(
        replace(prepared, seed=own_seed(prepared)), manifest, prepared.parameters_at(parameters(), sampling())
    )
    pictures = labelled_pictures(prepared, manifest, learner.image_size)
    positions = training_positions(manifest, sampling(), prepared.seed)
    return Training(learner, pictures, positions, partial(_validate, learner, pictures, manifest))


def create_learner(
    prepared: Prepared, manifest: LabelledPictures, configuration: Mapping[str, Any]
) -> ClassificationLearner:
    """Return a learner at epoch 0, on the GPU if there is one, with pretrained weights if there are any.

    A frozen backbone of random weights would be no use, nor lower rates for its layers: without weights all is trained
    alike.
    """
    hyperparameters = Hyperparameters.from_configuration(configuration)
    design = architecture(prepared.network)
    torch.manual_seed(prepared.seed)
    module = build_module(prepared.network, len(manifest.classes))
    if prepared.weights is None:
        hyperparameters = replace(hyperparameters, backbone="fine-tuned", layer_decay=1.0)
    else:
        # Only the last layer is not in the file: `convert_weights` has seen to it. It starts from zero (Kolesnikov
        # et al. 2020, arXiv:1912.11370, BiT): random logits would upset the pretrained layers below.
        load_into(module, prepared.weights)
        for tensor in last_layer(module).parameters():
            torch.nn.init.zeros_(tensor)
    config = ModelConfig(
        network=prepared.network,
        classes=manifest.classes,
        image_size=hyperparameters.image_size,
        mean=design.mean,
        std=design.std,
        parameters=dict(configuration),
        task=manifest.task,
        value_ranges=manifest.value_ranges,
    )
    return ClassificationLearner(module, config, hyperparameters, prepared.seed, best_device())


def training_positions(manifest: LabelledPictures, sampling: float, seed: int) -> np.ndarray:
    """Return the positions of the training pictures, or of a stratified share of them."""
    positions = np.asarray(manifest.splits["train"])
    if sampling >= 1:
        return positions
    share: np.ndarray = positions[stratified_share(manifest.strata("train"), sampling, seed)]
    return share


def _validate(learner: ClassificationLearner, pictures: Pictures, manifest: LabelledPictures) -> Validated:
    positions = np.asarray(manifest.splits["val"])
    labels = pictures.labels[positions]
    logits = learner.logits(pictures, positions)
    kind = learner.config.kind
    thresholds = kind.thresholds(logits, labels)
    metrics = kind.measure(logits, labels, thresholds)

    def save(epoch: int, note: str) -> None:
        output = output_dir()
        config = replace(learner.config, metrics=metrics, thresholds=thresholds, epoch=epoch, note=note)
        save_model(output / "model", learner.result, config)
        beside = output / ".predictions.npz"
        np.savez(beside, logits=logits, labels=labels, positions=positions)
        beside.replace(output / "predictions.npz")

    return Validated(metrics, save)
