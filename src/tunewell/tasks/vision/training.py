"""A trial of any picture task: go on from a checkpoint, train, validate, report, leave checkpoints; and how it fails.

Leaves in the trial's folder `timing.json`: when the trial was entered and when the first step began (seconds since
the epoch).
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewell.spec.errors import DataError, UserError
from tunewell.tasks.vision.device import configure_torch
from tunewell.tasks.vision.learner import Learner, NonFiniteLoss
from tunewell.tasks.vision.task_file import TASK_FILE_VARIABLE, Prepared
from tunewell.trial import checkpoint_dir, fail, fidelity, report

#: Shortest time between two checkpoints, but for the last one.
_CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Training:
    """What a trial trains, and on what."""

    learner: Learner[Any, Any]
    #: The decoded pictures of the whole data set.
    pictures: Any
    #: Positions of the training pictures.
    positions: np.ndarray
    #: Returns the metrics, having written the model, so that the two belong together.
    validate_and_save: Callable[[], Mapping[str, float]]


@contextmanager
def failures_named() -> Iterator[None]:
    """End the trial or job with the cause `non_finite`, `gpu_oom` or `data_error` if the block fails that way."""
    try:
        yield
    except UserError as error:
        fail("data_error", str(error))
    except NonFiniteLoss as error:
        fail("non_finite", str(error))
    except torch.cuda.OutOfMemoryError as error:
        fail("gpu_oom", str(error).splitlines()[0])


def own_seed(prepared: Prepared) -> int:
    """Return the seed of this training: that of the search, or another one where it repeats a trial."""
    return int(os.environ.get("TUNEWELL_SEED", prepared.seed))


def epochs_at(fidelity: float, epochs: int) -> int:
    """Return how many epochs of a full training belong to this share of it, one at least."""
    return max(1, round(fidelity * epochs))


def run_trial(folder: Path, begin: Callable[[Prepared], Training]) -> None:
    """Train the configuration of the trial in `folder` as far as its fidelity says.

    Ends with the cause `non_finite`, `gpu_oom` or `data_error` if the training fails that way.

    Args:
        folder: the trial's.
        begin: makes, of what `prepare` left (`TUNEWELL_TASK_FILE`), what is to be trained.
    """
    entered = time.time()
    configure_torch()
    timing = folder / "timing.json"

    def note_first_step() -> None:
        if not timing.exists():
            timing.write_text(json.dumps({"entered": entered, "first_batch": time.time()}))

    with failures_named():
        training = begin(Prepared.load(Path(os.environ[TASK_FILE_VARIABLE])))
        if training.learner.device.type == "cuda":
            training.learner.probe(training.pictures, training.positions)
        _train_and_report(training, note_first_step)


def _train_and_report(training: Training, on_step: Callable[[], None]) -> None:
    """Train, from the checkpoint if there is one, and report after each epoch."""
    learner = training.learner
    last_epoch = epochs_at(fidelity(), learner.epochs)
    checkpoint = checkpoint_dir() / "checkpoint.pt"
    if checkpoint.exists():
        learner.load_state(_load_checkpoint(checkpoint, learner.device))
    saved = time.monotonic()
    while True:
        losses = {}
        # A checkpoint may already be where this training ends: then its quality is all that is wanted.
        if learner.epoch < last_epoch:
            losses["train_loss"] = learner.train_epoch(training.pictures, training.positions, on_step)
        metrics = training.validate_and_save()
        report(step=learner.epoch, **metrics, **losses)
        finished = learner.epoch >= last_epoch or _reaches_target(metrics)
        if finished or time.monotonic() - saved >= _CHECKPOINT_SECONDS:
            _save_checkpoint(checkpoint, learner.state())
            saved = time.monotonic()
        if finished:
            return


def _reaches_target(metrics: Mapping[str, float]) -> bool:
    """Whether the search ends with this report: then the model on disk is to be the one that was reported."""
    target, value = os.environ.get("TUNEWELL_TARGET"), metrics.get(os.environ.get("TUNEWELL_METRIC", ""))
    if not target or value is None:
        return False
    return value >= float(target) if os.environ.get("TUNEWELL_GOAL") == "maximize" else value <= float(target)


def _load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Return the state; raise `DataError` if it is damaged: from the start, this would be another training."""
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except torch.cuda.OutOfMemoryError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError):
        raise DataError("the checkpoint that this training goes on from is damaged", field=str(path)) from None
    return state


def _save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state, whole or not at all."""
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)
