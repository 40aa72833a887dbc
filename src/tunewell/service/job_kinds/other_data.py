"""The job that measures a model on data that were labelled anew."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Conclusion, Context, Part
from tunewell.service.job_kinds.parts import RESULT, arguments_of, entry_part, heavy, result_of
from tunewell.service.model_figures import known_figures, known_intervals, published_from
from tunewell.service.models.tasks import task_of_model
from tunewell.service.on_record import find_models_trial, is_experiment
from tunewell.service.rights import Rights, caller_of
from tunewell.service.storage.place import Place
from tunewell.service.storage.resolving import place_to_measure
from tunewell.spec.errors import UserError
from tunewell.spec.names import MODEL, model_called
from tunewell.tasks.vision.task_file import TASK_FILE
from tunewell.trial.files import read_json, write_json

_KIND = "evaluate-model"
_ENTRY = f"{__name__}:evaluate_model"
#: What the job leaves among its files: all that was measured, and a page about it.
EVALUATION, PAGE = "evaluation.json", "evaluation.html"
#: Pictures that can't be read, and that the result names.
_NAMED = 100


class EvaluateModel:
    """Measures a model (`model`, `trial`) on `data`, or the data set `dataset`, the pictures of `split`."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own measuring, and the page about it."""
        asked, store, home = context.job.arguments, context.store, context.home
        place = Place(store, home, Rights(store, caller_of(store, context.job.caller)))
        data = place_to_measure(place, asked["data"], asked["dataset"])
        model, trial = find_models_trial(store, home, asked["model"], asked["trial"])
        task = task_of_model(model)
        if _KIND not in task.jobs:
            raise UserError("this task can't measure a model on other data")
        task.require()
        known = known_figures(store, asked["model"], model, trial)
        arguments = {
            **asked,
            "trial": trial,
            "data": str(data),
            "entry": task.jobs[_KIND],
            "called": model_called(asked["model"], trial),
            "model": str(model),
            "known": known,
            "intervals": known_intervals(store, asked["model"], trial),
            "task_file": _task_file(place, asked["model"]),
        }
        return [entry_part(_ENTRY, heavy(context), arguments, preload=task.preload)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the figures beside those that the model came with, and where the rest is."""
        del context
        asked, found = arguments_of(folders[-1]), result_of(folders[-1])
        figures, intervals = _beside(found, asked)
        result = {
            "model": asked["model"],
            "trial": asked["trial"],
            "data": asked["dataset"].partition("@")[0] or asked["data"],
            "splits": found["splits"],
            "figures": figures,
            "intervals": intervals,
            "unreadable": dict(list(found["unreadable"].items())[:_NAMED]),
            "evaluation": EVALUATION,
            "page": PAGE,
        }
        return Conclusion(result, notes=found["notes"])


def evaluate_model(folder: Path) -> None:
    """Measure the model that `job.json` in `folder` names, and write a page about it."""
    from tunewell.reports.other_data import OtherData, render  # brings in Jinja

    asked = read_json(folder / "job.json") or {}
    module, _, function = asked["entry"].partition(":")
    getattr(import_module(module), function)(folder)
    artifacts, data = folder / "artifacts", asked["dataset"].partition("@")[0] or asked["data"]
    place = Path(asked["data"])
    found, measured = (
        _named(read_json(path) or {}, str(place if place.is_dir() else place.parent), data)
        for path in (folder / RESULT, artifacts / EVALUATION)
    )
    found["intervals"] = measured.get("intervals", {})
    write_json(folder / RESULT, found)
    write_json(artifacts / EVALUATION, measured)
    figures, intervals = _beside(found, asked)
    about = OtherData(asked["called"], data, found["splits"], measured, figures, intervals, found["notes"])
    (artifacts / PAGE).write_text(render(about), encoding="utf-8", errors="backslashreplace")


def _beside(found: dict[str, Any], asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `new`, `val`, `test` → figures, and their intervals: what was measured beside what was known."""
    return {"new": found["figures"], **asked["known"]}, {"new": found["intervals"], **asked["intervals"]}


def _named(value: Any, folder: str, data: str) -> Any:
    """Return JSON in which what lies in the data is named as from there: files of jobs don't tell where the home is."""
    if isinstance(value, str):
        return value.replace(f"{folder}/", "").replace(folder, data)
    if isinstance(value, dict):
        return {_named(name, folder, data): _named(one, folder, data) for name, one in value.items()}
    return [_named(one, folder, data) for one in value] if isinstance(value, list) else value


def _task_file(place: Place, model: str) -> str | None:
    """Return what the search has recorded of its data that a model comes from; None where that is not known.

    Which pictures a search has is nobody's business who does not see it, and so may see a model of it.
    """
    name, identity = model, None
    if model.startswith(MODEL):
        name, identity = published_from(place.store, model)
    elif not is_experiment(model):
        return None
    row = place.store.find_experiment(name)
    if row is None or identity not in (None, row.identity) or not place.rights.sees(name, even_deleted=True):
        return None
    path = place.home.experiment(row.name) / TASK_FILE
    return str(path) if path.is_file() else None
