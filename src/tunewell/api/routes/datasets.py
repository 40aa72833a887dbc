"""Data sets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from tunewell.api.answers import accepted, located, shown, whole
from tunewell.api.asked import AsCaller, Cursor, Key, Limit, Name, Text
from tunewell.api.document import ACCEPTED, CREATED, PICTURE
from tunewell.api.lanes import takes_long
from tunewell.service.types import DataSet, DataSetView, Job, Page
from tunewell.service.verbs import PAGE
from tunewell.spec.names import Visibility, in_address

router = APIRouter(tags=["data sets"])


@router.get("/datasets", summary="List data sets, the newest first")
def datasets(
    verbs: AsCaller,
    search: Annotated[Text, Query(description="Only those with this in their names.")] = "",
    owner: Annotated[Text | None, Query(description="Only those of this user.")] = None,
    deleted: Annotated[bool, Query(description="Those in the bin, instead of all others.")] = False,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[DataSet]:
    """Return the data sets that the caller sees."""
    return verbs.datasets(search=search, owner=owner, deleted=deleted, cursor=cursor, limit=limit)


@router.post("/datasets", status_code=201, summary="Add a data set", responses=CREATED)
@takes_long
def add_dataset(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Annotated[str, Body(description="What it is to be called.", max_length=151)],
    upload: Annotated[str | None, Body(description="Id of a finished upload of an archive.", max_length=64)] = None,
    content: Annotated[str | None, Body(description="SHA-256 of a content that is there.", max_length=64)] = None,
    folder: Annotated[
        str | None, Body(description="A folder of the service, in one that is allowed.", max_length=4000)
    ] = None,
    sample: Annotated[
        str | None, Body(description="Pictures that the service brings along: `digits`.", max_length=64)
    ] = None,
    visibility: Annotated[Visibility, Body(description="Who sees it.")] = "team",
    key: Key = None,
) -> DataSet:
    """Make a data set of one thing: an upload, which goes; a content that the service has; a folder; or a sample."""
    source = {"upload": upload, "content": content, "folder": folder, "sample": sample}
    made = verbs.add_dataset(name, **source, visibility=visibility, key=key)
    located(request, response, f"/datasets/{in_address(made.name)}")
    return made


@router.get("/datasets/{name}", summary="Read a data set")
def dataset(verbs: AsCaller, name: Name) -> DataSet:
    """Return a data set, with what was found in it."""
    return verbs.dataset(name)


@router.post("/datasets/{name}/check", status_code=202, summary="Check all of a data set", responses=ACCEPTED)
@takes_long
def check_dataset(
    request: Request,
    response: Response,
    verbs: AsCaller,
    name: Name,
    task: Annotated[
        str, Body(embed=True, description="The built-in task that reads it.", max_length=100)
    ] = "image-classification",
    key: Key = None,
) -> Job:
    """Have every item opened, as a task reads it; `findings` of the data set are then what was found."""
    return accepted(request, response, verbs.check_dataset(name, task, key=key))


@router.get("/datasets/{name}/view", summary="Read what a check of a data set has found")
def dataset_view(verbs: AsCaller, name: Name) -> DataSetView:
    """Return classes, odd and broken items, and samples, as the last check of the data set has found them."""
    return verbs.dataset_view(name)


@router.get(
    "/datasets/{name}/samples/{number}",
    summary="Read the picture of a sample",
    response_class=Response,
    responses=PICTURE,
)
@takes_long
def dataset_sample(
    request: Request,
    verbs: AsCaller,
    name: Name,
    number: Annotated[int, Path(description="Number of a sample.", ge=1, le=2**31 - 1)],
    check: Annotated[int | None, Query(description="Job that found it: another one, another address to keep.")] = None,
) -> Response:
    """Return the picture of a sample of the view: small, and made again by the service."""
    del check
    return shown(request, verbs.dataset_sample(name, number), "image/jpeg")


@router.delete("/datasets/{name}", status_code=204, summary="Delete a data set")
@takes_long
def delete_dataset(
    verbs: AsCaller,
    name: Name,
    forever: Annotated[bool, Query(description="Remove it at once, even from the bin.")] = False,
    key: Key = None,
) -> None:
    """Put a data set into the bin, where it stays for 30 days. One that experiments use can't be deleted."""
    verbs.delete_dataset(name, forever=forever, key=key)


@router.post("/datasets/{name}/restore", summary="Restore a data set")
def restore_dataset(verbs: AsCaller, name: Name, key: Key = None) -> DataSet:
    """Take a data set out of the bin."""
    return verbs.restore_dataset(name, key=key)


@router.get("/allowed-folders", summary="List the folders that data sets may be made of")
def allowed_folders(verbs: AsCaller) -> Page[str]:
    """Return the folders; which these are is said on the machine of the service."""
    return whole(verbs.allowed_folders())
