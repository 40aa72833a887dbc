"""The job that measures a model on data that were labelled anew."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tunewell.controller.job_kinds import Conclusion, Context, Part
from tunewell.service.job_kinds.parts import arguments_of, entry_part, heavy, result_of
from tunewell.service.model_figures import known_figures
from tunewell.service.models.tasks import task_of_model
from tunewell.service.on_record import find_model, is_experiment
from tunewell.spec.errors import NotFoundError, UserError
from tunewell.trial.files import read_json

_KIND = "evaluate-model"
_ENTRY = f"{__name__}:evaluate_model"
#: What the job leaves among its files: all that was measured, and a page about it.
EVALUATION, PAGE = "evaluation.json", "evaluation.html"
#: Pictures that can't be read, and that the result names.
_NAMED = 100


class EvaluateModel:
    """Measures a model (`model`, `trial`) on `data`, the pictures of `split`."""

    def parts(self, context: Context) -> Sequence[Part]:
        """Return the task's own measuring, and the page about it."""
        asked, store, home = context.job.arguments, context.store, context.home
        if not Path(asked["data"]).exists():
            raise NotFoundError("there is no such file or folder", field=asked["data"])
        model = find_model(store, home, asked["model"], asked["trial"])
        task = task_of_model(model)
        if _KIND not in task.jobs:
            raise UserError("this task can't measure a model on other data")
        task.require()
        known = known_figures(store, home, asked["model"], model, asked["trial"])
        arguments = {
            **asked,
            "entry": task.jobs[_KIND],
            "called": _called(asked),
            "model": str(model),
            "known": known,
            "learned": _has_learned(context),
        }
        return [entry_part(_ENTRY, heavy(context), arguments, preload=task.preload)]

    def conclude(self, context: Context, folders: Sequence[Path]) -> Conclusion:
        """Return the figures beside those that the model came with, and where the rest is."""
        del context
        asked, found = arguments_of(folders[-1]), result_of(folders[-1])
        result = {
            "model": asked["model"],
            "data": asked["dataset"].partition("@")[0] or asked["data"],
            "splits": found["splits"],
            "figures": {"new": found["figures"], **asked["known"]},
            "unreadable": dict(list(found["unreadable"].items())[:_NAMED]),
            "evaluation": EVALUATION,
            "page": PAGE,
        }
        return Conclusion(result, notes=_notes(asked, found))


def evaluate_model(folder: Path) -> None:
    """Measure the model that `job.json` in `folder` names, and write a page about it."""
    from tunewell.reports.other_data import OtherData, render  # brings in Jinja

    asked = read_json(folder / "job.json") or {}
    module, _, function = asked["entry"].partition(":")
    getattr(import_module(module), function)(folder)
    found, artifacts = result_of(folder), folder / "artifacts"
    measured = read_json(artifacts / EVALUATION) or {}
    data = asked["dataset"].partition("@")[0] or asked["data"]
    about = OtherData(asked["called"], data, found["splits"], measured, asked["known"], _notes(asked, found))
    (artifacts / PAGE).write_text(render(about), encoding="utf-8", errors="backslashreplace")


def _called(asked: dict[str, Any]) -> str:
    """Return what people call the model."""
    trial = asked["trial"]
    return f"{asked['model']}, trial {trial}" if trial is not None else str(asked["model"])


def _has_learned(context: Context) -> bool:
    """Whether the data are those that the model was trained with."""
    asked, store = context.job.arguments, context.store
    if not is_experiment(asked["model"]):
        return False
    spec = store.experiment(asked["model"]).spec
    if asked["dataset"] and spec.get("dataset"):
        return str(spec.get("dataset") or "").partition("@")[2] == str(asked["dataset"]).partition("@")[2]
    own = spec.get("data")
    return bool(own) and Path(str(own)).resolve() == Path(asked["data"]).resolve()


def _notes(asked: dict[str, Any], found: dict[str, Any]) -> list[str]:
    notes: list[str] = list(found["notes"])
    if asked["learned"] and set(found["splits"]) != {"test"}:
        notes.insert(0, "These are the data of its own search: on pictures that it has learned, figures flatter it.")
    return notes
