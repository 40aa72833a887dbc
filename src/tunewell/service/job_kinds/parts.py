"""How the processes of jobs are described, whatever their kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Context, Part
from tunewell.controller.loading import Recorded, recorded
from tunewell.controller.resources import plan_resources
from tunewell.spec.errors import DataError, UserError
from tunewell.spec.launch import JobKey, Launch, Resources
from tunewell.spec.secrets import passwords
from tunewell.store.rows import ExperimentRow
from tunewell.tasks.contract import Task
from tunewell.trial.files import read_json

#: What a job takes that computes little.
LIGHT = Resources(cpus=1)
ARGUMENTS, RESULT = "job.json", "result.json"


def experiment_of(context: Context) -> ExperimentRow:
    """Return the record of the experiment that a job is about."""
    assert context.job.experiment is not None
    return context.store.experiment(context.job.experiment)


def recorded_of(context: Context) -> Recorded:
    """Return what is on record about the experiment of a job."""
    return recorded(context.home, experiment_of(context))


def like_a_trial(context: Context, found: Recorded) -> Resources:
    """Return what a trial of the experiment takes."""
    return plan_resources(found.spec, context.capacity)


def heavy(context: Context) -> Resources:
    """Return what a job takes that computes much and belongs to no search: half a machine, and a GPU if there is one.

    For the whole of it, it would have to wait until searches in other processes leave all of it free at once.
    """
    gpus = min(1, len(context.capacity.gpus))
    return Resources(cpus=max(1, max(node.cpus for node in context.capacity.nodes) // 2), gpus=gpus)


def task_part(
    task: Task, verb: str, resources: Resources, arguments: Mapping[str, Any], inputs: Sequence[Path] = ()
) -> Part:
    """Return the part in which a task does what it declares as `verb`; raise `UserError` where that can't be done."""
    if verb not in task.jobs:
        raise UserError(f"this task can't {verb}")
    task.require()
    return entry_part(task.jobs[verb], resources, arguments, preload=task.preload, inputs=inputs)


def from_job(context: Context, path: Path) -> str:
    """Return a path as the attempts at a job find it, wherever the home lies; see `job_folder.place_in`."""
    return os.path.relpath(path, context.home.job(context.job.id) / "1")


def entry_part(
    entry: str,
    resources: Resources,
    arguments: Mapping[str, Any],
    preload: tuple[str, ...] = (),
    private: Mapping[str, str] | None = None,
    inputs: Sequence[Path] = (),
) -> Part:
    """Return the part that calls an entry (`package.module:function`) with the folder of its attempt.

    `private` is added to its environment, and written nowhere; for `inputs` see `Launch`.
    """
    values = tuple((private or {}).values())
    secrets = (*values, *(part for value in values for part in passwords(value)))

    def launch(folder: Path, attempt: int) -> Launch:
        return Launch(
            key=JobKey(0, attempt),
            folder=folder,
            entry=entry,
            preload=preload,
            private_environment=private or {},
            secrets=secrets,
            inputs=tuple(inputs),
        )

    return Part(resources, launch, arguments)


def result_of(folder: Path) -> dict[str, Any]:
    """Return the small result that a job's process has left in its folder; raise `DataError` if there is none."""
    found = read_json(folder / RESULT)
    if found is None:
        raise DataError("it is missing or damaged", field=str(folder / RESULT))
    return found


def arguments_of(folder: Path) -> dict[str, Any]:
    """Return what a job's process was given: what is on record may say something else by now."""
    found = read_json(folder / ARGUMENTS)
    if found is None:
        raise DataError("it is missing or damaged", field=str(folder / ARGUMENTS))
    return found
