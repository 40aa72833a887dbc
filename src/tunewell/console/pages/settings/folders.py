"""The folders of the service's machine that data sets may be made of. They are allowed on that machine alone."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.console.pages.settings.frame import section

router = APIRouter()


@router.get("/settings/folders")
def folders(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Return the folders that are allowed."""
    return section(request, caller, "folders", "folders", {"folders": verbs.allowed_folders()})
