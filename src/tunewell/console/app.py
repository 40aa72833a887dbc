"""The console beside the API: its pages and files are routes of the same app."""

from __future__ import annotations

from fastapi import FastAPI

from tunewell.console import assets
from tunewell.console.pages import ROUTERS


def add_console(app: FastAPI) -> None:
    """Have an app answer with pages where the API has no routes; a guard that is given `problem_page` does its part."""
    for router in (assets.router, *ROUTERS):
        app.include_router(router, include_in_schema=False)
