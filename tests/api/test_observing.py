"""What is seen of every request."""

from __future__ import annotations

import asyncio
import logging

import pytest
from starlette.types import Message, Receive, Scope, Send

from tunewell.api.observing import Observed


def asked(app: Observed, *headers: tuple[bytes, bytes], path: str = "/x") -> list[Message]:
    """Ask an application; return what it sends."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"token=canary", "headers": list(headers)}
    asyncio.run(app({**scope, "client": ("127.0.0.1", 1)}, receive, send))
    return sent


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer."""
    del scope, receive
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail."""
    del scope, receive, send
    raise RuntimeError("broken")


@pytest.mark.parametrize(("given", "taken"), [(b"mine-1", True), (b"a b", False), (b"x" * 65, False), (b"", False)])
def test_a_request_has_a_number(given: bytes, taken: bool) -> None:
    """The client's number is kept if it is one, else there is a new one; the answer has it."""
    (start, _) = asked(Observed(fine), (b"x-request-id", given))
    number = dict(start["headers"])[b"x-request-id"]
    assert (number == given) is taken and number


def test_what_fails_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nothing has caught is a 500 without a word about it to the client, and stands in the log."""
    start, body = asked(Observed(broken))
    assert (start["status"], body["body"]) == (500, b"")
    assert "RuntimeError: broken" in caplog.text


def test_a_line_for_each_request_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    """What may be secret in an address is not logged; who asks for what, and what came of it, is."""
    with caplog.at_level(logging.INFO, "tunewell.access"):
        asked(Observed(fine))
    (line,) = caplog.records
    assert (line.__dict__["path"], line.__dict__["status"]) == ("/x", 204)
    assert "canary" not in str(line.__dict__)


def test_a_stream_is_ended_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """At a stop an event stream gets its last part, whatever it waits for; another answer is finished by itself."""
    del caplog

    async def run() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            kind = b"text/event-stream; charset=utf-8" if scope["path"] == "/events" else b"text/plain"
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
            begun.set()
            await go_on.wait()
            await send({"type": "http.response.body", "body": b"end"})

        observed = Observed(app)
        sent: dict[str, list[Message]] = {"/events": [], "/plain": []}

        async def ask(path: str) -> None:
            async def send(message: Message) -> None:
                sent[path].append(message)

            async def receive() -> Message:
                return {"type": "http.disconnect"}

            await observed({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)

        async with asyncio.TaskGroup() as group:
            stream = group.create_task(ask("/events"))
            await begun.wait()
            begun.clear()
            plain = group.create_task(ask("/plain"))
            await begun.wait()
            observed.end_streams()
            await stream
            assert not plain.done()
            go_on.set()
        assert sent["/events"][-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert sent["/plain"][-1]["body"] == b"end"

    asyncio.run(run())
