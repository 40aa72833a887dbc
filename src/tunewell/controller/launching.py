"""From a suggestion to an attempt that a scheduler can start: environment, limits, folder, checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tunewell.controller.home import Home
from tunewell.schedulers.contract import Scheduler
from tunewell.spec.errors import DataError, SpecError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import AttemptKey, Launch, Limits, Resources
from tunewell.spec.space import Value
from tunewell.tasks.contract import Attempt, Task
from tunewell.tuners.contract import Suggestion


def plan_resources(spec: ExperimentSpec, scheduler: Scheduler) -> Resources:
    """Return what each trial of an experiment gets on this scheduler.

    GPUs: one a trial where there are any. Cores: all, divided among the trials that run at once.

    Raises:
        SpecError: the spec asks for more than there is.
    """
    cores = max(1, scheduler.slots(Resources(cpus=1)))
    found = scheduler.slots(Resources(cpus=1, gpus=1))
    gpus = spec.resources.gpus if spec.resources.gpus is not None else min(found, 1)
    at_once = found // gpus if gpus else cores
    at_once = max(1, min(at_once, spec.max_concurrency or at_once, cores))
    _check_there_is("cpus", spec.resources.cpus or 0, cores)
    _check_there_is("gpus", gpus, found)
    return Resources(cpus=spec.resources.cpus or cores // at_once, gpus=gpus)


def _check_there_is(what: str, wanted: int, found: int) -> None:
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
    folder: Path | None = None,
) -> Launch:
    """Return the launch of attempt `number` at a suggestion. The same arguments give the same launch.

    `folder` replaces the attempt's usual folder.
    """
    key = AttemptKey(spec.name, suggestion.number, number)
    folder = folder or home.attempt(key)
    attempt = Attempt(key, folder, suggestion.parameters, *_shares(spec, suggestion))
    program = task.program(spec, home.experiment(spec.name), attempt)
    return Launch(
        key=key,
        folder=folder,
        command=program.command,
        entry=program.entry,
        preload=program.preload,
        environment={
            **_environment(spec, attempt),
            **program.environment,
            **spec.environment,
        },
        working_directory=program.working_directory,
        parameters=suggestion.parameters,
        resources=resources,
        limits=_limits(spec),
        metric_pattern=program.metric_pattern,
    )


def write_attempt_folder(home: Home, launch: Launch, suggestion: Suggestion) -> None:
    """Make the attempt's folder with `parameters.json` and the checkpoint it starts from, if there is one.

    An attempt goes on from the newest checkpoint of the attempts before it; a first attempt from the trial
    that its suggestion names.

    Raises:
        OSError: the disk refuses.
        DataError: the trial to go on from has left no checkpoint.
    """
    for part in ("artifacts", "checkpoint"):
        (launch.folder / part).mkdir(parents=True, exist_ok=True)
    write_json(launch.folder / "parameters.json", suggestion.parameters)
    source = _newest_checkpoint(home, launch.key, launch.key.trial)
    if source is None and suggestion.resume_from is not None:
        source = _newest_checkpoint(home, launch.key, suggestion.resume_from)
        if source is None:
            raise DataError(f"Trial {suggestion.resume_from} has left nothing in its checkpoint folder to go on from.")
    if source is not None:
        shutil.copytree(source, launch.folder / "checkpoint", dirs_exist_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def _newest_checkpoint(home: Home, key: AttemptKey, trial: int) -> Path | None:
    trial_folder = home.attempt(AttemptKey(key.experiment, trial, 1)).parent
    attempts = sorted((int(path.name) for path in trial_folder.glob("[0-9]*")), reverse=True)
    for attempt in attempts:
        folder = trial_folder / str(attempt) / "checkpoint"
        if (trial, attempt) != (key.trial, key.attempt) and folder.is_dir() and any(folder.iterdir()):
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
    for name, value in attempt.parameters.items():
        variable = "".join(c if c.isalnum() else "_" for c in name.upper())
        environment[f"TUNEWELL_PARAMETER_{variable}"] = _text(value)
    return environment


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _limits(spec: ExperimentSpec) -> Limits:
    wall, silence = spec.max_trial_duration, spec.max_trial_silence
    return Limits(
        wall_seconds=wall.total_seconds() if wall else None,
        silence_seconds=silence.total_seconds() if silence else None,
        memory_bytes=spec.resources.memory,
    )
