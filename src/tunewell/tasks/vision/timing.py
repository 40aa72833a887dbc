"""Measures how long a training takes, by a few of its steps: the job `measure`, for a check that starts nothing.

`job.json`: `{"spec": …, "seconds": how long steps are measured}`; `parameters.json`: the configuration. Result::

    {"epochs": of a full training, "steps": of an epoch, "step_seconds": …, "validation_seconds": after an epoch,
     "once_seconds": in the first epoch, besides, "pass_seconds": decoding all pictures at one size, before any trial}

Weights are random: they take the time of others. No more pictures are decoded than a step and a look at the validation
data need, for a network as the whole data set wants it, and nothing is written but in the job's folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import pairwise
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
from tunewell.tasks.vision.length import sampled, steps_an_epoch
from tunewell.tasks.vision.preparation import decode_set
from tunewell.tasks.vision.specs import data_folder
from tunewell.tasks.vision.task import VisionTask
from tunewell.tasks.vision.task_file import TASK_FILE, Prepared
from tunewell.tasks.vision.training import Training, failures_named

#: Steps that are measured, the first of which, slower than all others, does not count.
_STEPS = 6
#: Pictures of the validation data that are looked at, or views of such, about as many at most.
_VALIDATED = 64


class _Enough(Exception):
    """Enough steps were measured."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How long the parts of a training take, in seconds."""

    step: float
    #: Measuring the network on the validation pictures that there are.
    validation: float
    #: Writing the model and what was found.
    saving: float
    #: How much longer the first validation took.
    first_look: float


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
    batch_size = int(configuration["batch_size"])
    trained, items = len(pictures.splits["train"]), task.items(pictures, configuration)
    validated = min(len(pictures.splits["val"]), max(1, _VALIDATED * trained // items))
    wanted = {"train": min(batch_size, sampled(trained, spec.sampling)), "val": validated}
    sizes = task.decoded_sizes(parse_space({name: [value] for name, value in configuration.items()}))
    some = _some(pictures, wanted, spec.seed)
    prepared, decoding = _prepared(task, spec, some, sizes, folder)
    training: Training = import_module(f"{task.package}.train").begin(prepared, pictures)
    parts = time_parts(training, seconds, partial(_now, training.learner))
    looked_at = sampled(trained, spec.sampling) + len(pictures.splits["val"])
    return {
        "epochs": training.learner.epochs,
        "steps": steps_an_epoch(sampled(items, spec.sampling), batch_size),
        "step_seconds": parts.step,
        "validation_seconds": parts.validation * len(pictures.splits["val"]) / validated + parts.saving,
        "once_seconds": parts.first_look * looked_at / validated if training.learner.looks_once else 0.0,
        "pass_seconds": decoding / len(sizes) * len(pictures.paths) / len(some.paths),
    }


def time_parts(training: Training, seconds: float, now: Callable[[], float]) -> Parts:
    """Return how long the parts of a training take.

    What is slower at first does not count, unless it takes so long that it is not done again.

    Args:
        training: at its beginning; it is of no use afterwards.
        seconds: after so many no further step is measured, and validation not a second time.
        now: the time in seconds.
    """
    step = _step_seconds(training, seconds, now)
    begin = now()
    validated = training.validate()
    first = validation = now() - begin
    if first < seconds or training.learner.looks_once:
        begin = now()
        validated = training.validate()
        validation = now() - begin
    begin = now()
    validated.save(training.learner.epoch, "")
    return Parts(step, validation, now() - begin, max(0.0, first - validation))


def _step_seconds(training: Training, seconds: float, now: Callable[[], float]) -> float:
    """Return how long a step takes, with all that belongs to it: from its begin to that of the next one."""
    begun: list[float] = []

    def note_step() -> None:
        begun.append(now())
        if len(begun) > _STEPS or (len(begun) > 1 and begun[-1] - begun[0] >= seconds):
            raise _Enough

    with suppress(_Enough):
        while True:  # the few pictures make few steps, or one
            with suppress(NonFiniteLoss):  # of random weights that says nothing
                training.learner.train_epoch(training.pictures, training.positions, note_step)
    times = [end - begin for begin, end in pairwise(begun)]
    return median(times[1:] or times)


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
) -> tuple[Prepared, float]:
    """Do what `prepare` does, for these pictures and without the weights; return how long decoding took, too."""
    begin = time.perf_counter()
    decoded = decode_set(pictures, sizes, folder / "cache", lambda what, done, total: None, task.rule)
    seconds = time.perf_counter() - begin
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
    return prepared, seconds
