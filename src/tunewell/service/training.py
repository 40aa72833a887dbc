"""Training a configuration once more, on all data: every part of its schedule, each from where the last one ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tunewell.controller.attempts import build_launch
from tunewell.controller.checkpoints import copy_checkpoint
from tunewell.controller.resources import plan_resources
from tunewell.home.home import Home
from tunewell.schedulers.local import LocalScheduler
from tunewell.service.jobs import OnReport, job_launch, run_job
from tunewell.spec.experiment import PROMOTIONS, ExperimentSpec
from tunewell.spec.launch import Launch
from tunewell.store.rows import TrialRow
from tunewell.store.store import Store
from tunewell.tasks.contract import Task
from tunewell.tuners.contract import Suggestion


def lineage(store: Store, name: str, trial: TrialRow) -> list[TrialRow]:
    """Return the trials whose checkpoints led to this one, the first one first, and the trial itself."""
    found = [trial]
    while found[0].resume_from is not None:
        found.insert(0, store.trial(name, found[0].resume_from))
    return found


def schedule(store: Store, spec: ExperimentSpec, trial: TrialRow) -> list[TrialRow]:
    """Return the parts that a training for use has: what a promotion has spared a trial is made good."""
    if spec.early_stopping in PROMOTIONS:
        return [replace(trial, fidelity=1.0, resume_from=None)]
    return lineage(store, spec.name, trial)


def train_again(
    store: Store, home: Home, spec: ExperimentSpec, task: Task, trial: TrialRow, verb: str, on_report: OnReport
) -> Path:
    """Train as the trial was trained, but on all of the training data; return the folder of the last part.

    Raises:
        JobFailed: the training failed.
    """
    job: Path | None = None
    for part in schedule(store, spec, trial):
        arguments = {"fidelity": part.fidelity, "parameters": part.parameters, "trial": part.number}
        launch = job_launch(home, spec.name, verb, arguments)
        if job is not None:
            copy_checkpoint(job / "checkpoint", launch.folder / "checkpoint")
        job = run_job(_as_trial(home, spec, task, part, launch), on_report)
    assert job is not None, "a schedule has one part at least"
    return job


def _as_trial(home: Home, spec: ExperimentSpec, task: Task, trial: TrialRow, job: Launch) -> Launch:
    whole = spec.model_copy(update={"sampling": 1.0})
    scheduler = LocalScheduler()
    try:
        resources = plan_resources(whole, scheduler)
    finally:
        scheduler.close()
    suggestion = Suggestion(trial.number, trial.parameters, "retrain", trial.fidelity)
    launch = build_launch(whole, task, home, resources, suggestion, job.key.attempt, job.identity, job.folder)
    return replace(launch, key=job.key)
