"""Reports of trials whose programs run on other machines, or in containers.

Where the credential of an attempt was given, whatever stands before the routes leaves the attempt in
`request.state.attempt`; it is that one alone which may report. Else it is the caller's right to command the experiment.
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Query, Request

from tunewell.api.asked import Key, Name, Number, verbs_of
from tunewell.service.types import OWNER, GivenReport, Taken
from tunewell.service.verbs import MOST
from tunewell.spec.errors import ForbiddenError, SpecError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.names import HOME_OWNER, full_name

router = APIRouter(tags=["trials"])


@router.post("/experiments/{name}/trials/{number}/reports", status_code=201, summary="Report")
def add_reports(
    request: Request,
    name: Name,
    number: Number,
    reports: Annotated[
        tuple[GivenReport, ...],
        Body(
            embed=True,
            min_length=1,
            max_length=MOST,
            examples=[[{"step": 1, "metrics": {"accuracy": 0.71}}, {"step": 2, "metrics": {"accuracy": 0.78}}]],
        ),
    ],
    attempt: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Which attempt; its own credential says it, too.")
    ] = None,
    key: Key = None,
) -> Taken:
    """Take reports of the attempt that runs; once they are answered they are on the disk."""
    proven = cast(AttemptKey | None, getattr(request.state, "attempt", None))
    if proven is not None:
        if AttemptKey(full_name(HOME_OWNER, name), number, attempt or proven.attempt) != proven:
            raise ForbiddenError("the credential of an attempt is good for its own reports alone")
        verbs = verbs_of(request, OWNER)
    elif attempt is None:
        raise SpecError("attempt", "it is missing", "Say which attempt at the trial reports")
    else:
        verbs, proven = verbs_of(request, request.state.caller), AttemptKey(name, number, attempt)
    return verbs.add_reports(proven.experiment, proven.trial, proven.attempt, reports, key=key)
