"""Signing in and out.

A link is used up by a POST alone: programs that look at what mails link to only GET.
"""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from tunewell.api.asked import AsCaller
from tunewell.api.sizes import takes
from tunewell.api.visits import COOKIE, SECURE_COOKIE
from tunewell.console.page import Page, root, show
from tunewell.service.gate import Gate
from tunewell.service.proofs import SESSION_SECONDS
from tunewell.service.service import Service

router = APIRouter()

#: Where whoever has signed in is led.
_START = "/"
#: What leads to a page of ours, and to nobody else's.
_PLACE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}")
_LINK = re.compile(r"twl_[A-Za-z0-9_\-]{43}")
#: Why nobody is signed in.
_REASONS = {
    "missing": "This is no sign-in link. It is an address that ends in link=twl_ and 43 more letters and digits.",
    "unknown": "This link is not known here. It may be incomplete, or was withdrawn.",
    "used": "This link was used before. Each signs in once.",
    "expired": "This link has expired. Each is good for a day.",
}


@router.get("/sign-in")
def sign_in_page(request: Request) -> Response:
    """Return the page on which a link is used."""
    query = getattr(request.state, "query", request.url.query)
    found = _LINK.search(query)
    reason = _gate(request).link_state(found[0]) if found else ""
    link = found[0] if found and reason == "good" else ""
    return _page(request, link, parse_qs(query).get("next", [""])[0], _REASONS.get(reason, ""))


@router.post("/sign-in")
@takes(4096)
async def sign_in(request: Request) -> Response:
    """Begin a session with a link, which is used up."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    found, wanted = _LINK.search(fields.get("link", [""])[0]), fields.get("next", [""])[0]
    gate = _gate(request)
    session = await run_sync(gate.sign_in, found[0]) if found else None
    if session is None:
        reason = await run_sync(gate.link_state, found[0]) if found else "missing"
        return _page(request, "", wanted, _REASONS.get(reason, _REASONS["unknown"]), 401)
    request.state.caller = session.caller
    answer = RedirectResponse(f"{root(request)}{wanted if _PLACE.fullmatch(wanted) else _START}", 303)
    _set_cookie(request, answer, session.secret, int(SESSION_SECONDS))
    return answer


@router.post("/sign-out", status_code=204)
def sign_out(request: Request, verbs: AsCaller) -> Response:
    """Revoke what the caller came with: the session of a browser, or the token of a program."""
    verbs.revoke_token(request.state.proof.id)
    is_page = "text/html" in request.headers.get("accept", "")
    answer = RedirectResponse(f"{root(request)}/sign-in", 303) if is_page else Response(status_code=204)
    _set_cookie(request, answer, "", 0)
    return answer


def _gate(request: Request) -> Gate:
    return cast(Service, request.app.state.service).gate


def _page(request: Request, link: str, wanted: str, reason: str, status: int = 200) -> Response:
    context = {"link": link, "next": wanted, "reason": reason}
    answer = show(request, Page("sign-in.html.j2", "Sign in", context=context, status=status))
    # The link stands in the address, which is nobody's business; browsers say of which origin the form is all the same.
    answer.headers["Referrer-Policy"] = "strict-origin"
    return answer


def _set_cookie(request: Request, answer: Response, secret: str, seconds: int) -> None:
    https = request.state.https
    name = SECURE_COOKIE if https else COOKIE
    answer.set_cookie(name, secret, max_age=seconds, path="/", secure=https, httponly=True, samesite="strict")
