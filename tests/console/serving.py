"""The console as browsers see it: the whole app behind its guard, asked by people of every role."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from tests.client.serving import OPEN
from tunewell.api.app import make_app
from tunewell.api.guard import Guard
from tunewell.api.settings import Settings
from tunewell.api.visits import COOKIE
from tunewell.console.app import add_console
from tunewell.console.page import problem_page
from tunewell.service.service import Service

ORIGIN = "http://127.0.0.1:8700"
#: What a browser sends along when somebody follows a link on a page of ours.
FOLLOWS = {
    "accept": "text/html,*/*;q=0.8",
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}
#: What it sends along with a form.
SENDS = {**FOLLOWS, "origin": ORIGIN}
#: What our scripts send along with a form.
ACTS = {"accept": "application/json", "sec-fetch-site": "same-origin", "origin": ORIGIN}


def whole(service: Service, settings: Settings = OPEN) -> tuple[FastAPI, ASGIApp]:
    """Return the app with the console, and what stands before it, as a worker serves them."""
    app = make_app(service, settings)
    add_console(app)
    return app, Guard(app, service, settings, problem_page)


def session_of(service: Service, name: str) -> str:
    """Sign a user in, and return what their browser proves itself by."""
    session = service.gate.sign_in(service.sign_in_link(name).secret)
    assert session is not None
    return session.secret


#: Service → the app before it.
_APPS: WeakKeyDictionary[Service, ASGIApp] = WeakKeyDictionary()


def browser(
    service: Service, name: str | None = "owner", root_path: str = "", settings: Settings | None = None
) -> TestClient:
    """Return the browser of a user (None: of nobody), which stays where it is sent."""
    if settings is None and service not in _APPS:
        _APPS[service] = whole(service)[1]
    return TestClient(
        _APPS[service] if settings is None else whole(service, settings)[1],
        base_url=ORIGIN,
        root_path=root_path,
        headers=FOLLOWS,
        cookies={} if name is None else {COOKIE: session_of(service, name)},
        follow_redirects=False,
    )
