"""What a page has done: forms that name a verb, sent by a button, with or without scripts."""

from __future__ import annotations

import json
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, RedirectResponse

from tunewell.api.asked import AsCaller, JobId, Name, Number
from tunewell.api.lanes import takes_long
from tunewell.api.sizes import takes
from tunewell.console.page import root
from tunewell.display.wording import stays_ended
from tunewell.spec.differences import BUDGET_FIELDS
from tunewell.spec.errors import count
from tunewell.spec.names import called_by, full_name, in_address
from tunewell.spec.states import Cause

router = APIRouter()

#: Bytes of a form; notes are the longest that people write.
FORM_BYTES = 1 << 18
#: Digits of a revision.
_LONGEST_REVISION = 19
#: Fields of a budget form whose values are numbers.
_NUMBERS = (
    *("max_trials", "max_concurrency", "max_gpus", "max_failed_trials", "max_trials_without_improvement"),
    *("objective.target", "weight"),
)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, without the space around them."""
    found: FormData = await request.form()
    return {name: value.strip() for name, value in found.items() if isinstance(value, str)}


def done(
    request: Request, said: str, then: str, undo: tuple[str, str] | None = None, *, leads: bool = False
) -> Response:
    """Answer that something is done: to a script what is to be said, and else where to look.

    Args:
        request: what asked for it.
        said: one sentence for people.
        then: the page to look at, below the root.
        undo: address of the form that takes it back, below the root, and what its button is called.
        leads: whether a script is to look there, too, since the page of the form is about what is gone, or not all.
    """
    if "application/json" in request.headers.get("accept", ""):
        answer: dict[str, object] = {"said": said}
        if undo is not None:
            answer["undo"] = {"address": root(request) + undo[0], "label": undo[1]}
        if leads:
            answer["then"] = root(request) + then
        return JSONResponse(answer)
    return RedirectResponse(root(request) + then, 303)


@router.post("/experiments/{name}/pause")
def pause(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Pause an experiment."""
    verbs.pause(name)
    place = f"/experiments/{in_address(name)}"
    return done(request, f"{_own(request, name)} is paused.", place, (f"{place}/resume", "Resume"))


@router.post("/experiments/{name}/resume")
def resume(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Let an experiment go on."""
    verbs.resume(name)
    return done(request, f"{_own(request, name)} goes on.", f"/experiments/{in_address(name)}")


@router.post("/experiments/{name}/stop")
def stop(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Stop an experiment."""
    verbs.stop(name)
    return done(
        request,
        f"{_own(request, name)} is being stopped; what it has reached stays.",
        f"/experiments/{in_address(name)}",
    )


@router.post("/experiments/{name}/delete")
def delete(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Put an experiment into the bin."""
    verbs.delete(name)
    undo = (f"/experiments/{in_address(name)}/restore", "Undo")
    return done(request, f"{_own(request, name)} is in the bin.", "/", undo, leads=True)


@router.post("/experiments/{name}/restore")
def restore(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Take an experiment out of the bin."""
    verbs.restore(name)
    return done(request, f"{_own(request, name)} is back.", f"/experiments/{in_address(name)}")


@router.post("/experiments/{name}/purge")
@takes_long
def purge(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Remove an experiment that is in the bin for good."""
    verbs.purge(name)
    return done(request, f"{_own(request, name)} is deleted for good.", "/?state=in+the+bin")


@router.post("/experiments/{name}/trials/{number}/stop")
def stop_trial(request: Request, verbs: AsCaller, name: Name, number: Number) -> Response:
    """Stop a trial."""
    verbs.stop_trial(name, number)
    return done(request, f"Trial {number} is being stopped.", f"/experiments/{in_address(name)}/trials/{number}")


@router.post("/experiments/{name}/trials/{number}/retry")
def retry_trial(request: Request, verbs: AsCaller, name: Name, number: Number) -> Response:
    """Have a trial run again."""
    verbs.retry_trial(name, number)
    return done(request, f"Trial {number} will run again.", f"/experiments/{in_address(name)}/trials/{number}")


@router.post("/experiments/{name}/retry")
def retry(request: Request, verbs: AsCaller, name: Name, cause: Cause | None = None) -> Response:
    """Have failed trials run again: all, or those of a cause."""
    numbers = verbs.retry(name, cause=cause)
    return done(request, f"{count(len(numbers), 'trial')} will run again.", f"/experiments/{in_address(name)}")


@router.post("/experiments/{name}/change")
@takes(FORM_BYTES)
async def change(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Change how far an experiment goes, and what people say of it."""
    fields = await form_of(request)
    revision = fields.pop("revision", None)
    changes: dict[str, Any] = {}
    for field, text in fields.items():
        if field == "tags":
            changes[field] = [tag.strip() for tag in text.split(",") if tag.strip()]
        elif field in _NUMBERS:
            changes[field] = _plain(text) if text else None
        else:
            changes[field] = text or (None if field.startswith("max_") else "")
    changed = await run_sync(
        lambda: verbs.update(name, changes, revision=None if revision is None else _revision(revision))
    )
    stays = stays_ended(changed) if not BUDGET_FIELDS.isdisjoint(changes) else ""
    said = f"Changed. {stays}".strip() if changes else "Nothing was changed."
    return done(request, said, f"/experiments/{in_address(name)}")


@router.post("/experiments/{name}/try")
@takes(FORM_BYTES)
async def try_(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Have a configuration of one's own tried next; a field that is left empty is none of its parameters."""
    given = {field: _plain(text) for field, text in (await form_of(request)).items() if text}
    await run_sync(lambda: verbs.add_trial(name, given))
    return done(request, "This configuration is tried next.", f"/experiments/{in_address(name)}")


@router.post("/jobs/{id}/stop")
def stop_job(request: Request, verbs: AsCaller, id: JobId) -> Response:
    """Stop a job."""
    verbs.stop_job(id)
    return done(request, f"Job {id} is being stopped.", f"/jobs/{id}")


@router.post("/jobs/{id}/retry")
def retry_job(request: Request, verbs: AsCaller, id: JobId) -> Response:
    """Have a job run again."""
    verbs.retry_job(id)
    return done(request, f"Job {id} will run again.", f"/jobs/{id}")


def _own(request: Request, name: str) -> str:
    """Return what the caller calls an experiment, which `name` may name with its owner."""
    caller: str = request.state.caller.name
    return called_by(caller, full_name(caller, name))


def _revision(text: str) -> int:
    """Return the revision that a form was made of; one that there never was, if it is none: such a form is too old."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST_REVISION else -1


def _plain(text: str) -> Any:
    """Return what a text says as a value of a spec: a number, true, false or null, or else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return _number(text)
    return text if isinstance(value, list | dict) else value


def _number(text: str) -> float | str:
    """Return a number as people write it, such as `1e-3` or `.5`, or the text."""
    try:
        return float(text) if any(sign.isdigit() for sign in text) else text
    except ValueError:
        return text
