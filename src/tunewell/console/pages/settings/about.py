"""What this service is, how much it takes, and where more is told."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.console.pages.settings.frame import section

router = APIRouter()


@router.get("/settings/about")
def about(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Return version, database and limits."""
    return section(request, caller, "about", "about", {"about": verbs.about()})
