"""A trial of any picture task: go on from a checkpoint, train, validate, report, leave checkpoints; and how it fails.

A report after each epoch is of the model that lies in the trial's output folder then, that of the best epoch so far
(`best_epoch`): wherever the trial ends, its last report and its model belong together. A request to end that comes
between them waits for the report. What goes on from a checkpoint reports the best epoch that came with it before
anything else: it may end before it has done another one. The other figures of a report are `best_epoch`, the mean
`train_loss` of this epoch, and, as `epoch_…`, the objective of this epoch.

Leaves in the trial's folder `timing.json`: when the trial was entered and when the first step began (seconds since
the epoch).
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewell.spec.errors import DataError, UserError
from tunewell.tasks.vision import best_epoch
from tunewell.tasks.vision.best_epoch import Best, Validated
from tunewell.tasks.vision.device import configure_torch
from tunewell.tasks.vision.learner import Learner, NonFiniteLoss
from tunewell.tasks.vision.task_file import TASK_FILE_VARIABLE, Prepared
from tunewell.trial import checkpoint_dir, fail, fidelity, parameters, report, sampling

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
    #: Measures the network as it is now on the validation data.
    validate: Callable[[], Validated]


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
    """Train, from the checkpoint if there is one, and report what it brings and each epoch."""
    learner, objective = training.learner, best_epoch.objective_of_trial()
    last_epoch = epochs_at(fidelity(), learner.epochs)
    folder, what = checkpoint_dir(), {"parameters": parameters(), "sampling": sampling()}
    checkpoint, best = folder / "checkpoint.pt", None
    if checkpoint.exists():
        state = _load_checkpoint(checkpoint, learner.device)
        learner.load_state(state)
        best = best_epoch.restored(folder, state["best"], what)
    best_epoch.tidy(folder, best)

    def tell(best: Best, others: Mapping[str, float]) -> bool:
        """Report the best epoch so far; return whether the training ends here."""
        report(step=learner.epoch, **best.metrics, best_epoch=best.epoch, **others)
        reached = objective is not None and best_epoch.reaches_target(objective, best.metrics)
        return learner.epoch >= last_epoch or reached

    if best is not None and tell(best, {}):
        return
    saved = time.monotonic()
    while True:
        others: dict[str, float] = {}
        # A checkpoint of other parameters may already be where this training ends: then its quality is wanted.
        if learner.epoch < last_epoch:
            others["train_loss"] = learner.train_epoch(training.pictures, training.positions, on_step)
        validated = training.validate()
        with _whole():
            best = best_epoch.better(best, learner.epoch, validated, objective, learner.epochs)
            if objective is not None and objective.metric in validated.metrics:
                others[f"epoch_{objective.metric}"] = validated.metrics[objective.metric]
            finished = tell(best, others)
        if finished or time.monotonic() - saved >= _CHECKPOINT_SECONDS:
            _save_checkpoint(checkpoint, {**learner.state(), "best": best_epoch.keep(folder, best, what)})
            best_epoch.tidy(folder, best)
            saved = time.monotonic()
        if finished:
            return


@contextmanager
def _whole() -> Iterator[None]:
    """Let the block come to its end before a request to end, SIGTERM, is heeded."""
    if threading.current_thread() is not threading.main_thread():  # signals are for that one alone
        yield
        return
    asked: list[int] = []
    heed = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, heed)
        if asked:
            signal.raise_signal(signal.SIGTERM)


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
