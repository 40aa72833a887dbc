"""What one proves oneself by: tokens for programs, signed-in browsers, and links that sign in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi import Form as Field

from tunewell.api.asked import AsCaller, Cursor, TheCaller
from tunewell.console.pages.actions import done
from tunewell.console.pages.settings.frame import EMPTY, Form, new_key, section
from tunewell.service.paging import every
from tunewell.service.types import Caller, NewToken
from tunewell.service.verbs import MOST, Verbs
from tunewell.spec.errors import ConflictError, UserError, count

router = APIRouter()

#: Days that a token is good → in words; 0: until it is revoked.
DAYS = {"7": "a week", "30": "30 days", "90": "90 days", "365": "a year", "0": "until it is revoked"}
TokenId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(max_length=1000)]


@router.get("/settings/tokens")
def tokens(request: Request, verbs: AsCaller, caller: TheCaller, cursor: Cursor = None) -> Response:
    """Return what the caller proves themselves by, and a form for a new token."""
    return _page(request, verbs, caller, EMPTY, cursor=cursor)


@router.post("/settings/tokens")
def create_token(
    request: Request, verbs: AsCaller, caller: TheCaller, key: Text = "", label: Text = "", days: Text = "90"
) -> Response:
    """Make a token, whose secret stands in this one answer; sent again, the form makes none."""
    request.state.about = caller.name
    typed = {"label": label, "days": days if days in DAYS else "90"}
    try:
        made = verbs.create_token(label.strip(), _end(int(typed["days"])), key=key or None)
    except ConflictError as error:
        if error.kind not in ("told-once", "key-used"):
            raise
        return _page(request, verbs, caller, EMPTY, was_sent=True, status=409)
    except UserError as error:
        return _page(request, verbs, caller, Form.refused(typed, error))
    return _page(request, verbs, caller, EMPTY, made=made)


@router.post("/settings/tokens/{id}/revoke")
def revoke_token(request: Request, verbs: AsCaller, id: TokenId) -> Response:
    """Have a token, session or link prove nothing more."""
    verbs.revoke_token(id)
    return done(request, "It is revoked: nobody comes in by it any more.", "/settings/tokens")


@router.post("/settings/end-other-sessions")
def end_other_sessions(request: Request, verbs: AsCaller) -> Response:
    """Sign the caller out in all browsers but this one."""
    found = list(every(lambda cursor: verbs.tokens(cursor=cursor, limit=MOST)))
    others = [one.id for one in found if one.kind == "session" and one.id != request.state.proof.id]
    for id in others:
        verbs.revoke_token(id)
    said = f"Signed out of {count(len(others), 'other browser')}." if others else "No other browser is signed in."
    return done(request, said, "/settings/tokens")


def _end(days: int) -> datetime | None:
    """Return the end of the last day on which a token is good; None: it is good until it is revoked."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days + 1) if days else None


def _page(
    request: Request,
    verbs: Verbs,
    caller: Caller,
    form: Form,
    *,
    cursor: str | None = None,
    made: NewToken | None = None,
    was_sent: bool = False,
    status: int = 200,
) -> Response:
    found = verbs.tokens(cursor=cursor)
    context = {
        "form": form,
        "key": new_key(),
        "days": DAYS,
        "made": made,
        "was_sent": was_sent,
        "groups": {kind: [one for one in found.items if one.kind == kind] for kind in ("token", "session", "link")},
        "next": found.next,
        "is_first": cursor is None,
        "here": request.state.proof.id,
    }
    status = max(status, form.status)
    return section(request, caller, "tokens", "tokens", context, parts=("settings-tokens",), status=status)
