"""All data sets: what there is to search on, who uses it, and where another one comes in."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response

from tunewell.api.asked import AsCaller, TheCaller, UploadId
from tunewell.api.asked import Text as AskedText
from tunewell.api.lanes import takes_long
from tunewell.console.page import Page, show
from tunewell.console.pages.actions import done
from tunewell.service.types import Upload
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import DataError, UserError
from tunewell.spec.names import Visibility, called_by, in_address

router = APIRouter()

#: Data sets on a page.
ROWS = 25


@router.get("/datasets")
def datasets(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    search: AskedText = "",
    owner: AskedText = "",
    bin: AskedText = "",
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Return the data sets that match, the newest first."""
    found = verbs.datasets(search=search, owner=owner or None, deleted=bool(bin), cursor=cursor, limit=ROWS)
    chosen = {"search": search, "owner": owner, "bin": "yes" if bin else ""}

    def link(**changes: str) -> str:
        """Return the address of the list with other choices."""
        return "?" + urlencode({name: value for name, value in {**chosen, **changes}.items() if value})

    may_add = caller.role != "viewer"
    context = {
        "found": found,
        "chosen": chosen,
        "link": link,
        "is_first": cursor is None,
        "is_narrowed": any(chosen.values()),
        "may_add": may_add,
        "tasks": [task.name for task in verbs.tasks()],
        "allowed": verbs.allowed_folders() if may_add else (),
        "uploads": _unfinished(verbs) if may_add and not bin else (),
    }
    return show(request, Page("datasets.html.j2", "Data sets", ("uploads", "datasets"), context, follows=("jobs",)))


def _unfinished(verbs: Verbs) -> list[Upload]:
    """Return uploads that are to become data sets; pictures for a model, or programs, are no concern of this page."""
    return [one for one in verbs.uploads() if one.purpose == "dataset"]


@router.post("/datasets")
@takes_long
def add_dataset(
    request: Request,
    verbs: AsCaller,
    caller: TheCaller,
    name: Annotated[str, Form(max_length=151)],
    task: Annotated[str, Form(max_length=100)],
    visibility: Annotated[Visibility, Form()] = "team",
    upload: Annotated[str | None, Form(max_length=64)] = None,
    folder: Annotated[str | None, Form(max_length=4000)] = None,
) -> Response:
    """Add a data set made of an upload or of a folder of the service's machine, and have it checked as a task reads it.

    Whatever is wrong with the data, the data set is there then; its page says what, and what can be done. Of an upload
    it is made once, however often that is asked for: unpacking takes long, and the answer may be lost.
    """
    key = f"of-upload-{upload}" if upload else None
    made = verbs.add_dataset(name, upload=upload, folder=folder, visibility=visibility, key=key)
    request.state.about = made.name
    name = called_by(caller.name, made.name)
    said = f"{name} is added. {_checked(verbs, name, task, key)}"
    return done(request, said, f"/datasets/{in_address(made.name)}", leads=True)


def _checked(verbs: Verbs, name: str, task: str, key: str | None) -> str:
    """Have a data set checked; say so, or why it can't be."""
    try:
        verbs.check_dataset(name, task, key=f"check-{key}" if key else None)
    except DataError as error:
        return f"It can't be used as {task.replace('-', ' ')}: {error}"
    except UserError as error:
        return f"It can't be checked: {error}"
    return "It is being checked."


@router.post("/datasets/uploads/{id}/abandon")
def abandon_upload(request: Request, verbs: AsCaller, id: UploadId) -> Response:
    """Forget what has come of an upload."""
    with suppress(UserError):  # it is gone already
        verbs.abandon_upload(id)
    return done(request, "The upload is removed.", "/datasets")
