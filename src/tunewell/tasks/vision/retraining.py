"""What the jobs `retrain` share: the model for use, trained on all data with the parameters that the search found.

`job.json`::

    {"task_file": …, "schedule": [{"fidelity": 0.5, "parameters": {…}}, …], "splits": ["train", "val"],
     "trial": number of the trial, "model": its model folder}

For paths see `job_folder.place_in`. Each part of the schedule trains on from where the one before ended. The model goes
into `artifacts/model`. Nothing is held out of these splits, so the only honest figure is that of the test split, where
there is one: it is reported with the last epoch as `test_accuracy` and the like, and kept with the model. The
thresholds from which on labels or objects are given are those that the trial found on the validation set. Result:
`{"metrics": …, "note": …, "trial": …, "epoch": …}`.

No validation data are left to choose an epoch by. The training goes to its end, as the learning rate falls to 0 there;
where it stays constant, it ends with the epoch that was the trial's best, or with as large a share of its epochs where
these are not as many (`Prepared.parameters_at`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tunewell.spec.errors import count
from tunewell.tasks.vision.learner import Learner
from tunewell.tasks.vision.model_files import CONFIG
from tunewell.tasks.vision.picture_set import PictureSet
from tunewell.tasks.vision.training import epochs_at
from tunewell.trial import report

Trained = TypeVar("Trained", bound=Learner[Any, Any])


def train_again(
    arguments: Mapping[str, Any],
    model: Path,
    pictures: PictureSet,
    create: Callable[[Mapping[str, Any]], Trained],
    decode: Callable[[int], Any],
    measure: Callable[[Trained, Any, np.ndarray], Mapping[str, float]],
) -> tuple[Trained, dict[str, Any]]:
    """Train with each part of the schedule in turn, with the seed of the search; report each epoch.

    Args:
        arguments: content of `job.json`.
        model: the model folder that it names.
        pictures: the data set.
        create: parameters of a part → a learner that has learned nothing.
        decode: image size → the decoded pictures of the whole data set.
        measure: learner, decoded pictures, positions of the test set → metrics.

    Returns:
        The last learner, and what its configuration is to say of the training: `metrics`, `note`, `trial`, `epoch`.
    """
    splits, schedule = arguments["splits"], arguments["schedule"]
    positions = np.sort(np.concatenate([pictures.splits[split] for split in splits]))
    test = None if "test" in splits else pictures.test_positions()
    learner: Trained | None = None
    metrics: dict[str, float] = {}
    best, at_best = _best_epoch(model), 0
    for number, part in enumerate(schedule, start=1):
        before, learner = learner, create(part["parameters"])
        if before is not None:
            learner.load_state(before.state())
        last_epoch, tested = epochs_at(part["fidelity"], learner.epochs), None
        if number == len(schedule):
            tested = test
            if learner.keeps_rate:
                at_best = round(best / part["parameters"]["epochs"] * learner.epochs)
                last_epoch = min(last_epoch, at_best or last_epoch)
        metrics = _train(learner, decode(learner.image_size), positions, last_epoch, tested, measure)
    assert learner is not None, "an empty schedule"
    note = _note(len(positions), splits, len(schedule), None if test is None else len(test))
    if learner.epoch < learner.epochs and learner.epoch == at_best:
        note += f" It ended with epoch {learner.epoch} of {learner.epochs}, as the trial was best there."
    print(note)
    return learner, {"metrics": metrics, "note": note, "trial": arguments["trial"], "epoch": learner.epoch}


def _train(
    learner: Trained,
    decoded: Any,
    positions: np.ndarray,
    last_epoch: int,
    test: np.ndarray | None,
    measure: Callable[[Trained, Any, np.ndarray], Mapping[str, float]],
) -> dict[str, float]:
    """Train up to an epoch; return the metrics on `test` after it (none without it)."""
    metrics: dict[str, float] = {}
    while True:
        losses: dict[str, float] = {}
        if learner.epoch < last_epoch:
            losses["train_loss"] = learner.train_epoch(decoded, positions)
        if test is not None and learner.epoch >= last_epoch:
            metrics = {f"test_{name}": value for name, value in measure(learner, decoded, test).items()}
        if losses or metrics:
            report(step=learner.epoch, **losses, **metrics)
        if learner.epoch >= last_epoch:
            return metrics


def _best_epoch(model: Path) -> int:
    """Return the best epoch of the trial that left this model; 0 where that is gone."""
    file = model / CONFIG
    return int(json.loads(file.read_text()).get("epoch", 0)) if file.is_file() else 0


def _note(trained: int, splits: Sequence[str], parts: int, tested: int | None) -> str:
    sentences = [f"Trained on the {count(trained, 'picture')} of {' and '.join(splits)}."]
    if tested is None:
        sentences.append("Nothing to test on: not measured on pictures that it has not learned from.")
    else:
        sentences.append(f"Measured on the {count(tested, 'picture')} of test.")
    if parts > 1:
        sentences.append(f"The parameters are those of the last of {parts} parts of the training.")
    return " ".join(sentences)
