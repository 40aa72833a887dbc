"""From a suggestion to an attempt that a scheduler can start: environment, limits, folder, checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunewell.controller.checkpoints import copy_checkpoint
from tunewell.controller.home import Home
from tunewell.schedulers.contract import Scheduler
from tunewell.schedulers.records import make_folder
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import AttemptKey, Launch, Limits, Resources
from tunewell.store.rows import AttemptRow
from tunewell.tasks.contract import Attempt, Task
from tunewell.tuners.contract import Suggestion, Tuner


def plan_resources(spec: ExperimentSpec, scheduler: Scheduler) -> Resources:
    """Return what each trial of an experiment gets on this scheduler.

    GPUs: one a trial where there are any. Cores: all, divided among the trials that run at once.

    Raises:
        SpecError: the spec asks for more than there is.
    """
    cores, wanted = max(1, scheduler.slots(Resources(cpus=1))), spec.resources.cpus
    found = scheduler.slots(Resources(cpus=1, gpus=1))
    gpus = spec.resources.gpus if spec.resources.gpus is not None else min(found, 1)
    at_once = found // gpus if gpus else cores
    at_once = max(1, min(at_once, spec.max_concurrency or at_once, cores))
    _check_there_is("cpus", wanted or 0, cores)
    _check_there_is("gpus", gpus, found)
    return Resources(cpus=cores // at_once if wanted is None else wanted, gpus=gpus)


def explain_concurrency(spec: ExperimentSpec, resources: Resources, scheduler: Scheduler, tuner: Tuner) -> str:
    """Return a sentence on how many trials run at once, and what bounds them."""
    slots, asked, useful = scheduler.slots(resources), spec.max_concurrency, tuner.concurrency()
    if asked is not None and asked <= min(slots, useful or asked):
        return f"At most {_trials(asked)} at once, as max_concurrency says."
    if useful is not None and useful <= slots:
        return f"At most {_trials(useful)} at once: {tuner.name} learns from these before it proposes more."
    cores, gpus = scheduler.slots(Resources(cpus=1)), scheduler.slots(Resources(cpus=0, gpus=1))
    if resources.gpus and slots == gpus // resources.gpus:
        bound, remedy = f"this machine offers trials {gpus} GPUs and each takes {resources.gpus}", ""
    else:
        bound = f"this machine has {cores} cores and each trial takes {resources.cpus:g}"
        remedy = "; `resources: {cpus: …}` with a fraction lets more run"
    return f"At most {_trials(slots)} at once: {bound}{remedy if asked is not None else ''}."


def _trials(amount: int) -> str:
    return f"{amount} trial" + ("" if amount == 1 else "s")


def _check_there_is(what: str, wanted: float, found: int) -> None:
    if wanted > found:
        remedy = f"Give {found} at most" if found else "Drop it"
        raise SpecError(f"resources.{what}", f"{wanted} a trial, but this machine offers trials {found}", remedy)


def build_launch(
    spec: ExperimentSpec,
    task: Task,
    home: Home,
    resources: Resources,
    suggestion: Suggestion,
    number: int,
    identity: str,
    folder: Path | None = None,
) -> Launch:
    """Return the launch of attempt `number` at a suggestion. The same arguments give the same launch.

    `folder` replaces the attempt's usual folder.
    """
    key = AttemptKey(spec.name, suggestion.number, number)
    folder = folder or home.place(key)
    attempt = Attempt(key, folder, suggestion.parameters, *_shares(spec, suggestion))
    program = task.program(spec, home.experiment(spec.name), attempt)
    return Launch(
        key=key,
        folder=folder,
        identity=identity,
        command=program.command,
        entry=program.entry,
        preload=program.preload,
        environment={
            **_environment(spec, attempt),
            **program.environment,
            **spec.environment,
        },
        secrets=tuple(spec.environment.values()),
        working_directory=program.working_directory,
        parameters=suggestion.parameters,
        resources=resources,
        limits=_limits(spec),
        metric_pattern=program.metric_pattern,
        metric=spec.objective.metric,
    )


def prepare_folder(staged: Path, launch: Launch, suggestion: Suggestion, checkpoint: Path | None) -> None:
    """Make, at `staged`, the folder that an attempt is to have, with `parameters.json` and a checkpoint to go on from.

    Once it is complete it can be moved to where the attempt's folder belongs. What lay at `staged` before goes.

    Raises:
        OSError: the checkpoint can't be read, or the disk refuses; nothing is left at `staged`.
    """
    shutil.rmtree(staged, ignore_errors=True)
    try:
        make_folder(staged, launch.identity)
        write_json(staged / "parameters.json", suggestion.parameters)
        for part in ("artifacts", "checkpoint"):
            (staged / part).mkdir()
        if checkpoint is not None:
            copy_checkpoint(checkpoint, staged / "checkpoint")
    except OSError:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def newest_checkpoint(home: Home, experiment: str, trial: int, attempts: Sequence[AttemptRow]) -> Path | None:
    """Return the last checkpoint that the attempts at a trial have left, None if there is none."""
    for attempt in reversed(attempts):
        folder = home.attempt(AttemptKey(experiment, trial, attempt.attempt), attempt.identity) / "checkpoint"
        if folder.is_dir() and any(folder.iterdir()):
            return folder
    return None


def _shares(spec: ExperimentSpec, suggestion: Suggestion) -> tuple[float, float]:
    """Return the shares of the full training, and of the data, that a suggestion stands for."""
    if spec.early_stopping == "data-promotion":
        return 1.0, spec.sampling * suggestion.fidelity
    return suggestion.fidelity, spec.sampling


def _environment(spec: ExperimentSpec, attempt: Attempt) -> Mapping[str, str]:
    objective = spec.objective
    environment = {
        "TUNEWELL_METRIC": objective.metric,
        "TUNEWELL_GOAL": objective.goal,
        "TUNEWELL_FIDELITY": repr(attempt.fidelity),
        "TUNEWELL_SAMPLING": repr(attempt.sampling),
        "TUNEWELL_SEED": str(spec.seed),
    }
    if objective.target is not None:
        environment["TUNEWELL_TARGET"] = repr(objective.target)
    return environment


def _limits(spec: ExperimentSpec) -> Limits:
    wall, silence = spec.max_trial_duration, spec.max_trial_silence
    return Limits(
        wall_seconds=wall.total_seconds() if wall else None,
        silence_seconds=silence.total_seconds() if silence else None,
        memory_bytes=spec.resources.memory,
    )
