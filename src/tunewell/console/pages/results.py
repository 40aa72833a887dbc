"""Results: the best trials side by side, how good each is in detail, and what can be made of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from tunewell.api.asked import AsCaller, Name, TheCaller
from tunewell.api.settings import BASE
from tunewell.console.page import Page, root, show
from tunewell.console.pages.actions import done
from tunewell.console.results.chosen import Chosen
from tunewell.console.results.comparison import Comparison, compare
from tunewell.console.results.details import details_of
from tunewell.console.results.recipes import recipes
from tunewell.console.results.work import Rights, epochs_of, latest
from tunewell.service.types import Caller, Experiment, JobKind, SearchResult, TrialResult
from tunewell.service.verbs import Verbs
from tunewell.spec.names import in_address

router = APIRouter()

_HEAD, _WORK = ("results-head", "results-best"), ("results-train", "results-try", "results-take", "results-parameters")
_KINDS: Mapping[str, JobKind] = {
    "evaluate": "evaluate",
    "retrain": "retrain",
    "predict": "predict",
    "export": "export-model",
}


@router.get("/experiments/{name}/results")
def results(request: Request, verbs: AsCaller, caller: TheCaller, name: Name) -> Response:
    """Return what a search has brought."""
    one = verbs.experiment(name)
    result = verbs.result(one.name)
    here = f"{root(request)}/experiments/{in_address(one.name)}"
    context: dict[str, Any] = {
        "one": one,
        "result": result,
        "here": here,
        "api": f"{root(request)}{BASE}",
        "experiment_api": f"{root(request)}{BASE}/experiments/{in_address(one.name)}",
    }
    title = f"Results of {one.name}"
    if result.best is None:
        return show(request, Page("results-none.html.j2", title, ("results-head",), context, follows=(one.name,)))
    harvest = _harvest(verbs, caller, one, result, Chosen.from_query(request.query_params))
    open_jobs = [f"job:{work.job.id}" for work in harvest["work"].values() if work is not None and work.is_open]
    parts = (*_HEAD, *_WORK, "results-evaluation")
    page = Page("results.html.j2", title, parts, {**context, **harvest}, follows=(one.name, *open_jobs))
    return show(request, page)


def _harvest(verbs: Verbs, caller: Caller, one: Experiment, result: SearchResult, chosen: Chosen) -> dict[str, Any]:
    """Return what the page shows of a search with a result."""
    assert result.best is not None
    figures = {found.number: found.figures for found in verbs.evaluations(one.name, details=False)}
    shown = chosen.trial if chosen.trial in figures else _first_evaluated(result, figures)
    evaluation = _evaluation(verbs, one.name, shown)
    details = details_of(evaluation, chosen)
    counts = {split: measured["count"] for split, measured in evaluation.items() if measured and "count" in measured}
    unit = details.report.unit if details is not None else "picture"
    comparison = compare(result, figures, counts, unit)
    taken = _trial(comparison, chosen.trial) or result.best
    epochs = epochs_of(taken.parameters)
    work = {
        name: latest(verbs, one.name, kind, caller if name == "predict" else None, epochs)
        for name, kind in _KINDS.items()
    }
    return {
        "chosen": chosen,
        "comparison": comparison,
        "figures": figures,
        "shown": shown,
        "details": details,
        "taken": taken,
        "recipes": recipes(taken.parameters, taken.number, one.name),
        "models": {model.kind for model in verbs.models(one.name)},
        "work": work,
        "rights": Rights.of(caller, one),
        "is_task": bool(one.spec.get("task")),
        "is_function": bool(one.spec.get("function")),
        "is_command": bool(one.spec.get("command")),
        "command": shlex.join(result.command),
        "left": () if one.spec.get("task") else verbs.artifacts(one.name, result.best.number),
    }


def _first_evaluated(result: SearchResult, figures: Mapping[int, Any]) -> int | None:
    return next((trial.number for trial in result.top if trial.number in figures), None)


def _evaluation(verbs: Verbs, name: str, trial: int | None) -> Mapping[str, Any]:
    """Return the evaluation of a trial, empty if it is lost or was never made."""
    found = verbs.evaluations(name, trial=trial) if trial is not None else ()
    return found[0].figures if found else {}


def _trial(comparison: Comparison, number: int | None) -> TrialResult | None:
    return next((trial for trial in comparison.trials if trial.number == number), None)


@router.post("/experiments/{name}/evaluate")
def evaluate(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Have the best trials evaluated in detail."""
    verbs.evaluate(name)
    return done(request, "The best trials are being evaluated.", _here(name, "evaluation"))


@router.post("/experiments/{name}/retrain")
def retrain(request: Request, verbs: AsCaller, name: Name, trial: Annotated[int | None, Form()] = None) -> Response:
    """Have a model trained on all data with the parameters of a trial."""
    verbs.retrain(name, trial)
    return done(request, "A training on all data has been asked for.", _here(name, "train"))


@router.post("/experiments/{name}/export-model")
def export_model(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Have a folder to hand over written."""
    verbs.export_model(name)
    return done(request, "The folder to hand over is being written.", _here(name, "take"))


@router.post("/experiments/{name}/predict")
def predict(request: Request, verbs: AsCaller, name: Name, upload: Annotated[str, Form()]) -> Response:
    """Have the model used on pictures that were sent."""
    verbs.predict(name, upload=upload)
    return done(request, "The model looks at it.", _here(name, "try"))


def _here(name: str, place: str) -> str:
    return f"/experiments/{in_address(name)}/results#{place}"
