"""Models that are published."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from tunewell.api.answers import accepted, located, streamed
from tunewell.api.asked import (
    AsCaller,
    AskedProbabilities,
    AskedThreshold,
    Cursor,
    Key,
    Limit,
    Name,
    OfSplit,
    Probabilities,
    Text,
    Threshold,
    ToMeasure,
)
from tunewell.api.bodies import PICTURES_BODY, PICTURES_BYTES, pictures_of
from tunewell.api.document import ACCEPTED, ARCHIVE, CREATED
from tunewell.api.lanes import run_asking, takes_long
from tunewell.api.looking import only_looks
from tunewell.api.sizes import takes
from tunewell.service.types import Job, Model, ModelVersion, NoFlag, Page, Picture, Predictions
from tunewell.service.verbs import PAGE
from tunewell.spec.names import MODEL, Visibility, in_address

router = APIRouter(tags=["models"])

Version = Annotated[int, Path(description="Number of a version.", ge=1, le=2**31 - 1)]
_UploadId = Annotated[
    str, Body(embed=True, description="Id of a finished upload: a picture, or an archive of some.", max_length=64)
]


@router.post("/experiments/{name}/publish", status_code=201, summary="Publish a model", responses=CREATED)
@takes_long
def publish(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    model: Annotated[
        str | None,
        Body(alias="name", description="What the model is called; default: as the experiment.", max_length=151),
    ] = None,
    trial: Annotated[
        Annotated[int, NoFlag] | None,
        Body(description="Whose model it is; default: the retrained one, or else the best.", ge=1, le=2**31 - 1),
    ] = None,
    note: Annotated[str, Body(description="What is to be said of the version.")] = "",
    visibility: Annotated[
        Visibility | None, Body(description="Who sees the model; default: as it is, or as the experiment.")
    ] = None,
    key: Key = None,
) -> ModelVersion:
    """Publish a model of an experiment as the next version under a name, which becomes the current one."""
    made = verbs.publish(name, model, trial=trial, note=note, visibility=visibility, key=key)
    located(request, response, f"/models/{in_address(made.model)}/versions/{made.number}")
    request.state.about = f"{made.model}@{made.number}"
    return made


@router.get("/models", summary="List the published models, the newest first")
def models(
    verbs: AsCaller,
    search: Annotated[Text, Query(description="Only those with this in their names.")] = "",
    owner: Annotated[Text | None, Query(description="Only those of this user.")] = None,
    deleted: Annotated[bool, Query(description="Those in the bin, instead of all others.")] = False,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[Model]:
    """Return the models that the caller sees, each with its current version."""
    return verbs.models(search=search, owner=owner, deleted=deleted, cursor=cursor, limit=limit)


@router.get("/models/{name}", summary="Read a model")
def model(verbs: AsCaller, name: Name) -> Model:
    """Return a model, with its current version."""
    return verbs.model(name)


@router.patch("/models/{name}", summary="Change who sees a model")
def change_model(
    verbs: AsCaller,
    name: Name,
    visibility: Annotated[Visibility, Body(embed=True, description="Who sees it.")],
    key: Key = None,
) -> Model:
    """Say who sees a model: everybody, or its owner and administrators."""
    return verbs.change_model(name, visibility=visibility, key=key)


@router.delete("/models/{name}", status_code=204, summary="Delete a model")
@takes_long
def delete_model(
    verbs: AsCaller,
    name: Name,
    forever: Annotated[bool, Query(description="Remove it at once, even from the bin.")] = False,
    key: Key = None,
) -> None:
    """Put a model with all of its versions into the bin, where it stays for 30 days."""
    verbs.delete_model(name, forever=forever, key=key)


@router.post("/models/{name}/restore", summary="Restore a model")
def restore_model(verbs: AsCaller, name: Name, key: Key = None) -> Model:
    """Take a model out of the bin."""
    return verbs.restore_model(name, key=key)


@router.get("/models/{name}/versions", summary="List the versions of a model, the latest first")
def model_versions(verbs: AsCaller, name: Name, cursor: Cursor = None, limit: Limit = PAGE) -> Page[ModelVersion]:
    """Return the versions of a model."""
    return verbs.model_versions(name, cursor=cursor, limit=limit)


@router.get("/models/{name}/versions/{number}", summary="Read a version of a model")
def model_version(verbs: AsCaller, name: Name, number: Version) -> ModelVersion:
    """Return where a version comes from, and what it has reached."""
    return verbs.model_version(name, number)


@router.patch("/models/{name}/versions/{number}", summary="Change what is said of a version")
def change_model_version(
    verbs: AsCaller,
    name: Name,
    number: Version,
    note: Annotated[str, Body(embed=True, description="What is to be said of it.")],
    key: Key = None,
) -> ModelVersion:
    """Say something else of a version."""
    return verbs.change_model_version(name, number, note=note, key=key)


@router.delete("/models/{name}/versions/{number}", status_code=204, summary="Delete a version of a model")
@takes_long
def delete_model_version(verbs: AsCaller, name: Name, number: Version, key: Key = None) -> None:
    """Remove a version for good, unless it is the current one."""
    verbs.delete_model_version(name, number, key=key)


@router.post("/models/{name}/current", summary="Choose the current version of a model")
def use_model_version(
    verbs: AsCaller,
    name: Name,
    version: Annotated[Annotated[int, NoFlag], Body(embed=True, description="Its number.", ge=1, le=2**31 - 1)],
    key: Key = None,
) -> Model:
    """Make a version the one that is used where none is named, be it newer or older."""
    return verbs.use_model_version(name, version, key=key)


@router.get(
    "/models/{name}/versions/{number}/files",
    summary="Read the files of a version",
    response_class=Response,
    responses=ARCHIVE,
)
@takes_long
def model_files(request: Request, verbs: AsCaller, name: Name, number: Version) -> Response:
    """Return the folder of a version as an archive, once its files are found to be what was published."""
    parts = verbs.model_files(name, number)
    return streamed(request, parts, "application/x-tar", f"{name.replace('/', '-')}-{number}.tar")


# Using a model --------------------------------------------------------------------------------------------

Pictures = Annotated[Sequence[Picture], Depends(pictures_of)]


@router.post("/models/{name}/predict", summary="Ask a model", openapi_extra=PICTURES_BODY)
@takes(PICTURES_BYTES)
@only_looks
async def predict_now(
    request: Request,
    verbs: AsCaller,
    name: Name,
    pictures: Pictures,
    threshold: AskedThreshold = None,
    probabilities: AskedProbabilities = False,
) -> Predictions:
    """Return what the current version says of pictures."""
    asked = partial(verbs.predict_now, name, pictures, threshold=threshold, probabilities=probabilities)
    return await run_asking(request, asked)


@router.post(
    "/models/{name}/versions/{number}/predict", summary="Ask a version of a model", openapi_extra=PICTURES_BODY
)
@takes(PICTURES_BYTES)
@only_looks
async def predict_with_version(
    request: Request,
    verbs: AsCaller,
    name: Name,
    number: Version,
    pictures: Pictures,
    threshold: AskedThreshold = None,
    probabilities: AskedProbabilities = False,
) -> Predictions:
    """Return what a version says of pictures."""
    asked = partial(verbs.predict_now, name, pictures, threshold=threshold, probabilities=probabilities)
    return await run_asking(request, partial(asked, number=number))


@router.post(
    "/models/{name}/versions/{number}/predictions",
    status_code=202,
    summary="Use a version on many pictures",
    responses=ACCEPTED,
)
@takes_long
def predict_upload_with_version(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    number: Version,
    upload: _UploadId,
    threshold: Threshold = None,
    probabilities: Probabilities = False,
    key: Key = None,
) -> Job:
    """Have a version used on pictures that were sent; `predictions` names the job's file."""
    model = f"{MODEL}{name}@{number}"
    job = verbs.predict(model, upload=upload, threshold=threshold, probabilities=probabilities, key=key)
    return accepted(request, response, job)


@router.post(
    "/models/{name}/versions/{number}/export-model",
    status_code=202,
    summary="Make a folder of a version to hand over",
    responses=ACCEPTED,
)
@takes_long
def export_version(
    request: Request, response: Response, verbs: AsCaller, name: Name, number: Version, key: Key = None
) -> Job:
    """Have weights, ONNX and a model card written: the files of the job, below `model`."""
    return accepted(request, response, verbs.export_model(f"{MODEL}{name}@{number}", key=key))


@router.post(
    "/models/{name}/versions/{number}/evaluate-model",
    status_code=202,
    summary="Measure a version on other data",
    responses=ACCEPTED,
)
@takes_long
def evaluate_version(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    number: Version,
    data: ToMeasure,
    split: OfSplit = None,
    key: Key = None,
) -> Job:
    """Have a version measured on a data set that was labelled anew; `page` and `evaluation` name the job's files."""
    job = verbs.evaluate_model(f"{MODEL}{name}@{number}", data, split=split, key=key)
    return accepted(request, response, job)
