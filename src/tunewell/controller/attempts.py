"""From a suggestion to an attempt that a scheduler can start: environment, limits, folder, checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunewell.controller.checkpoints import copy_checkpoint
from tunewell.home.home import Home
from tunewell.schedulers.records import make_folder
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import AttemptKey, Launch, Limits, Resources
from tunewell.store.rows import AttemptRow
from tunewell.tasks.contract import PlannedAttempt, Task
from tunewell.trial.files import write_json
from tunewell.tuners.contract import Suggestion


def build_launch(
    spec: ExperimentSpec,
    task: Task,
    resources: Resources,
    suggestion: Suggestion,
    number: int,
    identity: str,
    experiment_folder: Path,
    folder: Path,
) -> Launch:
    """Return the launch of attempt `number` at a suggestion, in `folder`. The same arguments give the same launch."""
    key = AttemptKey(spec.name, suggestion.number, number)
    attempt = PlannedAttempt(key, folder, suggestion.parameters, *shares(spec, suggestion))
    program = task.program(spec, experiment_folder, attempt)
    return Launch(
        key=key,
        folder=folder,
        identity=identity,
        command=program.command,
        entry=program.entry,
        preload=program.preload,
        environment={
            **attempt_environment(spec, attempt),
            **program.environment,
            **spec.environment,
        },
        secrets=tuple(spec.environment.values()),
        working_directory=program.working_directory,
        parameters=suggestion.parameters,
        resources=resources,
        limits=limits_of(spec),
        metric_pattern=program.metric_pattern,
        metric=spec.objective.metric,
        epochs=program.epochs,
        inputs=task.inputs(spec, experiment_folder, [suggestion.parameters]),
    )


def prepare_folder(staged: Path, launch: Launch, checkpoint: Path | None) -> None:
    """Make, at `staged`, the folder that an attempt is to have, with `parameters.json` and a checkpoint to go on from.

    Once it is complete it can be moved to where the attempt's folder belongs. What lay at `staged` before goes.

    Raises:
        OSError: the checkpoint can't be read, or the disk refuses; nothing is left at `staged`.
    """
    shutil.rmtree(staged, ignore_errors=True)
    try:
        make_folder(staged, launch.identity)
        write_json(staged / "parameters.json", dict(launch.parameters))
        for part in ("artifacts", "checkpoint"):
            (staged / part).mkdir()
        if checkpoint is not None:
            copy_checkpoint(checkpoint, staged / "checkpoint")
    except OSError:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def newest_checkpoint(home: Home, experiment: str, trial: int, attempts: Sequence[AttemptRow]) -> Path | None:
    """Return the last checkpoint that the attempts at a trial have left, None if there is none."""
    for attempt in reversed(attempts):
        folder = home.attempt(AttemptKey(experiment, trial, attempt.attempt), attempt.identity) / "checkpoint"
        if holds_checkpoint(folder):
            return folder
    return None


def holds_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint folder is there, with anything in it."""
    return folder.is_dir() and any(folder.iterdir())


def shares(spec: ExperimentSpec, suggestion: Suggestion) -> tuple[float, float]:
    """Return the shares of the full training, and of the data, that a suggestion stands for."""
    if spec.early_stopping == "data-promotion":
        return 1.0, spec.sampling * suggestion.fidelity
    return suggestion.fidelity, spec.sampling


def attempt_environment(spec: ExperimentSpec, attempt: PlannedAttempt) -> Mapping[str, str]:
    """Return the environment variables that tell a program what its attempt is."""
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


def limits_of(spec: ExperimentSpec) -> Limits:
    """Return what each attempt has to keep to."""
    wall, silence = spec.max_trial_duration, spec.max_trial_silence
    return Limits(
        wall_seconds=wall.total_seconds() if wall else None,
        silence_seconds=silence.total_seconds() if silence else None,
        memory_bytes=spec.resources.memory,
    )
