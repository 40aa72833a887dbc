"""What keeps the service in order."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from tunewell.api.answers import streamed
from tunewell.api.asked import AsCaller
from tunewell.api.document import ARCHIVE
from tunewell.api.lanes import takes_long
from tunewell.api.looking import is_put_down

router = APIRouter(tags=["upkeep"])


@router.get("/backup", summary="Back the service up", response_class=Response, responses=ARCHIVE)
@takes_long
@is_put_down
def backup(request: Request, verbs: AsCaller) -> Response:
    """Return all that is on record, and the files of it, as an archive. It holds the secrets of all users."""
    name = time.strftime("tunewell-%Y-%m-%d-%H%M.tar", time.gmtime())
    return streamed(request, verbs.backup(), "application/x-tar", name)
