"""Connections that take too long, or are too many."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.server.serving import wait_until
from tunewell.server.connections import MOST_CONNECTIONS, Connection, most_connections

GET = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"


class Short(Connection):
    """With little patience."""

    head_seconds = 0.2
    stuck_seconds = 0.2


class Few(Connection):
    """Two of them at most, with the usual patience."""

    most = 2


class Bench:
    """A server."""

    def __init__(self, place: socket.socket, kind: type[Connection]) -> None:
        """Serve in a thread of its own."""
        routes = [
            Route("/quick", self.quick, methods=["GET", "POST"]),
            Route("/slow", self.slow),
            Route("/large", self.large),
        ]
        self.go_on = threading.Event()
        config = uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off", ws="none", http=kind)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [place]})
        self.address = place.getsockname()
        self.thread.start()

    @staticmethod
    async def quick(request: Request) -> Response:
        """Answer at once, whatever is sent."""
        return PlainTextResponse("quick")

    def slow(self, request: Request) -> Response:
        """Answer when the test says so."""
        assert self.go_on.wait(60)
        return PlainTextResponse("slow")

    @staticmethod
    async def large(request: Request) -> Response:
        """Answer with more than is sent to whoever reads nothing."""
        return PlainTextResponse("x" * (64 << 20))


@contextmanager
def serving(kind: type[Connection]) -> Iterator[Bench]:
    """Run a server."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        bench = Bench(place, kind)
        try:
            yield bench
        finally:
            bench.go_on.set()
            bench.server.should_exit = True
            bench.thread.join()


def hear(connection: socket.socket, word: bytes) -> None:
    """Take what comes until there is a word in it."""
    found = b""
    while word not in found:
        part = connection.recv(4096)
        assert part, found
        found += part


def rest_of(connection: socket.socket) -> bytes:
    """Return all that comes until the server ends the connection."""
    found = b""
    try:
        while part := connection.recv(1 << 20):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"", 0),
        (b"GET /quick HTTP/1.1\r\nHost: a\r\nX-Slow: ", 0),
        (GET + b"GET /quick HTTP/1.1\r\n", 1),
        (GET + GET + b"G", 2),
        (b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nab", 1),
    ],
    ids=["nothing", "a part of a head", "a part of the next head", "a byte", "a part of a body that was answered"],
)
def test_who_does_not_go_on_with_a_request_is_cut_off(sent: bytes, answers: int) -> None:
    """What was begun must come, whether or not there was a request before it."""
    with serving(Short) as bench, socket.create_connection(bench.address, 60) as connection:
        connection.sendall(sent)
        assert rest_of(connection).count(b"200 OK") == answers


def test_who_sends_a_head_byte_by_byte_is_cut_off() -> None:
    """It is the whole of the head that has a limit, and not each piece."""
    with serving(Short) as bench, socket.create_connection(bench.address, 60) as connection, pytest.raises(OSError):
        while True:
            connection.sendall(b"G")
            connection.settimeout(0.05)
            try:
                if connection.recv(1) == b"":
                    raise BrokenPipeError
            except TimeoutError:
                pass


def test_an_answer_may_take_as_long_as_it_takes() -> None:
    """No deadline of the head ends a request that is at work, and a connection at rest is kept."""
    with serving(Short) as bench, ExitStack() as stack:
        slow, resting = (stack.enter_context(socket.create_connection(bench.address, 60)) for _ in range(2))
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        resting.sendall(GET)
        hear(resting, b"quick")
        with socket.create_connection(bench.address, 60) as other:
            assert rest_of(other) == b""  # by now their time was over as well
        bench.go_on.set()
        hear(slow, b"slow")
        resting.sendall(GET)
        hear(resting, b"quick")


def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    """An answer that nobody reads does not wait for ever."""
    with serving(Short) as bench, socket.create_connection(bench.address, 60) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: bench.server.server_state.connections)
        wait_until(lambda: not bench.server.server_state.connections)
        assert len(rest_of(connection)) < 64 << 20


def test_one_connection_too_many_is_ended_at_once() -> None:
    """Those that are there go on."""
    with serving(Few) as bench, ExitStack() as stack:
        first, second = (stack.enter_context(socket.create_connection(bench.address, 60)) for _ in range(2))
        for one in (first, second):
            one.sendall(GET)
            hear(one, b"quick")
        with socket.create_connection(bench.address, 60) as third:
            assert rest_of(third) == b""
        first.sendall(GET)
        hear(first, b"quick")
        second.close()
        wait_until(lambda: len(bench.server.server_state.connections) == 1)
        with socket.create_connection(bench.address, 60) as third:
            third.sendall(GET)
            hear(third, b"quick")


@pytest.mark.parametrize(
    ("soft", "hard", "most", "set_to"),
    [
        (1024, 4096, MOST_CONNECTIONS, 1128),
        (256, 1024, 896, 1024),
        (65536, 65536, MOST_CONNECTIONS, None),
        (1024, resource.RLIM_INFINITY, MOST_CONNECTIONS, 1128),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, MOST_CONNECTIONS, None),
        (64, 64, 1, 64),
    ],
)
def test_connections_leave_files_for_all_else(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, most: int, set_to: int | None
) -> None:
    """As many files as are needed are asked of the system, and there are as many connections as it then lets be."""
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    assert most_connections() == most
    assert limits == ([] if set_to is None else [(set_to, hard)])
