"""A service with some people, and ways to send something."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunewell.service.rights import caller_of
from tunewell.service.service import Service
from tunewell.service.types import Upload


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The verbs of the home's owner; there are ada and bob, who may run code, and viv, who looks."""
    with Service(tmp_path / "home") as service:
        with service.store.transaction() as tx:
            for name in ("ada", "bob"):
                tx.add_user(name, "user", run_code=True)
            tx.add_user("viv", "viewer")
            tx.add_user("root", "administrator", run_code=True)
        yield service


@pytest.fixture
def ada(service: Service) -> Service:
    """The verbs of a user from elsewhere."""
    return as_(service, "ada")


@pytest.fixture
def bob(service: Service) -> Service:
    """The verbs of another user."""
    return as_(service, "bob")


def as_(service: Service, name: str) -> Service:
    """Return a user's verbs."""
    return service.as_caller(caller_of(service.store, name))


def sent(verbs: Service, data: bytes, name: str = "data.zip") -> Upload:
    """Send a file, and finish it."""
    upload = verbs.create_upload(name, len(data), hashlib.sha256(data).hexdigest())
    verbs.put_part(upload.id, 0, [data])
    return verbs.finish_upload(upload.id)
