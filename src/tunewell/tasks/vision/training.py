"""The outer loop of a trial: go on from a checkpoint, train, validate, report, leave checkpoints; and how it fails."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from tunewell.trial import checkpoint_dir, fail, report

#: Shortest time between two checkpoints, but for the last one.
_CHECKPOINT_SECONDS = 20.0


class NonFiniteLoss(Exception):
    """The training loss became infinite or NaN."""


class Trainee(Protocol):
    """A network in training that can be interrupted."""

    #: Epochs that are done.
    epoch: int
    device: torch.device

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs to go on from here: tensors and plain values only."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


def configure_torch() -> None:
    """Make this process's computations repeatable, on as many threads as it was given.

    Must run before any other operation: a forked process has none of its parent's threads and would wait for
    them forever.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def best_device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def failures_named() -> Iterator[None]:
    """End the trial or job with the cause `non_finite` or `gpu_oom` if the block fails that way."""
    try:
        yield
    except NonFiniteLoss as error:
        fail("non_finite", str(error))
    except torch.cuda.OutOfMemoryError as error:
        fail("gpu_oom", str(error).splitlines()[0])


def epochs_at(fidelity: float, epochs: int) -> int:
    """Return how many epochs of a full training belong to this share of it, one at least."""
    return max(1, round(fidelity * epochs))


def train_and_report(
    trainee: Trainee,
    last_epoch: int,
    train_epoch: Callable[[], float],
    validate_and_save: Callable[[], Mapping[str, float]],
) -> None:
    """Train to an epoch, from the checkpoint if there is one, and report after each.

    Args:
        trainee: what is trained.
        last_epoch: where this training ends.
        train_epoch: trains an epoch and returns the mean loss.
        validate_and_save: returns the metrics, having written the model, so that the two belong together.
    """
    checkpoint = checkpoint_dir() / "checkpoint.pt"
    if checkpoint.exists():
        trainee.load_state(torch.load(checkpoint, map_location=trainee.device, weights_only=True))
    saved = time.monotonic()
    while True:
        losses = {}
        # A checkpoint may already be where this training ends: then its quality is all that is wanted.
        if trainee.epoch < last_epoch:
            losses["train_loss"] = train_epoch()
        metrics = validate_and_save()
        report(step=trainee.epoch, **metrics, **losses)
        finished = trainee.epoch >= last_epoch or _reaches_target(metrics)
        if finished or time.monotonic() - saved >= _CHECKPOINT_SECONDS:
            _save_checkpoint(checkpoint, trainee)
            saved = time.monotonic()
        if finished:
            return


def _reaches_target(metrics: Mapping[str, float]) -> bool:
    """Whether the search ends with this report: then the model on disk is to be the one that was reported."""
    target, value = os.environ.get("TUNEWELL_TARGET"), metrics.get(os.environ.get("TUNEWELL_METRIC", ""))
    if not target or value is None:
        return False
    return value >= float(target) if os.environ.get("TUNEWELL_GOAL") == "maximize" else value <= float(target)


def _save_checkpoint(path: Path, trainee: Trainee) -> None:
    """Write the state, whole or not at all."""
    beside = path.with_suffix(".part")
    torch.save(trainee.state(), beside)
    beside.replace(path)
