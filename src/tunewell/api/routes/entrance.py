"""Signing in and out, outside the base: pages for people, without scripts.

A link is used up by a POST alone: programs that look at what mails link to only GET.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from tunewell.api.asked import AsCaller
from tunewell.api.sizes import takes
from tunewell.api.visits import COOKIE, SECURE_COOKIE
from tunewell.service.proofs import SESSION_SECONDS

router = APIRouter(include_in_schema=False)

#: Where whoever has signed in is led.
_START = "/docs"
_LINK = re.compile(r"twl_[A-Za-z0-9_\-]{43}")
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:20vh auto;padding:0 1rem}"
    "button,input{font:inherit;padding:.5rem 1rem}input{width:100%;box-sizing:border-box;margin-bottom:1rem}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    # The link stands in the address, which is nobody's business; browsers say of which origin the form is all the same.
    "Referrer-Policy": "strict-origin",
}
_ASKED = '<label>Sign-in link<input name="link" autocomplete="off" required></label>'


@router.get("/sign-in")
def sign_in_page(request: Request) -> Response:
    """Return the page on which a link is used."""
    found = _LINK.search(getattr(request.state, "query", ""))
    return _page(f'<input type="hidden" name="link" value="{html.escape(found[0])}">' if found else _ASKED)


@router.post("/sign-in")
@takes(4096)
async def sign_in(request: Request) -> Response:
    """Begin a session with a link, which is used up."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    found = _LINK.search(fields.get("link", [""])[0])
    session = await run_sync(request.app.state.service.gate.sign_in, found[0]) if found else None
    if session is None:
        return _page(f"<p>This link was used before, or has expired. Ask for a new one.</p>{_ASKED}", 401)
    request.state.caller = session.caller
    answer = RedirectResponse(f"{_root(request)}{_START}", 303)
    _set_cookie(request, answer, session.secret, int(SESSION_SECONDS))
    return answer


@router.post("/sign-out", status_code=204)
def sign_out(request: Request, verbs: AsCaller) -> Response:
    """Revoke what the caller came with: the session of a browser, or the token of a program."""
    verbs.revoke_token(request.state.proof.id)
    answer = Response(status_code=204)
    _set_cookie(request, answer, "", 0)
    return answer


def _page(inner: str, status: int = 200) -> HTMLResponse:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tunewell: sign in</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<h1>Tunewell</h1><form method="post">{inner}<button>Sign in</button></form></html>'
    )
    return HTMLResponse(page, status, _HEADERS)


def _set_cookie(request: Request, answer: Response, secret: str, seconds: int) -> None:
    https = request.state.https
    name = SECURE_COOKIE if https else COOKIE
    answer.set_cookie(name, secret, max_age=seconds, path="/", secure=https, httponly=True, samesite="strict")


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")
