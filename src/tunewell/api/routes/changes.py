"""What has changed, as it changes: server-sent events, or what there is so far as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tunewell.api import streams
from tunewell.api.answers import json_of
from tunewell.api.asked import After, AsCaller, LastEvent, Limit, Name, prefers_json
from tunewell.api.document import CHANGES, EVENTS
from tunewell.api.lanes import lanes_of
from tunewell.api.readers import Reader
from tunewell.service.types import Page
from tunewell.service.verbs import MOST

router = APIRouter(tags=["events"])


@router.get("/events", summary="Follow all changes", response_class=Response, responses=CHANGES)
def changes(
    request: Request,
    verbs: AsCaller,
    after: Annotated[
        int | None, Query(description="Version to begin behind; default: the present one.", ge=0, le=2**53)
    ] = None,
    last_event: LastEvent = None,
) -> Response:
    """Send the experiments and jobs that change, each as `experiment` or `job` with its version.

    `begin-again` means that everything is to be read again. With `Accept: application/json`: what has changed so far.
    """
    if prefers_json(request):
        return json_of(verbs.changes(after or 0))
    begin = last_event if last_event is not None else after
    begin = verbs.version() if begin is None else begin
    reader = Reader(request, lanes_of(request).streams)
    return streams.EventStream(reader, streams.all_changes(reader, begin))


@router.get("/experiments/{name}/events", summary="Follow an experiment", response_class=Response, responses=EVENTS)
def events(
    request: Request,
    verbs: AsCaller,
    name: Name,
    after: After = 0,
    limit: Limit = MOST,
    trial: Annotated[
        int | None, Query(description="Only entries about the trial of this number.", ge=1, le=2**31 - 1)
    ] = None,
    last_event: LastEvent = None,
) -> Response:
    """Send the entries of an experiment's audit trail, those behind `after` first, then what happens.

    `changed` tells of everything else, such as reports. With `Accept: application/json`: a page of entries; `next` is
    the id to give as `after`.
    """
    if prefers_json(request):
        found = verbs.events(name, after, limit, trial=trial)
        return json_of(Page(items=found, next=str(found[-1].id) if len(found) == limit else None))
    version = verbs.version()
    full = verbs.experiment(name).name
    if trial is not None:
        verbs.trial(name, trial)
    place = streams.Place(full, after if last_event is None else last_event, version, trial)
    reader = Reader(request, lanes_of(request).streams)
    return streams.EventStream(reader, streams.experiment_events(reader, place))
