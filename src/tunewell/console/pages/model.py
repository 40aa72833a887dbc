"""One published model: its versions, what they say of a picture, and how it is used from elsewhere."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Path, Query, Request, Response, UploadFile
from starlette.responses import JSONResponse

from tunewell.api.asked import AsCaller, Name, TheCaller
from tunewell.api.bodies import PICTURES_BYTES
from tunewell.api.lanes import run_asking, takes_long
from tunewell.api.looking import only_looks
from tunewell.api.settings import BASE
from tunewell.api.sizes import takes
from tunewell.console.model_uses import uses_of
from tunewell.console.page import Page, rendered, root, show
from tunewell.console.pages.actions import done
from tunewell.console.results.answering import Probabilities, Threshold, answering_of, threshold_of
from tunewell.console.results.measurements import measured_of
from tunewell.console.results.predictions import Prediction, prediction_of
from tunewell.console.rights import may_change
from tunewell.display.model_differences import changes, classes_of, data_of, headline
from tunewell.service.types import Caller, ModelVersion, Picture, Predictions
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import UserError
from tunewell.spec.names import DATASET, MODEL, Visibility, in_address

router = APIRouter()

PARTS = ("model-head", "model-try", "model-measure", "model-uses", "model-versions")
#: Versions on a page.
_ROWS = 20
#: Longest side of a picture in pixels that a browser says.
_SIDE = 100_000
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/models/{name}")
def model(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    name: Name,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the page of a model."""
    return _page(request, verbs, caller, name, cursor)


def _page(
    request: Request,
    verbs: Verbs,
    caller: Caller,
    name: str,
    cursor: str | None = None,
    answer: dict[str, Any] | None = None,
) -> Response:
    one = verbs.model(name)
    found = verbs.model_versions(name, cursor=cursor, limit=_ROWS + 1)
    versions = found.items[:_ROWS]
    shown = {version.number: version for version in versions}
    earlier = dict(zip(shown, found.items[1:], strict=False))
    context = {
        "one": one,
        "figure": headline(one.current),
        "versions": versions,
        "changed": {
            number: changes(earlier[number], version) for number, version in shown.items() if number in earlier
        },
        "metrics": sorted({metric for version in versions for metric in version.test})[:4],
        "older": str(versions[-1].number) if len(found.items) > _ROWS else None,
        "is_first": cursor is None,
        "here": f"{root(request)}/models/{in_address(one.name)}",
        "api": f"{root(request)}{BASE}/models/{in_address(one.name)}",
        "may_change": may_change(caller, one.owner),
        "may_use": caller.role != "viewer",
        "uses": uses_of(str(request.base_url).rstrip("/"), one.name),
        "classes_of": classes_of,
        "data_of": data_of,
        "answer": answer,
        "measured": measured_of(verbs, one.current.task, model=name),
        "answering": answering_of(verbs, one.current.task),
    }
    return show(request, Page("model.html.j2", one.name, PARTS, context, follows=(f"model:{one.name}",)))


# Trying it ------------------------------------------------------------------------------------------------


@router.post("/models/{name}/try")
@takes(PICTURES_BYTES)
@only_looks
async def try_model(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    name: Name,
    picture: UploadFile,
    version: Annotated[int, Form(ge=1, le=2**31 - 1)],
    width: Annotated[int | None, Form(ge=1, le=_SIDE)] = None,
    height: Annotated[int | None, Form(ge=1, le=_SIDE)] = None,
    threshold: Threshold = "",
    probabilities: Probabilities = False,
) -> Response:
    """Say what a version says of a picture: to a script as markup, else as the page with it."""
    sent = Picture(name=picture.filename or "picture", content=await picture.read())
    is_script = "application/json" in request.headers.get("accept", "")
    try:
        asked = partial(
            verbs.predict_now,
            name,
            [sent],
            number=version,
            threshold=threshold_of(threshold),
            probabilities=probabilities,
        )
        size = (width, height) if width and height else None
        answer = _answer(await run_asking(request, asked), size, probabilities)
    except UserError as error:
        if is_script:
            raise
        answer = {"error": error}
    if is_script:
        return JSONResponse({"answer": rendered(request, "model-answer.html.j2", {"answer": answer})})
    return await run_sync(partial(_page, request, verbs, caller, name, answer=answer))


