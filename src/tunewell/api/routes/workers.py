"""Trials that are trained elsewhere: what their programs, and workers that ask for them, tell and are told.

Where the credential of an attempt was given, whatever stands before the routes leaves the attempt in
`request.state.attempt`; it is that one alone of which may be told. Else it is the caller's right to command the
experiment.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, cast

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import Field

from tunewell.api.answers import whole
from tunewell.api.asked import LARGEST, AsCaller, Key, Name, Number, verbs_of
from tunewell.api.bodies import PART_BODY, pieces_of
from tunewell.api.looking import only_looks, put_down
from tunewell.api.sizes import takes
from tunewell.api.suggesting import suggestion_for
from tunewell.service.types import (
    OWNER,
    GivenReport,
    Heard,
    LogTaken,
    Metric,
    NoFlag,
    Page,
    Suggestion,
    Taken,
    Worker,
    WorkerCause,
)
from tunewell.service.verbs import MOST, Verbs
from tunewell.service.worker_verbs import LOG_PIECE, LONGEST_WAIT, WAIT
from tunewell.spec.errors import ForbiddenError, SpecError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import HOME_OWNER, full_name

router = APIRouter(tags=["workers"])


class Told:
    """Of which attempt something is told, and the verbs of whoever tells it."""

    def __init__(self, verbs: Verbs, attempt: AttemptKey) -> None:
        """Take both."""
        self.verbs = verbs
        self.about = (attempt.experiment, attempt.trial, attempt.attempt)


async def told(
    request: Request,
    name: Name,
    number: Number,
    attempt: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Which attempt; its own credential says it, too.")
    ] = None,
) -> Told:
    """Return the attempt of which a request tells, which its caller may do."""
    proven = cast(AttemptKey | None, getattr(request.state, "attempt", None))
    if proven is not None:
        if AttemptKey(full_name(HOME_OWNER, name), number, attempt or proven.attempt) != proven:
            raise ForbiddenError("the credential of an attempt is good for its own reports alone")
        return Told(verbs_of(request, OWNER), proven)
    if attempt is None:
        raise SpecError("attempt", "it is missing", "Say which attempt at the trial it is")
    return Told(verbs_of(request, request.state.caller), AttemptKey(name, number, attempt))


OfAttempt = Annotated[Told, Depends(told)]


@router.post("/experiments/{name}/suggestions", summary="Ask for a trial")
@only_looks  # unless there is a trial: a worker asks again and again
async def suggest(
    request: Request,
    verbs: AsCaller,
    name: Name,
    worker: Annotated[
        str, Body(description="What the worker calls itself; no two may call themselves the same.", max_length=200)
    ],
    wait: Annotated[
        float, Body(description="Seconds to wait for a trial, if there is none.", ge=0, le=LONGEST_WAIT)
    ] = WAIT,
) -> Suggestion:
    """Give a worker a trial of a search with `scheduler: workers`; the same one again until that has ended."""
    answer = await suggestion_for(request, verbs, full_name(request.state.caller.name, name), worker, wait)
    if answer.trial is not None:
        request.state.about = f"{name} {answer.trial.number}"
        put_down(request, wanted=True)
    return answer


@router.post("/experiments/{name}/trials/{number}/reports", status_code=201, summary="Report")
@only_looks  # it is on record, and sent with every epoch
def add_reports(
    told: OfAttempt,
    reports: Annotated[
        tuple[GivenReport, ...],
        Body(
            embed=True,
            min_length=1,
            max_length=MOST,
            examples=[[{"step": 1, "metrics": {"accuracy": 0.71}}, {"step": 2, "metrics": {"accuracy": 0.78}}]],
        ),
    ],
    key: Key = None,
) -> Taken:
    """Take reports of the attempt that runs; once they are answered they are on the disk."""
    return told.verbs.add_reports(*told.about, reports, key=key)


@router.post("/experiments/{name}/trials/{number}/heartbeat", summary="Show that a worker lives")
@only_looks
def heartbeat(told: OfAttempt) -> Heard:
    """Begin the time of an attempt's lease again, and say whether the attempt is asked to end. Reports do so, too."""
    return told.verbs.heartbeat(*told.about)


@router.post("/experiments/{name}/trials/{number}/log", summary="Send what it has printed", openapi_extra=PART_BODY)
@only_looks
@takes(LOG_PIECE)
async def add_log(
    request: Request,
    told: OfAttempt,
    offset: Annotated[int, Query(description="How many bytes of the log come before it.", ge=0, le=LARGEST)] = 0,
) -> LogTaken:
    """Append a piece to the log of the attempt that runs. Sent again, it does nothing more."""
    data = b"".join([piece async for piece in pieces_of(request)])
    return await run_sync(partial(told.verbs.add_log, *told.about, offset, data))


@router.post("/experiments/{name}/trials/{number}/complete", status_code=204, summary="End an attempt")
def complete(
    told: OfAttempt,
    value: Annotated[
        Annotated[float, NoFlag] | None,
        Body(description="The objective: the same as a last report of it.", examples=[0.943]),
    ] = None,
    metrics: Annotated[
        dict[Metric, Annotated[float, NoFlag]] | None, Body(description="A last report.", max_length=200)
    ] = None,
    cause: Annotated[WorkerCause | None, Body(description="Why it failed; null: it did not.")] = None,
    message: Annotated[str, Body(description="One line for people about that.", max_length=2000)] = "",
    exit_code: Annotated[
        Annotated[int, NoFlag, Field(ge=-(2**31), le=2**31 - 1)] | None,
        Body(description="Of the program, if there was one."),
    ] = None,
    handed_back: Annotated[
        bool, Body(description="Whether the worker just ends, and somebody else is to train the trial.", strict=True)
    ] = False,
) -> Response:
    """Write how an attempt has ended; what was reported before counts. Sent again, it does nothing more."""
    told.verbs.complete(
        *told.about,
        value,
        metrics=metrics,
        cause=cause,
        message=message,
        exit_code=exit_code,
        handed_back=handed_back,
    )
    return Response(status_code=204)


@router.get("/experiments/{name}/workers", summary="List the workers of an experiment")
def workers(verbs: AsCaller, name: Name) -> Page[Worker]:
    """Return the workers that have a trial, or were heard from within an hour, by name."""
    return whole(verbs.workers(name))
