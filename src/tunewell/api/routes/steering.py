"""What a search is told while it goes on, and what can be had done before and after it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from pydantic import Field

from tunewell.api.answers import accepted, whole
from tunewell.api.asked import AsCaller, Key, Name, Number, OfSplit, OfTrial, Probabilities, Threshold, ToMeasure
from tunewell.api.document import ACCEPTED
from tunewell.api.lanes import takes_long
from tunewell.service.types import Experiment, Job, NoFlag, OwnConfiguration, Page
from tunewell.spec.states import Cause
from tunewell.spec.text import check_extent

router = APIRouter(tags=["steering"])


@router.post("/experiments/{name}/stop", status_code=202, summary="Stop an experiment for good")
def stop(verbs: AsCaller, name: Name, key: Key = None) -> Experiment:
    """Have an experiment end; what was reached stays."""
    verbs.stop(name, key=key)
    return verbs.experiment(name)


@router.post("/experiments/{name}/pause", status_code=202, summary="Pause an experiment")
def pause(verbs: AsCaller, name: Name, key: Key = None) -> Experiment:
    """Have nothing new started, and running trials leave their checkpoints."""
    verbs.pause(name, key=key)
    return verbs.experiment(name)


@router.post("/experiments/{name}/resume", status_code=202, summary="Let a paused experiment go on")
def resume(verbs: AsCaller, name: Name, key: Key = None) -> Experiment:
    """End a pause."""
    verbs.resume(name, key=key)
    return verbs.experiment(name)


@router.post("/experiments/{name}/retry", status_code=202, summary="Run failed trials again")
def retry(
    verbs: AsCaller,
    name: Name,
    trials: Annotated[
        tuple[Annotated[int, NoFlag, Field(ge=1, le=2**31 - 1)], ...],
        Body(description="Which; empty: all that failed.", max_length=10_000),
    ] = (),
    cause: Annotated[Cause | None, Body(description="Only those that failed for this cause.")] = None,
    key: Key = None,
) -> Page[int]:
    """Have trials run again; return their numbers."""
    return whole(verbs.retry(name, trials, cause, key=key))


@router.post("/experiments/{name}/trials", status_code=202, summary="Add a configuration of one's own")
def add_trial(
    verbs: AsCaller,
    name: Name,
    parameters: Annotated[
        dict[str, Any],
        Body(
            embed=True,
            description="Parameter → value: all that are active in it.",
            examples=[{"learning_rate": 0.003, "batch_size": 32}],
        ),
    ],
    key: Key = None,
) -> OwnConfiguration:
    """Have a configuration tried next; it counts as one of `max_trials`."""
    check_extent("parameters", parameters)
    return verbs.add_trial(name, parameters, key=key)


@router.post("/experiments/{name}/trials/{number}/stop", status_code=202, summary="Stop a trial")
def stop_trial(verbs: AsCaller, name: Name, number: Number, key: Key = None) -> Experiment:
    """Have a trial end; its value so far counts."""
    verbs.stop_trial(name, number, key=key)
    return verbs.experiment(name)


@router.post("/experiments/{name}/trials/{number}/retry", status_code=202, summary="Run a trial again")
def retry_trial(verbs: AsCaller, name: Name, number: Number, key: Key = None) -> Experiment:
    """Have a trial that failed or was stopped run again."""
    verbs.retry_trial(name, number, key=key)
    return verbs.experiment(name)


@router.post("/experiments/{name}/probe", status_code=202, summary="Try out what a trial costs", responses=ACCEPTED)
def probe(request: Request, response: Response, verbs: AsCaller, name: Name, key: Key = None) -> Job:
    """Have what would be the first trial run to its first report."""
    return accepted(request, response, verbs.probe(name, key=key))


@router.post(
    "/experiments/{name}/finalists",
    status_code=202,
    summary="Train the best trials on all data",
    responses=ACCEPTED,
)
def train_finalists(request: Request, response: Response, verbs: AsCaller, name: Name, key: Key = None) -> Job:
    """Have the five best trials of a search on a sample trained on all data."""
    return accepted(request, response, verbs.train_finalists(name, key=key))


@router.post(
    "/experiments/{name}/repeats",
    status_code=202,
    summary="Train the best trials again with other seeds",
    responses=ACCEPTED,
)
def repeat_finalists(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    seeds: Annotated[
        Annotated[int, NoFlag], Body(embed=True, description="With how many other seeds.", ge=1, le=100)
    ] = 3,
    key: Key = None,
) -> Job:
    """Have the five best trials trained again with other seeds, which tells how much of their values is luck."""
    return accepted(request, response, verbs.repeat_finalists(name, seeds, key=key))


@router.post(
    "/experiments/{name}/evaluate",
    status_code=202,
    summary="Evaluate the best trials in detail",
    responses=ACCEPTED,
)
def evaluate(request: Request, response: Response, verbs: AsCaller, name: Name, key: Key = None) -> Job:
    """Have the five best trials evaluated in detail."""
    return accepted(request, response, verbs.evaluate(name, key=key))


@router.post(
    "/experiments/{name}/evaluate-model",
    status_code=202,
    summary="Measure a model on other data",
    responses=ACCEPTED,
)
@takes_long
def evaluate_model(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    data: ToMeasure,
    trial: OfTrial = None,
    split: OfSplit = None,
    key: Key = None,
) -> Job:
    """Have a model measured on a data set that was labelled anew; `page` and `evaluation` name the job's files."""
    return accepted(request, response, verbs.evaluate_model(name, data, trial=trial, split=split, key=key))


@router.post("/experiments/{name}/retrain", status_code=202, summary="Train a model on all data", responses=ACCEPTED)
@takes_long
def retrain(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    trial: Annotated[
        Annotated[int, NoFlag] | None,
        Body(embed=True, description="With which trial's parameters; default: the best.", ge=1, le=2**31 - 1),
    ] = None,
    key: Key = None,
) -> Job:
    """Have a model trained on all data with a trial's parameters."""
    return accepted(request, response, verbs.retrain(name, trial, key=key))


@router.post("/experiments/{name}/predict", status_code=202, summary="Use a model on pictures", responses=ACCEPTED)
@takes_long
def predict(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    upload: Annotated[
        str, Body(embed=True, description="Id of a finished upload: a picture, or an archive of some.", max_length=64)
    ],
    trial: OfTrial = None,
    threshold: Threshold = None,
    probabilities: Probabilities = False,
    key: Key = None,
) -> Job:
    """Have the model of a trial, the retrained one, or else the best trial's, used on pictures.

    `predictions` names the job's file; `predictions.csv` beside it has the same as a table.
    """
    job = verbs.predict(name, upload=upload, trial=trial, threshold=threshold, probabilities=probabilities, key=key)
    return accepted(request, response, job)


@router.post(
    "/experiments/{name}/export-model",
    status_code=202,
    summary="Make a folder of a model to hand over",
    responses=ACCEPTED,
)
@takes_long
def export_model(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    trial: OfTrial = None,
    key: Key = None,
) -> Job:
    """Have weights, ONNX and a model card written: the files of the job, below `model`."""
    return accepted(request, response, verbs.export_model(name, trial=trial, key=key))
