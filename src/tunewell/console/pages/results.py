"""Results: the best trials side by side, how good each is in detail, and what can be made of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request, Response, UploadFile

from tunewell.api.answers import SANDBOXED, streamed
from tunewell.api.asked import AsCaller, JobId, Name, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.api.settings import BASE
from tunewell.api.sizes import takes
from tunewell.client.shipping import send_file
from tunewell.console.page import FILE, Page, root, show
from tunewell.console.pages.actions import done
from tunewell.console.results.answering import Probabilities, Threshold, answering_of, threshold_of
from tunewell.console.results.chosen import Chosen
from tunewell.console.results.comparison import Comparison, compare
from tunewell.console.results.details import details_of
from tunewell.console.results.measurements import measured_of
from tunewell.console.results.predictions import Predictions, predictions_of
from tunewell.console.results.recipes import recipes
from tunewell.console.results.work import Work, latest
from tunewell.console.rights import Rights
from tunewell.service.paging import every
from tunewell.service.tars import Member, tar
from tunewell.service.types import Artifact, Caller, Experiment, JobKind, SearchResult, TrialResult
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import DATASET, in_address, own_name
from tunewell.spec.rules import WORKERS
from tunewell.spec.states import OPEN_JOB_STATES, JobState

router = APIRouter()

_HEAD = ("results-head", "results-best")
_WORK = (
    "results-train",
    "results-try",
    "results-measure",
    "results-take",
    "results-parameters",
)
#: Where the folder to hand over is among the files of its job.
_MODEL = "model/"
#: Bytes of a picture that a form sends without scripts, which send it by parts.
_PICTURE_BYTES = 256 << 20
#: Whose model, as a form sends it; empty: the retrained one, or else the best.
OfTrial = Annotated[str, Form(max_length=19, pattern=r"^\d*$")]
_KINDS: Mapping[str, JobKind] = {
    "evaluate": "evaluate",
    "retrain": "retrain",
    "predict": "predict",
    "export": "export-model",
}


@router.get("/experiments/{name}/results")
@takes_long
def results(request: Request, verbs: AsCaller, caller: TheCaller, name: Name) -> Response:
    """Return what a search has brought."""
    one = verbs.experiment(name)
    result = verbs.result(name)
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
    harvest = _harvest(verbs, caller, name, one, result, Chosen.from_query(request.query_params))
    open_jobs = [f"job:{work.job.id}" for work in harvest["work"].values() if work is not None and work.is_open]
    states = tuple(OPEN_JOB_STATES)
    repeats = every(lambda at: verbs.jobs(experiment=name, kind="repeat", states=states, cursor=at))
    open_jobs += [f"job:{job.id}" for job in repeats]
    parts = (*_HEAD, *_WORK, "results-evaluation")
    page = Page("results.html.j2", title, parts, {**context, **harvest}, follows=(one.name, *open_jobs))
    return show(request, page)


def _harvest(
    verbs: Verbs, caller: Caller, name: str, one: Experiment, result: SearchResult, chosen: Chosen
) -> dict[str, Any]:
    """Return what the page shows of a search with a result, which the caller calls `name`."""
    assert result.best is not None
    evaluations = verbs.evaluations(name, details=False)
    figures = {found.number: found.figures for found in evaluations}
    shown = chosen.trial if chosen.trial in figures else _first_evaluated(result, figures)
    evaluation = _evaluation(verbs, name, shown)
    details = details_of(evaluation, chosen)
    counts = {split: measured["count"] for split, measured in evaluation.items() if measured and "count" in measured}
    unit = None
    if one.spec.get("task"):
        unit = details.report.unit if details is not None else "picture"
    comparison = compare(result, figures, counts, unit, {found.number: found.intervals for found in evaluations})
    taken = _trial(comparison, chosen.trial) or result.best
    rights = Rights.of(caller, one)
    # After a search on a sample, a training on all data may have other epochs than its trial.
    trials = comparison.trials if one.spec.get("sampling", 1.0) == 1.0 else ()
    work = {
        verb: latest(verbs, name, kind, trials, caller if verb == "predict" else None) for verb, kind in _KINDS.items()
    }
    return {
        "chosen": chosen,
        "comparison": comparison,
        "figures": figures,
        "shown": shown,
        "details": details,
        "taken": taken,
        "recipes": recipes(taken.parameters, taken.number, one.name),
        "own_name": own_name(one.name),
        "model_names": [model.name for model in verbs.models(owner=caller.name).items],
        "models": {model.kind for model in verbs.trained_models(name)},
        "work": work,
        "rights": rights,
        "predictions": _predictions(verbs, work["predict"]),
        "handed_over": _handed_over(verbs, work["export"]),
        "is_task": bool(one.spec.get("task")),
        "measured": measured_of(verbs, one.spec.get("task"), experiment=name),
        "answering": answering_of(verbs, one.spec.get("task")),
        "is_function": bool(one.spec.get("function")),
        "by_workers": one.spec.get("scheduler") == WORKERS,
        "command": shlex.join(result.command),
        "left": () if one.spec.get("task") else verbs.artifacts(name, result.best.number),
    }


def _first_evaluated(result: SearchResult, figures: Mapping[int, Any]) -> int | None:
    return next((trial.number for trial in result.top if trial.number in figures), None)


def _evaluation(verbs: Verbs, name: str, trial: int | None) -> Mapping[str, Any]:
    """Return the evaluation of a trial, empty if it is lost or was never made."""
    found = verbs.evaluations(name, trial=trial) if trial is not None else ()
    return found[0].figures if found else {}


def _trial(comparison: Comparison, number: int | None) -> TrialResult | None:
    return next((trial for trial in comparison.trials if trial.number == number), None)


def _predictions(verbs: Verbs, work: Work | None) -> Predictions:
    if work is None or not work.has_succeeded:
        return Predictions((), 0)
    try:
        in_full = bool(work.job.arguments["answering"]["probabilities"])
        return predictions_of(verbs.job_artifact(work.job.id, "predictions.json"), in_full)
    except NotFoundError:  # its folder was tidied away
        return Predictions((), 0)


def _handed_over(verbs: Verbs, work: Work | None) -> list[Artifact]:
    """Return the files of the folder to hand over; none while there is none."""
    if work is None or not work.has_succeeded:
        return []
    return [file for file in verbs.job_artifacts(work.job.id) if file.path.startswith(_MODEL)]


@router.get("/experiments/{name}/hand-over.tar", tags=FILE)
@takes_long
def hand_over(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Return the folder to hand over that was written last, as an archive."""
    one = verbs.experiment(name)
    found = verbs.jobs(experiment=name, kind="export-model", states=(JobState.SUCCEEDED,), limit=1).items
    files = [file for job in found for file in verbs.job_artifacts(job.id) if file.path.startswith(_MODEL)]
    if not files:
        raise NotFoundError(f"Experiment '{one.name}' has no folder to hand over", remedy="Have one written")
    folder = f"{own_name(one.name)}-model"
    members = (
        Member(
            f"{folder}/{file.path.removeprefix(_MODEL)}",
            file.size_bytes,
            file.modified_at.timestamp(),
            partial(verbs.job_artifact, found[0].id, file.path),
        )
        for file in files
    )
    return streamed(request, tar(members), "application/x-tar", f"{folder}.tar")


