"""The guard behind the real server, over real connections."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn

from tests.api.guard.conftest import OPEN, People, make_app
from tests.api.serving import add_trial
from tests.listening import listening
from tunewell.api.settings import Settings
from tunewell.service.service import Service
from tunewell.spec.states import TrialState

Talk = Callable[[str], str]


@contextmanager
def serving(service: Service, settings: Settings) -> Iterator[tuple[str, int]]:
    """Give where a server of the whole app listens."""
    app = make_app(service, settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with listening() as bound:
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        yield bound.getsockname()
        app.state.watcher.close()
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def talk(service: Service) -> Iterator[Talk]:
    """What sends bytes to a server over a new connection, and returns all that comes back until that is closed."""
    with serving(service, replace(OPEN, body_seconds=1.0, stream_seconds=2.0)) as address:

        def call(text: str) -> str:
            with socket.create_connection(address, timeout=60) as connection:
                connection.sendall(text.replace("\n", "\r\n").encode())
                return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()

        yield call


def test_what_a_server_passes_on(
    service: Service, people_: People, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    """Requests that are let in, refused, and too large for their route; and no link gets into the server's own log."""
    for name in ("uvicorn", "uvicorn.access"):  # other servers of this process may have set them up
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        caplog.set_level(logging.INFO, name)
    talk: Talk = request.getfixturevalue("talk")
    head = "HTTP/1.1\nHost: localhost\nConnection: close\n"
    known = f"{head}Authorization: Bearer {people_.ada}\n"
    assert '"name":"ada"' in talk(f"GET /api/v1/me {known}\n")
    assert "401 Unauthorized" in talk(f"GET /api/v1/me {head}\n")
    assert "403 Forbidden" in talk("GET /healthz HTTP/1.1\nHost: evil.example\nConnection: close\n\n")
    assert '"name":"ada"' not in talk(f"GET /api/v1/me {known}Host: evil.example\n\n")
    announced = talk(f"POST /api/v1/small {known}Content-Length: 11\nExpect: 100-continue\n\n")
    assert announced.startswith("HTTP/1.1 413")
    parts = talk(f"POST /api/v1/small {known}Transfer-Encoding: chunked\n\n6\n123456\n6\n123456\n0\n\n")
    assert parts.startswith("HTTP/1.1 413")
    assert talk(f"POST /api/v1/small {known}Content-Length: 3\n\n123").endswith("3")
    link = service.sign_in_link("ada").secret
    assert link in talk(f"GET /sign-in?link={link} {head}\n")
    assert "/sign-in?link=[not shown]" in caplog.text or "/sign-in?link=%5Bnot" in caplog.text
    assert link not in caplog.text


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/small"])
def test_a_body_that_does_not_come_is_given_up(talk: Talk, people_: People, path: str) -> None:
    """Whoever announces a body and sends nothing more of it for a while is answered so, and cut off."""
    head = f"POST {path} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {people_.ada}\nContent-Length: 3\n\n"
    answer = talk(f"{head}12")
    assert answer.startswith("HTTP/1.1 408") and "Nothing of the rest of the body came for 1 s." in answer
    assert "connection: close" in answer.lower()


def test_a_stream_does_not_wait_for_a_body(talk: Talk, people_: People) -> None:
    """What is missing of a body that nobody reads breaks no answer that has begun."""
    head = f"GET /api/v1/events HTTP/1.1\nHost: localhost\nAuthorization: Bearer {people_.ada}\nConnection: close\n"
    answer = talk(f"{head}Content-Length: 3\n\n12")
    assert answer.startswith("HTTP/1.1 200") and answer.endswith("\r\n0\r\n\r\n")


@pytest.mark.parametrize("end", ["revoked", "disabled", "expired", "another role"])
@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/experiments/owner~e/events", "a log"])
def test_who_is_let_in_no_more_reads_no_more(service: Service, path: str, end: str) -> None:
    """Streams and followed logs end soon after whatever their reader proved themselves by counts no more."""
    if path == "a log":
        add_trial(service, 1, TrialState.RUNNING)
        path = "/api/v1/experiments/owner~e/trials/1/log?follow=true"
    until = datetime.now(UTC) + timedelta(seconds=3) if end == "expired" else None
    token = service.create_token("t", until, owner="ada")
    settings = replace(OPEN, proof_seconds=0.2, stream_seconds=60.0)
    with serving(service, settings) as address, socket.create_connection(address, timeout=50) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token.secret}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(1 << 16)
        if end == "revoked":
            service.revoke_token(token.token.id)
        elif end == "disabled":
            service.change_user("ada", {"disabled": True})
        elif end == "another role":
            service.change_user("ada", {"role": "viewer"})
        assert b"".join(iter(lambda: connection.recv(1 << 16), b"")).endswith(b"0\r\n\r\n")
