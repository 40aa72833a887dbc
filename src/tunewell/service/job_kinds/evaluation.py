"""The job that evaluates the best trials in detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Conclusion, Context, Finding, Part
from tunewell.service.job_kinds.parts import (
    RESULT,
    arguments_of,
    experiment_of,
    from_job,
    like_a_trial,
    recorded_of,
    task_part,
)
from tunewell.service.on_record import evaluations, model_of, ranked, trained_by
from tunewell.service.results import default_trial
from tunewell.spec.errors import DataError
from tunewell.store.rows import TrialRow
from tunewell.tasks.evaluation import figures
from tunewell.trial.files import read_json


class Evaluate:
    """Evaluates the five best trials, and that of the default configuration, which they are compared with.

    Those that were evaluated before are not evaluated again.
    """

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own evaluation of the trials that lack one; nothing if none does."""
        found, row = recorded_of(context), experiment_of(context)
        missing = self._missing(context)
        if not missing:
            return []
        jobs, home = trained_by(context.store, row.name), context.home.experiment(row.name)
        models = {trial.number: model_of(context.store, context.home, row.name, trial) for trial in missing}
        arguments = {
            "task_file": from_job(context, home / "task.json"),
            "trials": [
                {
                    "number": trial.number,
                    "identity": trial.identity,
                    "folder": from_job(context, models[trial.number].parents[1]),
                    "trained_by": jobs.get(trial.number),
                }
                for trial in missing
            ],
        }
        read = found.task.inputs(found.spec, home, [trial.parameters for trial in missing])
        inputs = (*read, *(model.parent for model in models.values()))
        return [task_part(found.task, "evaluate", like_a_trial(context, found), arguments, inputs)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Put each evaluation on record: its figures, and the file with all the rest."""
        if not folders:
            return Conclusion({"trials": []})
        trials = sorted(arguments_of(folders[-1])["trials"], key=lambda trial: int(trial["number"]))
        artifacts = folders[-1] / "artifacts"
        metric = str(experiment_of(context).spec["objective"]["metric"])
        resampled = (read_json(folders[-1] / RESULT) or {}).get("resampled", {})
        findings = [
            _finding(trial, artifacts / f"{trial['number']}.json", metric, resampled.get(str(trial["number"]), {}))
            for trial in trials
        ]
        return Conclusion({"trials": [finding.trial for finding in findings]}, findings)

    def _missing(self, context: Context) -> list[TrialRow]:
        store, home, row = context.store, context.home, experiment_of(context)
        best = ranked(store, row)
        default = default_trial(store, row)
        if default is not None and default.number not in {trial.number for trial in best}:
            best.append(default)
        known = evaluations(store, home, row.name)
        return [t for t in best if t.number not in known and model_of(store, home, row.name, t).is_dir()]


def _finding(trial: Mapping[str, Any], path: Path, metric: str, resampled: Mapping[str, Any]) -> Finding:
    """Return the evaluation of a trial, or of what a job has trained of it.

    With it go its single numbers by split and their intervals, and the objective on the resamples of each split, by
    which trials are compared.
    """
    evaluation = read_json(path)
    if evaluation is None:
        raise DataError("it is missing or damaged", field=str(path))
    measures = {split: measured for split, measured in evaluation.items() if measured}
    data = {
        "trained_by": trial["trained_by"],
        "unit": next((measured["unit"] for measured in measures.values() if "unit" in measured), "item"),
        "figures": {split: figures(measured) for split, measured in measures.items()},
        "intervals": {split: measured.get("intervals", {}) for split, measured in measures.items()},
        "resampled": {
            split: {"items": measures[split]["count"], "values": values[metric]}
            for split, values in resampled.items()
            if split in measures and metric in values
        },
    }
    return Finding("evaluation", trial["number"], trial["identity"], data, path)
