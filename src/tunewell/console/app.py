"""The console beside the API: its pages and files are routes of the same app."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from tunewell.console import assets
from tunewell.console.pages import ROUTERS


def add_console(app: FastAPI) -> None:
    """Have an app answer with pages where the API has no routes; a guard that is given `problem_page` does its part."""
    app.router.routes.extend(_routes())


@cache
def _routes() -> list[BaseRoute]:
    # The same ones for all apps of a process: FastAPI takes a tenth of a second to work them out.
    all_ = APIRouter()
    for router in (assets.router, *ROUTERS):
        all_.include_router(router, include_in_schema=False)
    return all_.routes