def _answer(found: Predictions, size: tuple[int, int] | None, in_full: bool) -> dict[str, Any]:
    """Return what a template shows of an answer; of a picture whose size is known, what was found is drawn over it."""
    (one,) = found.predictions
    one = {**one, "preview": "the picture itself", "size": size} if size else one
    shown: Prediction = prediction_of(0, one, in_full)
    return {"prediction": shown, "version": found.version, "seconds": found.seconds, "error": None}


@router.post("/models/{name}/evaluate")
@takes_long
def evaluate_version(
    request: Request,
    verbs: AsCaller,
    name: Name,
    version: Annotated[int, Form(ge=1, le=2**31 - 1)],
    data: Annotated[str, Form(max_length=200)],
) -> Response:
    """Have a version measured on a data set that was labelled anew."""
    job = verbs.evaluate_model(f"{MODEL}{name}@{version}", f"{DATASET}{data}")
    return done(request, "The model is being measured.", f"/jobs/{job.id}", leads=True)


# Changing it ----------------------------------------------------------------------------------------------


@router.post("/models/{name}/versions/{number}/use")
def use_model_version(request: Request, verbs: AsCaller, name: Name, number: Version) -> Response:
    """Make a version the current one."""
    before = verbs.model(name).current.number
    one = verbs.use_model_version(name, number)
    place = f"/models/{in_address(one.name)}"
    undo = (f"{place}/versions/{before}/use", "Undo") if before != number else None
    return done(request, f"Version {number} is the current one.", place, undo)


@router.post("/models/{name}/versions/{number}/delete")
@takes_long
def delete_model_version(request: Request, verbs: AsCaller, name: Name, number: Version) -> Response:
    """Remove a version for good."""
    one = verbs.model(name)
    verbs.delete_model_version(name, number)
    return done(request, f"Version {number} is gone.", f"/models/{in_address(one.name)}")


@router.post("/models/{name}/versions/{number}/note")
def note_model_version(
    request: Request, verbs: AsCaller, name: Name, number: Version, note: Annotated[str, Form(max_length=20_000)] = ""
) -> Response:
    """Say something else of a version."""
    one: ModelVersion = verbs.change_model_version(name, number, note=note.strip())
    return done(request, "The note is changed.", f"/models/{in_address(one.model)}")


@router.post("/models/{name}/visibility")
def share_model(request: Request, verbs: AsCaller, name: Name, visibility: Annotated[Visibility, Form()]) -> Response:
    """Say who sees a model."""
    one = verbs.change_model(name, visibility=visibility)
    place = f"/models/{in_address(one.name)}"
    seers = "Everybody sees it" if visibility == "team" else "Its owner and administrators alone see it"
    return done(request, f"{seers} now.", place)


@router.post("/models/{name}/delete")
@takes_long
def delete_model(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Put a model into the bin."""
    one = verbs.model(name)
    verbs.delete_model(name)
    undo = (f"/models/{in_address(one.name)}/restore", "Undo")
    return done(request, f"{one.name} is in the bin, for 30 days.", "/models", undo, leads=True)


@router.post("/models/{name}/restore")
def restore_model(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Take a model out of the bin."""
    one = verbs.restore_model(name)
    return done(request, f"{one.name} is back.", f"/models/{in_address(one.name)}")


@router.post("/experiments/{name}/publish")
@takes_long
def publish(
    request: Request,
    verbs: AsCaller,
    name: Name,
    model: Annotated[str, Form(alias="name", max_length=151)],
    trial: Annotated[str, Form(max_length=19, pattern=r"^\d*$")] = "",
    note: Annotated[str, Form(max_length=20_000)] = "",
    visibility: Annotated[str, Form(max_length=10, pattern=r"^(team|private)?$")] = "",
) -> Response:
    """Publish a model of a search."""
    seers: Visibility | None = "team" if visibility == "team" else "private" if visibility else None
    number = int(trial) if trial else None
    made = verbs.publish(name, model.strip() or None, trial=number, note=note.strip(), visibility=seers)
    request.state.about = f"{made.model}@{made.number}"
    said = f"{made.model} has a version {made.number}, which is the current one."
    return done(request, said, f"/models/{in_address(made.model)}", leads=True)
