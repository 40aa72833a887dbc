"""Measures how long a training takes, by a few of its steps: the job `measure`, for a check that starts nothing.

`job.json`: `{"spec": …, "seconds": how long steps are measured}`; `parameters.json`: the configuration. Result::

    {"epochs": of a full training, "steps": of an epoch, "step_seconds": …, "validation_seconds": after an epoch}

Weights are random: they take the time of others. No more pictures are decoded than a step and a look at the validation
data need, and nothing is written but in the job's folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tunewell.spec.declaration import parse_space
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.tasks.catalogue import task_for
from tunewell.tasks.job_folder import arguments_of, leave_result
from tunewell.tasks.vision.device import configure_torch
from tunewell.tasks.vision.inspection import Pictures
from tunewell.tasks.vision.learner import Learner, NonFiniteLoss
from tunewell.tasks.vision.preparation import decode_set
from tunewell.tasks.vision.specs import data_folder
from tunewell.tasks.vision.task import VisionTask
from tunewell.tasks.vision.task_file import TASK_FILE, Prepared
from tunewell.tasks.vision.training import Training, failures_named

#: Steps that are measured, the first of which, slower than all others, does not count.
_STEPS = 6
#: Pictures of the validation data that are looked at, at most.
_VALIDATED = 64


def measure(folder: Path) -> None:
    """Measure the training that the job in `folder` is about."""
    configure_torch()
    with arguments_of(folder) as arguments, failures_named():
        spec = parse_spec(arguments["spec"])
        configuration = json.loads((folder / "parameters.json").read_bytes())
        task = task_for(spec)
        assert isinstance(task, VisionTask)
        leave_result(folder, _measured(task, spec, configuration, folder, arguments["seconds"]))


def _measured(
    task: VisionTask[Any], spec: ExperimentSpec, configuration: Mapping[str, Any], folder: Path, seconds: float
) -> dict[str, Any]:
    pictures = task.read(data_folder(spec), spec.seed)
    amount = max(1, round(spec.sampling * len(pictures.splits["train"])))
    batch = min(int(configuration["batch_size"]), amount)
    wanted = {"train": batch, "val": _VALIDATED}
    space = parse_space({name: [value] for name, value in configuration.items()})
    prepared = _prepared(task, spec, _some(pictures, wanted, spec.seed), task.decoded_sizes(space), folder)
    training: Training = import_module(f"{task.package}.train").begin(prepared)
    learner = training.learner
    times: list[float] = []
    while not times or (len(times) < _STEPS and sum(times) < seconds):
        begin = time.perf_counter()
        with suppress(NonFiniteLoss):  # of random weights that says nothing
            learner.train_epoch(training.pictures, training.positions)  # one step: there is but one batch
        times.append(_now(learner) - begin)
    begin = time.perf_counter()
    training.validate().save(learner.epoch, "")
    validated = min(len(pictures.splits["val"]), _VALIDATED)
    return {
        "epochs": learner.epochs,
        "steps": max(1, amount // batch),
        "step_seconds": median(times[1:] or times),
        "validation_seconds": (_now(learner) - begin) * len(pictures.splits["val"]) / validated,
    }


def _now(learner: Learner[Any, Any]) -> float:
    """Return the time when all that was asked of the device is done."""
    if learner.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _some(pictures: Pictures, wanted: Mapping[str, int], seed: int) -> Pictures:
    """Return a set of so many pictures of each split, at random."""
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    splits: dict[str, tuple[int, ...]] = {}
    for split, number in wanted.items():
        positions = pictures.splits[split]
        some = sorted(generator.choice(positions, min(number, len(positions)), replace=False).tolist())
        splits[split] = tuple(range(len(chosen), len(chosen) + len(some)))
        chosen += some

    def of_chosen(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[position] for position in chosen)

    content: dict[str, Any] = {name: of_chosen(getattr(pictures, name)) for name in pictures.content()}
    return replace(pictures, paths=of_chosen(pictures.paths), splits=splits, **content)


def _prepared(
    task: VisionTask[Any], spec: ExperimentSpec, pictures: Any, sizes: Sequence[int], folder: Path
) -> Prepared:
    """Do what `prepare` does, for these pictures and without the weights."""
    decoded = decode_set(pictures, sizes, folder / "cache", lambda what, done, total: None, task.rule)
    manifest, weights = folder / "manifest.json", folder / "none.safetensors"
    decoded.pictures.save(manifest)
    save_file({}, str(weights))  # with weights some layers may be kept as they are, which takes less time
    prepared = Prepared(
        network=str(spec.network),
        weights=None if spec.weights == "none" else str(weights),
        manifest=str(manifest),
        fingerprint=decoded.fingerprint,
        pixels=decoded.pixels,
        seed=spec.seed,
        sampling=1.0,
        notes=(),
        content=decoded.content,
    )
    prepared.save(folder / TASK_FILE)
    return prepared
