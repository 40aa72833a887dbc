"""Code that users send, and what need not be sent again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from tunewell.api.answers import located, whole
from tunewell.api.asked import AsCaller, Key, Sha256
from tunewell.api.document import CREATED
from tunewell.api.lanes import takes_long
from tunewell.service.types import Code, CodeFile, Content, Page

router = APIRouter(tags=["code"])


@router.post("/code", status_code=201, summary="Add code", responses=CREATED)
@takes_long
def add_code(
    request: Request,
    response: Response,
    verbs: AsCaller,
    upload: Annotated[str, Body(embed=True, description="Id of a finished upload of an archive.", max_length=64)],
    key: Key = None,
) -> Code:
    """Make code of an upload, which goes. A spec uses it as `code: ID`; it needs the right to run code."""
    made = verbs.add_code(upload, key=key)
    located(request, response, f"/code/{made.id}")
    return made


@router.get("/code/{id}", summary="Read what is known of code")
def code(verbs: AsCaller, id: Sha256) -> Code:
    """Return code that the caller has sent."""
    return verbs.code(id)


@router.get("/code/{id}/files", summary="List the files of code")
def code_files(verbs: AsCaller, id: Sha256) -> Page[CodeFile]:
    """Return the files of code that the caller has sent, by path."""
    return whole(verbs.code_files(id))


@router.get("/contents/{sha256}", summary="Find a content that the service has")
def find_content(verbs: AsCaller, sha256: Sha256) -> Content:
    """Return what the service has of a content that the caller may see, so that it need not be sent again."""
    return verbs.find_content(sha256)
