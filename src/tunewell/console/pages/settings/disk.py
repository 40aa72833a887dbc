"""The disk of the service: what takes it up, what may go, and backups; for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from tunewell.api.asked import AsCaller, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.console.pages.actions import done
from tunewell.console.pages.settings.frame import section
from tunewell.display.wording import TIDIED
from tunewell.spec.format import size

router = APIRouter()

_HERE = "/settings/disk"
_UNITS = "TGMK"


@router.get(_HERE)
@takes_long
def disk(request: Request, verbs: AsCaller, caller: TheCaller, plan: str = "") -> Response:
    """Return the page; with `plan`, what is not needed any more has been looked for."""
    found = verbs.disk()
    context = {
        "disk": found,
        "plan": verbs.garbage() if plan else None,
        "tidied": TIDIED,
        "budget": "" if found.budget_bytes is None else _typed(found.budget_bytes),
        "reserve": _typed(found.reserve_bytes) if found.reserve_is_set else "",
    }
    return section(request, caller, "disk", "disk", context, parts=("disk", "garbage"))


@router.post(_HERE)
@takes_long
def change_disk(
    request: Request,
    verbs: AsCaller,
    budget_bytes: Annotated[str, Form(max_length=50)] = "",
    reserve_bytes: Annotated[str, Form(max_length=50)] = "",
) -> Response:
    """Say how much of the disk is used; a field that is left empty says nothing."""
    given = {"budget_bytes": budget_bytes.strip(), "reserve_bytes": reserve_bytes.strip()}
    verbs.change_disk({name: text or None for name, text in given.items()})
    return done(request, "Changed.", _HERE)


@router.post(f"{_HERE}/collect")
@takes_long
def collect_garbage(request: Request, verbs: AsCaller) -> Response:
    """Remove what is not needed any more."""
    gone = verbs.collect_garbage()
    said = f"{size(gone.size_bytes)} were removed." if gone.groups else "There was nothing to remove."
    return done(request, said, _HERE, leads=True)


def _typed(amount: int) -> str:
    """Return a number of bytes as people type it: `200G`."""
    for power, unit in zip(range(4, 0, -1), _UNITS, strict=True):
        if amount and amount % 1024**power == 0:
            return f"{amount // 1024**power}{unit}"
    return str(amount)
