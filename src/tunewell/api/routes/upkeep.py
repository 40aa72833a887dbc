"""What keeps the service in order."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tunewell.api.answers import streamed
from tunewell.api.asked import AsCaller, Key
from tunewell.api.document import ARCHIVE
from tunewell.api.lanes import takes_long
from tunewell.api.looking import is_put_down
from tunewell.service.types import Collection, Disk, Garbage

router = APIRouter(tags=["upkeep"])


def _size(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str | None) or len(str(value)) > _LONGEST:
        raise ValueError("it is no size", "Write it like 200G, or give a number of bytes")
    return value


_LONGEST = 50
_Size = Annotated[int | str | None, BeforeValidator(_size)]


class DiskChanges(BaseModel):
    """What can be said about the disk of the home: bytes, or a text such as `200G`; null: nothing is said."""

    model_config = ConfigDict(extra="forbid", strict=True)

    #: What the home may take up; above it, what is not needed is removed by itself.
    budget_bytes: _Size = Field(None, examples=["200G"])
    #: What is kept free; with less, nothing starts.
    reserve_bytes: _Size = Field(None, examples=["2G"])


@router.get("/backup", summary="Back the service up", response_class=Response, responses=ARCHIVE)
@takes_long
@is_put_down
def backup(request: Request, verbs: AsCaller) -> Response:
    """Return all that is on record, and the files of it, as an archive. It holds the secrets of all users."""
    name = time.strftime("tunewell-%Y-%m-%d-%H%M.tar", time.gmtime())
    return streamed(request, verbs.backup(), "application/x-tar", name)


@router.get("/disk", summary="Read what takes up the disk")
@takes_long
def disk(verbs: AsCaller) -> Disk:
    """Return what takes up how much, what is kept free, and what was removed; for administrators."""
    return verbs.disk()


@router.patch("/disk", summary="Say how much of the disk is used")
@takes_long
def change_disk(request: Request, verbs: AsCaller, changes: Annotated[DiskChanges, Body()], key: Key = None) -> Disk:
    """Change the fields that are named; null: nothing is said."""
    given = changes.model_dump(exclude_unset=True)
    request.state.fields = sorted(given)
    return verbs.change_disk(given, key=key)


@router.get("/garbage", summary="List what is not needed any more")
@takes_long
def garbage(verbs: AsCaller) -> Garbage:
    """Return what would be removed, by kind, the least valuable first; for administrators."""
    return verbs.garbage()


@router.post("/garbage/collect", summary="Remove what is not needed any more")
@takes_long
def collect_garbage(verbs: AsCaller, key: Key = None) -> Collection:
    """Remove it, and return what was removed."""
    return verbs.collect_garbage(key=key)
