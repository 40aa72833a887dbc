"""Trials: what became of each, what it reported, printed and left."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tunewell.api import logs
from tunewell.api.answers import streamed, whole
from tunewell.api.asked import (
    AsCaller,
    Attempt,
    Cursor,
    FilePath,
    Follow,
    Limit,
    LogLimit,
    Name,
    Number,
    Offset,
    Sort,
    Wanted,
)
from tunewell.api.document import FILE, LOG, WITHIN
from tunewell.api.lanes import takes_long
from tunewell.service.types import Artifact, ExportedTrial, LogPart, Page, Report, TrialDetails, TrialPage
from tunewell.service.verbs import LOG_BYTES, MOST, PAGE

router = APIRouter(tags=["trials"])


@router.get("/experiments/{name}/trials", summary="List trials", openapi_extra=WITHIN)
def trials(
    verbs: AsCaller,
    name: Name,
    filter: Wanted,
    sort: Sort = "number",
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> TrialPage:
    """Return trials, and how many of them there are on all pages; those that have no `sort` come last."""
    return verbs.trials(name, filter=filter, sort=sort, cursor=cursor, limit=limit)


@router.get("/experiments/{name}/trials/{number}", summary="Read a trial")
def trial(verbs: AsCaller, name: Name, number: Number) -> TrialDetails:
    """Return a trial with all of its attempts."""
    return verbs.trial(name, number)


@router.get("/experiments/{name}/trials/{number}/reports", summary="Read what a trial has reported")
def reports(
    verbs: AsCaller,
    name: Name,
    number: Number,
    attempt: Annotated[int | None, Query(description="Default: the latest that reported.", ge=1, le=2**31 - 1)] = None,
    after: Annotated[int | None, Query(description="Only behind this step.", ge=-(2**53), le=2**53)] = None,
    points: Annotated[
        int | None, Query(description="Of more than so many, about so many, evenly spaced, and the last.", ge=1)
    ] = None,
    limit: Limit = MOST,
) -> Page[Report]:
    """Return reports by step; `next`, where there may be more, is the step to give as `after`."""
    found = verbs.reports(name, number, attempt=attempt, after=after, points=points, limit=limit)
    return Page(items=found, next=str(found[-1].step) if len(found) == limit else None)


@router.get(
    "/experiments/{name}/trials/{number}/log",
    summary="Read what a trial has printed",
    response_class=Response,
    responses=LOG,
)
def log(
    request: Request,
    verbs: AsCaller,
    name: Name,
    number: Number,
    attempt: Attempt = None,
    offset: Offset = 0,
    limit: LogLimit = LOG_BYTES,
    follow: Follow = False,
) -> Response:
    """Return what an attempt has printed: text, or `Accept: application/json` for a part with what surrounds it."""

    def read(offset: int, limit: int) -> LogPart:
        return verbs.log(name, number, attempt=attempt, offset=offset, limit=limit)

    return logs.answer(request, read, logs.Wanted(offset, limit, follow))


@router.get("/experiments/{name}/trials/{number}/artifacts", summary="List the files that a trial has left")
@takes_long
def artifacts(verbs: AsCaller, name: Name, number: Number, attempt: Attempt = None) -> Page[Artifact]:
    """Return the files that an attempt has left, by path."""
    return whole(verbs.artifacts(name, number, attempt=attempt))


@router.get(
    "/experiments/{name}/trials/{number}/artifacts/{path:path}",
    summary="Read a file that a trial has left",
    response_class=Response,
    responses=FILE,
)
@takes_long
def artifact(
    request: Request, verbs: AsCaller, name: Name, number: Number, path: FilePath, attempt: Attempt = None
) -> Response:
    """Return a file, to be saved: no browser shows it."""
    parts = verbs.artifact(name, number, path, attempt=attempt)
    return streamed(request, parts, "application/octet-stream", path.rpartition("/")[2])


@router.get("/experiments/{name}/export/trials", summary="List trials with their reports", openapi_extra=WITHIN)
@takes_long
def export_trials(
    verbs: AsCaller, name: Name, filter: Wanted, cursor: Cursor = None, limit: Limit = PAGE
) -> Page[ExportedTrial]:
    """Return trials with their reports in the order of their numbers."""
    return verbs.export_trials(name, filter=filter, cursor=cursor, limit=limit)
