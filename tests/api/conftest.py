"""Apps over homes: a new one, and one with a search that has run, which is not to be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.api.serving import SPEC, client_of
from tunewell.service.runs import Given
from tunewell.service.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service with the experiment `e`, which has not begun."""
    with Service(tmp_path) as service:
        service.create(SPEC)
        yield service


@pytest.fixture
def api(service: Service) -> TestClient:
    """Who asks it."""
    return client_of(service)


@pytest.fixture(scope="session")
def ran_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the experiment `e`, which has run to its end, and a job about it."""
    with Service(tmp_path_factory.mktemp("home")) as service:
        service.create(SPEC)
        assert service.run("e", Given(follow_up=False))
        service.carry_out(service.evaluate("e").id)
        yield service


@pytest.fixture
def ran(ran_service: Service) -> TestClient:
    """Who asks it."""
    return client_of(ran_service)
