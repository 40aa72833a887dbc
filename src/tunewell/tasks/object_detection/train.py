"""The trial: train one configuration, report after each epoch, leave the model of the best one.

Reads the trial's parameters, and through `TUNEWELL_TASK_FILE` what `prepare` left. Leaves in the trial's output
folder, renewed before the report of an epoch that is the best so far::

    model/             see `model`
    detections.json    what was found in the validation set; see `detections`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewell.tasks.object_detection.annotations import AnnotatedPictures
from tunewell.tasks.object_detection.dataset import DecodedPictures, shared_pictures
from tunewell.tasks.object_detection.detections import save_detections
from tunewell.tasks.object_detection.frames import frame_for
from tunewell.tasks.object_detection.hyperparameters import Hyperparameters
from tunewell.tasks.object_detection.learner import DetectionLearner
from tunewell.tasks.object_detection.metrics import measure
from tunewell.tasks.object_detection.model import ModelConfig, module_for, save_model, task_of
from tunewell.tasks.object_detection.networks import architecture
from tunewell.tasks.object_detection.object_sizes import ObjectSizes, detections_for
from tunewell.tasks.object_detection.thresholds import best_score
from tunewell.tasks.vision.best_epoch import Validated
from tunewell.tasks.vision.device import best_device
from tunewell.tasks.vision.foreign_weights import load_into
from tunewell.tasks.vision.splitting import stratified_choice
from tunewell.tasks.vision.task_file import Prepared
from tunewell.tasks.vision.training import Training, own_seed, run_trial
from tunewell.trial import output_dir, parameters, sampling


def train(folder: Path) -> None:
    """Train the configuration of the trial in `folder`; see `run_trial`."""
    run_trial(folder, begin)


def begin(prepared: Prepared, whole: AnnotatedPictures | None = None) -> Training:
    """Return what the trial of this process trains, of what `prepare` left.

    The network is such as suits the data set `whole`, where only a part of that was prepared.
    """
    annotated = AnnotatedPictures.load(Path(prepared.manifest))
    suited = annotated if whole is None else whole
    learner = create_learner(
        replace(prepared, seed=own_seed(prepared)), suited, prepared.parameters_at(parameters(), sampling())
    )
    pictures = shared_pictures(prepared, annotated, learner.image_size)
    positions = training_positions(annotated, sampling(), prepared.seed)
    return Training(learner, pictures, positions, partial(_validate, learner, pictures))


def create_learner(
    prepared: Prepared, annotated: AnnotatedPictures, configuration: Mapping[str, Any]
) -> DetectionLearner:
    """Return a learner at epoch 0, on the GPU if there is one, with pretrained weights if there are any.

    Frozen stages of random weights would be no use: without weights everything is trained.
    """
    hyperparameters = Hyperparameters.from_configuration(configuration)
    config = ModelConfig(
        network=prepared.network,
        classes=annotated.classes,
        frame=frame_for(architecture(prepared.network), annotated.sizes, hyperparameters.image_size),
        tiles=hyperparameters.tiles,
        anchor_scale=hyperparameters.anchor_scale,
        anchor_ratio=hyperparameters.anchor_ratio,
        detections=detections_for(ObjectSizes.of(annotated).most),
        parameters=dict(configuration),
        task=task_of(prepared.network),
    )
    torch.manual_seed(prepared.seed)
    module = module_for(config)
    if prepared.weights is None:
        hyperparameters = replace(hyperparameters, frozen_stages=0)
    else:
        # What depends on the classes is not in the file: `convert_weights` has seen to it.
        load_into(module, prepared.weights)
    pretrained = prepared.weights is not None
    return DetectionLearner(module, config, hyperparameters, prepared.seed, best_device(), pretrained)


def training_positions(annotated: AnnotatedPictures, sampling: float, seed: int) -> np.ndarray:
    """Return the positions of the training pictures, or of a share of them with about that share of each class."""
    positions = np.asarray(annotated.splits["train"])
    if sampling >= 1:
        return positions
    chosen = stratified_choice(annotated.presence("train"), sampling, seed)
    share: np.ndarray = positions[chosen] if len(chosen) else positions[:1]
    return share


def _validate(learner: DetectionLearner, pictures: DecodedPictures) -> Validated:
    found = learner.detect(pictures, np.asarray(pictures.annotated.splits["val"]))
    metrics = measure(found, pictures.annotated)

    def save(epoch: int, note: str) -> None:
        config = replace(
            learner.config,
            metrics=metrics,
            score_threshold=best_score(found, pictures.annotated),
            value_ranges=pictures.annotated.value_ranges,
            epoch=epoch,
            note=note,
        )
        save_model(output_dir() / "model", learner.result, config)
        save_detections(output_dir() / "detections.json", found)

    return Validated(metrics, save)
