"""The guard behind the real server, over real connections."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from tests.api.guard.conftest import OPEN, People, make_app
from tunewell.service.service import Service

Talk = Callable[[str], str]


@pytest.fixture
def talk(service: Service) -> Iterator[Talk]:
    """What sends bytes to a server over a new connection, and returns all that comes back until that is closed."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(service, OPEN), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()

    def call(text: str) -> str:
        with socket.create_connection(bound.getsockname(), timeout=60) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode())
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()

    with bound:
        bound.listen()  # connections wait until the server takes them
        yield call
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


def test_what_a_server_passes_on(
    talk: Talk, service: Service, people_: People, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests that are let in, refused, and too large for their route; and no link gets into the server's own log."""
    caplog.set_level(logging.INFO)
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
