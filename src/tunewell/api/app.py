"""The app: routes, and what stands around them."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from tunewell.api import document, health, page, problems
from tunewell.api.asked import check_parameters
from tunewell.api.bugs import Bugs
from tunewell.api.heads import Heads
from tunewell.api.lanes import Lanes
from tunewell.api.logs import Looks
from tunewell.api.routes import ROUTERS
from tunewell.api.settings import BASE, Settings
from tunewell.api.suggesting import Lines
from tunewell.api.watching import Watcher
from tunewell.service.service import Service


class Api(FastAPI):
    """The app whose document is ours."""

    def openapi(self) -> dict[str, Any]:
        """Return the document of the API."""
        if self.openapi_schema is None:
            self.openapi_schema = document.describe(self)
        return self.openapi_schema


def make_app(service: Service, settings: Settings) -> Api:
    """Return the app over a service.

    Whatever stands before the routes leaves who asks in `request.state.caller`. `app.state.watcher.close()` has all
    streams end, so that a server can.
    """
    app = Api(
        title="Tunewell",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy, the server does not know the address to lead to
        generate_unique_id_function=_name_of,
    )
    app.state.service = service
    app.state.settings = settings
    app.state.watcher = Watcher(service, settings.look_seconds)
    app.state.lanes = Lanes()
    app.state.looks = Looks()
    app.state.lines = Lines(service, app.state.watcher)
    app.router.routes.extend(_routes())
    app.add_api_route("/docs", _docs, include_in_schema=False)
    problems.install(app)
    app.add_middleware(Heads)
    app.add_middleware(Bugs)
    return app


@cache
def _routes() -> list[BaseRoute]:
    # The same ones for all apps of a process: FastAPI takes a fifth of a second to work them out.
    all_ = APIRouter(generate_unique_id_function=_name_of)
    for router in ROUTERS:
        all_.include_router(router, prefix=BASE, dependencies=[Depends(check_parameters)])
    all_.include_router(health.router)
    return all_.routes


def _name_of(route: APIRoute) -> str:
    return route.name


def _docs(request: Request) -> Response:
    root_path = request.scope.get("root_path", "").rstrip("/")
    return page.answer(request.app.openapi(), f"{root_path}/openapi.json")
