"""Homes with searches in every state, and people who look at them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.console import looks
from tests.console.harvest import harvest
from tests.console.serving import browser
from tests.made_once import made_once
from tunewell.service.service import Service


def _with_people(home: Path) -> Service:
    service = Service(home)
    for name, role in (("ada", "user"), ("ben", "user"), ("vic", "viewer")):
        service.add_user(name, {"role": role, "run_code": role == "user"})
    return service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """An empty home, whose administrator is `owner`; ada and ben are users, vic looks."""
    with _with_people(tmp_path / "home") as service:
        yield service


@pytest.fixture(scope="session")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A home with searches in every state (see `looks.NAMES`), which is not to be changed; one of them is being run."""
    with _with_people(tmp_path_factory.mktemp("searches") / "home") as service:
        looks.fill(service)
        with service.home.lock("running"), service.home.lock("paused"):
            yield service


@pytest.fixture(scope="session")
def harvest_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of this process with searches over real pictures that have run; see `harvest`."""
    own = tmp_path_factory.mktemp("harvest") / "home"
    return Path(shutil.copytree(made_once(tmp_path_factory, "harvest", harvest) / "home", own))


Look = Callable[..., TestClient]


@pytest.fixture
def administrator(service: Service) -> TestClient:
    """The browser of the administrator of the empty home."""
    return browser(service, "owner")


@pytest.fixture
def user(service: Service) -> TestClient:
    """The browser of ada, in the empty home."""
    return browser(service, "ada")


@pytest.fixture
def viewer(service: Service) -> TestClient:
    """The browser of vic, who looks, in the empty home."""
    return browser(service, "vic")


@pytest.fixture(params=["owner", "ada", "vic"])
def anybody(request: pytest.FixtureRequest, searches: Service) -> TestClient:
    """The browser of an administrator, of a user, and of one who looks, in the home full of searches."""
    return browser(searches, request.param)
