"""Who one is here, what one may do, and what one uses of what one may have."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.console.pages.settings.frame import section
from tunewell.spec.quota import WORDS, amount, used_amount

router = APIRouter()

#: Role → what it means.
ROLES = {
    "administrator": "You see and change everything, and add people.",
    "user": "You run searches and see what others share. What is yours, you alone change, and administrators.",
    "viewer": "You look at what others share, and change nothing.",
}


@router.get("/settings")
def you(request: Request, verbs: AsCaller, caller: TheCaller) -> Response:
    """Return the section about the caller."""
    context = {"me": verbs.me(), "role": ROLES[caller.role], "titles": WORDS, "of_use": used_amount, "of_limit": amount}
    return section(request, caller, "you", "", context, parts=("settings-you",))
