"""What a browser remembers: light or dark."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import RedirectResponse

from tunewell.api.looking import only_looks
from tunewell.console.page import root

router = APIRouter()

_YEAR_SECONDS = 365 * 86400


@router.post("/theme")
@only_looks  # it is a matter of this browser
def choose_theme(request: Request, theme: Annotated[Literal["light", "dark"], Form()]) -> Response:
    """Remember which colours are chosen."""
    answer = RedirectResponse(f"{root(request)}/", 303)
    answer.set_cookie("tunewell-theme", theme, max_age=_YEAR_SECONDS, path="/", samesite="lax", httponly=True)
    return answer