@router.get("/jobs/{id}/previews/{number}", tags=FILE)
def preview(verbs: AsCaller, id: JobId, number: Annotated[int, Path(ge=0, le=999)]) -> Response:
    """Return the small picture that a prediction has kept of one that was sent."""
    content = b"".join(verbs.job_artifact(id, f"previews/{number}.jpg"))
    return Response(content, headers={**SANDBOXED, "Cache-Control": "private, max-age=86400"}, media_type="image/jpeg")


@router.post("/experiments/{name}/predict-picture")
@takes(_PICTURE_BYTES)
@takes_long
def predict_picture(
    request: Request,
    verbs: AsCaller,
    name: Name,
    picture: UploadFile,
    trial: OfTrial = "",
    threshold: Threshold = "",
    probabilities: Probabilities = False,
) -> Response:
    """Have the model used on a picture, or an archive of them, that a form sends in one piece."""
    wanted = threshold_of(threshold)
    upload = send_file(verbs, picture.filename or "picture", picture.file, "pictures")
    verbs.predict(name, upload=upload, trial=_number(trial), threshold=wanted, probabilities=probabilities)
    return done(request, "The model looks at it.", _here(name, "try"))


@router.post("/experiments/{name}/evaluate")
def evaluate(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Have the best trials evaluated in detail."""
    verbs.evaluate(name)
    return done(request, "The best trials are being evaluated.", _here(name, "evaluation"))


@router.post("/experiments/{name}/evaluate-model")
@takes_long
def evaluate_model(
    request: Request,
    verbs: AsCaller,
    name: Name,
    data: Annotated[str, Form(max_length=200)],
    trial: OfTrial = "",
) -> Response:
    """Have a model measured on a data set that was labelled anew."""
    job = verbs.evaluate_model(name, f"{DATASET}{data}", trial=_number(trial))
    return done(request, "The model is being measured.", f"/jobs/{job.id}", leads=True)


@router.post("/experiments/{name}/retrain")
@takes_long
def retrain(request: Request, verbs: AsCaller, name: Name, trial: Annotated[int | None, Form()] = None) -> Response:
    """Have a model trained on all data with the parameters of a trial."""
    verbs.retrain(name, trial)
    return done(request, "A training on all data has been asked for.", _here(name, "train"))


@router.post("/experiments/{name}/repeat")
def repeat(request: Request, verbs: AsCaller, name: Name, seeds: Annotated[int, Form()] = 3) -> Response:
    """Have the best trials trained again with other seeds."""
    verbs.repeat_finalists(name, seeds)
    return done(request, "The best trials are being trained again.", _here(name, "best"))


@router.post("/experiments/{name}/export-model")
@takes_long
def export_model(
    request: Request,
    verbs: AsCaller,
    name: Name,
    trial: OfTrial = "",
) -> Response:
    """Have a folder to hand over written of the model of a trial, or of the retrained or best one."""
    verbs.export_model(name, trial=_number(trial))
    return done(request, "The folder to hand over is being written.", _here(name, "take"))


@router.post("/experiments/{name}/predict")
@takes_long
def predict(
    request: Request,
    verbs: AsCaller,
    name: Name,
    upload: Annotated[str, Form()],
    trial: OfTrial = "",
    threshold: Threshold = "",
    probabilities: Probabilities = False,
) -> Response:
    """Have the model used on pictures that were sent."""
    wanted = threshold_of(threshold)
    verbs.predict(name, upload=upload, trial=_number(trial), threshold=wanted, probabilities=probabilities)
    return done(request, "The model looks at it.", _here(name, "try"))


def _number(trial: str) -> int | None:
    return int(trial) if trial else None


def _here(name: str, place: str) -> str:
    return f"/experiments/{in_address(name)}/results#{place}"
