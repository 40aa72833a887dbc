"""Before a search: its data, and trials that were made elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from tunewell.api.answers import accepted, located
from tunewell.api.asked import AsCaller, Key
from tunewell.api.bodies import SPEC_BODY, Spec
from tunewell.api.document import ACCEPTED, CREATED
from tunewell.api.lanes import takes_long
from tunewell.api.sizes import takes
from tunewell.service.types import Job, Submission
from tunewell.spec.files import LARGEST_FILE
from tunewell.spec.names import in_address
from tunewell.spec.text import check_extent

router = APIRouter(tags=["before a search"])

#: Largest body with a table; a larger one is imported on the machine of the service.
TABLE_BYTES = 16 << 20


@router.post(
    "/data-checks",
    status_code=202,
    summary="Check all data of a spec",
    responses=ACCEPTED,
    openapi_extra=SPEC_BODY,
)
@takes(LARGEST_FILE)
@takes_long
def check_data(request: Request, response: Response, verbs: AsCaller, spec: Spec, key: Key = None) -> Job:
    """Have every item of a spec's data opened."""
    return accepted(request, response, verbs.check_data(spec, key=key))


@router.post("/imports", status_code=201, summary="Record trials that were made elsewhere", responses=CREATED)
@takes(TABLE_BYTES)
@takes_long
def import_table(
    request: Request,
    response: Response,
    verbs: AsCaller,
    spec: Annotated[dict[str, Any], Body(description="Names space and objective.")],
    table: Annotated[str, Body(description="A CSV file: a row a trial.")],
    origin: Annotated[str, Body(description="What people call the table.", max_length=200)] = "table",
    key: Key = None,
) -> Submission:
    """Record the trials in a table as a finished experiment; all or nothing."""
    check_extent("spec", spec)
    submission = verbs.import_table(spec, table.encode(), origin, key=key)
    located(request, response, f"/experiments/{in_address(submission.name)}")
    return submission
