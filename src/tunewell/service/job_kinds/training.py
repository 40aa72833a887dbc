"""Jobs that train: the best on all data, and a first look at what a trial costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tunewell.controller.attempts import build_launch
from tunewell.controller.job_kinds import Conclusion, Context, Finding, NewJob, Part
from tunewell.controller.loading import Recorded
from tunewell.schedulers.records import read_exit
from tunewell.schedulers.report_reader import ReportReader
from tunewell.service.folders import check_replaceable, replace_folder
from tunewell.service.job_kinds.parts import experiment_of, from_job, like_a_trial, recorded_of, task_part
from tunewell.service.on_record import finalists, model_of, to_train
from tunewell.service.results import lineage
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, SpecError, UserError
from tunewell.spec.experiment import PROMOTIONS
from tunewell.spec.launch import Launch, Resources
from tunewell.spec.states import OPEN_JOB_STATES
from tunewell.store.rows import TrialRow
from tunewell.store.store import Store
from tunewell.tuners.contract import Suggestion


class Retrain:
    """Trains on all data with the parameters of a trial (`trial`), or of its lineage in turn."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return one part for a task that retrains by itself, else one for each part of the training."""
        found, row = recorded_of(context), experiment_of(context)
        trial = _trial(context, found)
        output = context.job.arguments.get("output")
        if "retrain" not in found.task.jobs:
            if output is not None:
                raise ArgumentError("output", "a command decides itself where it writes", "Drop it")
            return trainings(context, found, trial)
        if output is not None:
            check_replaceable(Path(output))
        home, model = context.home.experiment(row.name), model_of(context.store, context.home, row.name, trial)
        parts = schedule(context.store, found, trial)
        arguments = {
            "task_file": from_job(context, home / "task.json"),
            "schedule": [{"fidelity": part.fidelity, "parameters": part.parameters} for part in parts],
            "splits": ["train", "val"],
            "trial": trial.number,
            "model": from_job(context, model),
        }
        inputs = found.task.inputs(found.spec, home, [part.parameters for part in parts])
        if model.is_dir():  # else it is done without
            inputs = (*inputs, model)
        return [task_part(found.task, "retrain", like_a_trial(context, found), arguments, inputs)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Put the model on record, or say where a command has written."""
        trial = _trial(context, recorded_of(context))
        metrics = _last_metrics(folders[-1], "")
        result = {"trial": trial.number, "metrics": metrics}
        model, output = folders[-1] / "artifacts" / "model", context.job.arguments.get("output")
        if not (model / "model.json").is_file():
            return Conclusion({**result, "model": str(folders[-1] / "artifacts"), "is_model": False})
        if output is not None:
            replace_folder(Path(output), model)
            return Conclusion({**result, "model": output, "is_model": True})
        finding = Finding("model", trial.number, trial.identity, {"metrics": metrics}, model)
        return Conclusion({**result, "model": str(model), "is_model": True}, [finding])


class Finalists:
    """Has the best trials of a search on a sample trained on all data, those that have not been yet."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return nothing: the trainings are jobs of their own."""
        del context
        return []

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the trainings; none where the trials have been trained on all data themselves."""
        del folders
        row = experiment_of(context)
        known = {one.number for one in finalists(context.store, context.home, row)}
        best = to_train(row, context.store.top(row.name)) if recorded_of(context).spec.sampling < 1.0 else []
        missing = [trial.number for trial in best if trial.number not in known]
        jobs = [NewJob("finalist", {"trial": number}, unless=OPEN_JOB_STATES) for number in missing]
        return Conclusion({"trials": missing}, jobs=jobs)


class Finalist:
    """Trains a trial (`trial`) on all data, to find out what it is worth there."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return a part for each part of the training."""
        found = recorded_of(context)
        return trainings(context, found, _trial(context, found))

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Put on record what the trial reached on all data."""
        found = recorded_of(context)
        trial, value = _trial(context, found), reached(found, folders[-1])
        data = {"sample_value": trial.value, "value": value}
        return Conclusion(data, [Finding("finalist", trial.number, trial.identity, data, folders[-1] / "artifacts")])


def _trial(context: Context, found: Recorded) -> TrialRow:
    """Return the trial that a job was recorded for: another one may have become the best since then."""
    return context.store.trial(found.spec.name, context.job.arguments["trial"])


class Probe:
    """Runs what would be the first trial to its first report: what does a trial cost?"""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the beginning of that trial."""
        found = recorded_of(context)
        suggestion = found.tuner().ask()
        if not isinstance(suggestion, Suggestion):
            raise UserError("the search has no configuration to try")
        part = _training(context, found, suggestion, like_a_trial(context, found), {})
        return [replace(part, until_first_report=True)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return seconds to the first report, its metrics, and the largest memory."""
        del context
        exit_, reports = read_exit(folders[-1]), ReportReader(folders[-1]).read()
        if exit_ is None or exit_.started_at is None or not reports:
            raise DataError("it ended without a report")
        return Conclusion(
            {
                "seconds": max(0.0, reports[0].time - exit_.started_at),
                "metrics": _finite(reports[0].metrics),
                "peak_memory_bytes": exit_.peak_memory_bytes,
            }
        )


def schedule(store: Store, found: Recorded, trial: TrialRow) -> list[TrialRow]:
    """Return the parts that a training for use has: what a promotion has spared a trial is made good."""
    if found.spec.early_stopping in PROMOTIONS:
        return [replace(trial, fidelity=1.0, resume_from=None)]
    return lineage(store, found.spec.name, trial)


def reached(found: Recorded, folder: Path) -> float:
    """Return the objective that a training in a folder has reached; raise `DataError` if it reported none."""
    metric = found.spec.objective.metric
    value = _last_metrics(folder, metric).get(metric)
    if value is None:
        raise DataError(f"it reported no {metric}")
    return value


def trainings(context: Context, found: Recorded, trial: TrialRow, **changes: Any) -> list[Part]:
    """Return the trainings of a trial's schedule, each from the checkpoint of the one before.

    They are on all data, unless `changes`, fields of the spec, say something else.
    """
    if found.spec.function is not None:
        raise ConflictError(f"it is over a Python function: call it with the parameters of trial {trial.number}")
    folder = found.spec.working_directory
    if folder is not None and not folder.is_dir():
        raise SpecError(
            "working_directory",
            f"there is no folder '{folder}' any more",
            "Submit the spec where it is now, which puts that on record",
            kind="program-moved",
        )
    resources = like_a_trial(context, found)
    return [
        _training(
            context,
            found,
            Suggestion(part.number, part.parameters, "retrain", part.fidelity),
            resources,
            {"fidelity": part.fidelity, "parameters": part.parameters, "trial": part.number},
            **changes,
        )
        for part in schedule(context.store, found, trial)
    ]


def _training(
    context: Context,
    found: Recorded,
    suggestion: Suggestion,
    resources: Resources,
    arguments: Mapping[str, Any],
    **changes: Any,
) -> Part:
    # Only a search ends with its target: trainings that are compared are all trained in full.
    objective = found.spec.objective.model_copy(update={"target": None})
    whole = found.spec.model_copy(update={"sampling": 1.0, "objective": objective, **changes})
    return Part(resources, partial(_launch, context, replace(found, spec=whole), suggestion, resources), arguments)


def _launch(
    context: Context, found: Recorded, suggestion: Suggestion, resources: Resources, folder: Path, attempt: int
) -> Launch:
    home = context.home.experiment(found.spec.name)
    launch = build_launch(found.spec, found.task, resources, suggestion, attempt, "", home, folder)
    facts = {"TUNEWELL_EXPERIMENT": found.spec.name, "TUNEWELL_TRIAL": str(suggestion.number)}
    return replace(launch, environment={**facts, **launch.environment})


def _last_metrics(folder: Path, metric: str) -> dict[str, float]:
    """Return the last finite value of each metric that was reported in a folder."""
    metrics: dict[str, float] = {}
    for report in ReportReader(folder, metric).read_rest():
        metrics |= _finite(report.metrics)
    return metrics


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
