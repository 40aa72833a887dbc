"""Jobs that use models: prediction, and the folder to hand over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Conclusion, Context, Part
from tunewell.home.spec_on_record import shareable_spec
from tunewell.service.folders import check_predictions_file, check_replaceable, replace_folder
from tunewell.service.job_kinds.parts import arguments_of, heavy, result_of, task_part
from tunewell.service.model_figures import known_figures
from tunewell.service.models.tasks import task_of_model
from tunewell.service.on_record import find_models_trial, is_experiment
from tunewell.service.results import search_result
from tunewell.spec.epochs import training_text
from tunewell.spec.errors import ArgumentError, NotFoundError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.files import to_yaml
from tunewell.spec.labels import LABELS


class Predict:
    """Uses a model (`model`, `trial`) on `inputs` in `directory`; draws what it finds if asked to."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own prediction."""
        asked = context.job.arguments
        output = asked.get("output")
        if output is not None:
            check_predictions_file(_in(asked, output))
        missing = [path for path in asked["inputs"] if not _in(asked, path).exists()]
        if missing:
            raise NotFoundError("there is no such file or folder", field=missing[0])
        model, trial = find_models_trial(context.store, context.home, asked["model"], asked["trial"])
        task = task_of_model(model)
        if asked.get("drawn") and "draw" not in task.jobs:
            raise ArgumentError("drawn", "this model finds no objects that could be drawn", "Leave it out")
        arguments = {**asked, "model": str(model), "trial": trial}
        return [task_part(task, "draw" if asked.get("drawn") else "predict", heavy(context), arguments)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return what was used, and where the predictions are."""
        del context
        used = arguments_of(folders[-1])
        return Conclusion({"model": used["model"], "trial": used["trial"], "predictions": "predictions.json"})


class ExportModel:
    """Makes a folder to hand over of a model (`model`, `trial`): weights, ONNX, a card."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own export."""
        store, home, name = context.store, context.home, context.job.arguments["model"]
        output = context.job.arguments["output"]
        if output is not None:
            check_replaceable(Path(output))
        model, trial = find_models_trial(store, home, name, context.job.arguments["trial"])
        found = store.find_experiment(name) if is_experiment(name) else None
        task_file = home.experiment(found.name) / "task.json" if found is not None else None
        arguments = {
            "model": str(model),
            "task_file": str(task_file) if task_file is not None and task_file.exists() else None,
            "search": _search_of(context, name, model, trial) if found is not None else None,
            "figures": known_figures(store, name, model, trial),
        }
        return [task_part(task_of_model(model), "export-model", heavy(context), arguments)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Put the folder where it is wanted, if it is wanted anywhere, and return facts about it."""
        made, output = folders[-1] / "artifacts" / "model", context.job.arguments["output"]
        if output is not None:
            replace_folder(Path(output), made)
        return Conclusion({"path": output or str(made), **result_of(folders[-1])})


def _in(asked: Mapping[str, Any], path: str) -> Path:
    """Return a path that was given where the prediction was asked for."""
    return Path(asked.get("directory", ".")) / path


def _search_of(context: Context, name: str, folder: Path, own: int | None) -> dict[str, Any]:
    """Return what a model card says of the search that a model comes from; see `model_card.Search`.

    `own` is the trial whose own model it is; None: it was retrained.
    """
    store, home = context.store, context.home
    result = search_result(store, home, name)
    retrained = own is None
    number = json.loads((folder / "model.json").read_text(encoding="utf-8"))["trial"] if own is None else own
    row = store.experiment(name)
    trial = store.trial(name, number)
    default = result.default
    values = {one.number: one.value for one in result.finalists if one.value is not None}
    on_all_data = trial.number in values  # then what the default reached on the sample is no comparison
    if not on_all_data:
        values = {one.number: one.value for one in (trial, default) if one and one.value is not None}
    objective = {
        "validation": [values.get(one.number) if one else None for one in (trial, default)],
        "test": [result.test.get(one.number) if one else None for one in (trial, default)],
    }
    if not result.is_beside_default(trial.number):
        objective["test"][1] = None
    known = result.uncertainty
    ends = {"validation": known.intervals, "test": known.test_intervals} if known is not None else {}
    # What people say of the search is not for those who are handed the model.
    spec = {field: value for field, value in shareable_spec(home, row).items() if field not in LABELS}
    return {
        "experiment": name,
        "spec": to_yaml(spec),
        "metric": result.objective.metric,
        "trial": trial.number,
        "trials": sum(result.trials.values()),
        "retrained": retrained,
        "training": training_text(trial.epochs, trial.planned_epochs, trial.cut_by),
        "is_default": default is not None and default.number == trial.number,
        "sampling": 1.0 if on_all_data else parse_spec(row.spec).sampling,
        "objective": {kind: values for kind, values in objective.items() if any(value is not None for value in values)},
        "intervals": {
            kind: [
                of_kind.get(one.number) if one and value is not None else None
                for one, value in zip((trial, default), objective[kind], strict=True)
            ]
            for kind, of_kind in ends.items()
        },
    }
