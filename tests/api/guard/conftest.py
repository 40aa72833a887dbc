"""A service with people, and an app before which the guard stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tests.api.guard.asking import Asker
from tunewell.api.app import make_app as make_whole
from tunewell.api.guard import Guard
from tunewell.api.settings import Settings
from tunewell.api.sizes import takes
from tunewell.console.app import add_console
from tunewell.console.page import problem_page
from tunewell.service.service import Service
from tunewell.service.types import Caller

SECRET = "hunter2-and-more"
SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["true"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "environment": {"TOKEN": SECRET},
}
ADA = Caller(name="ada", role="user", run_code=True)
#: So many that tests of other things never meet a limit.
OPEN = Settings(requests_per_second=1e6, requests_at_once=10**6, failures_per_minute=6e7, failures_at_once=10**6)

MakeApp = Callable[..., FastAPI]


@dataclass(frozen=True)
class People:
    """Who may use the service, by their tokens."""

    owner: str
    ada: str
    ben: str
    viewer: str


def make_app(service: Service, settings: Settings) -> FastAPI:
    """Return the whole app behind its guard, as a worker serves it, with routes for what no other does."""
    app = make_whole(service, settings)
    add_console(app)

    @app.post("/api/v1/small")
    @takes(10)
    async def small(request: Request) -> int:
        return len(await request.body())

    @app.post("/api/v1/stream")
    async def stream(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/api/v1/bug")
    def bug() -> None:
        raise ValueError("something private")

    app.add_middleware(Guard, service=service, settings=settings, show_problem=problem_page)
    return app


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The verbs of the person whose home it is; ada and ben are users, vic looks; ada has an experiment."""
    with Service(tmp_path / "home") as service:
        for name, role in (("ada", "user"), ("ben", "user"), ("vic", "viewer")):
            service.add_user(name, {"role": role, "run_code": True})
        service.create(SPEC)
        service.as_caller(ADA).create(SPEC)
        yield service


@pytest.fixture
def people_(service: Service) -> People:
    """Tokens of everybody."""
    made = [service.create_token("t", owner=name).secret for name in ("owner", "ada", "ben", "vic")]
    return People(*made)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """An event loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def asker(service: Service, runner: asyncio.Runner) -> Callable[..., Asker]:
    """What makes clients of an app with some settings."""
    return lambda **settings: Asker(make_app(service, replace(OPEN, **settings)), runner)


@pytest.fixture
def ask(asker: Callable[..., Asker]) -> Asker:
    """A client of an app in which nothing is limited."""
    return asker()
