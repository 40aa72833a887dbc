"""Downloads that nobody takes."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Send

from tunewell.api import answers
from tunewell.api.lanes import Lanes
from tunewell.service.types import Caller


async def download(parts: Iterator[bytes], send: Send, receive: Receive | None = None, version: str = "2.4") -> None:
    """Have parts downloaded by somebody."""
    app = FastAPI()
    app.state.lanes = Lanes()
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [],
        "app": app,
        "query_string": b"",
        "asgi": {"spec_version": version},
        "state": {"caller": Caller(name="ada", role="user"), "attempt": None},
    }
    request = Request(scope)
    await answers.streamed(request, parts, "application/x-tar")(scope, receive or request.receive, send)


@pytest.mark.parametrize("taken", [0, 3, None])
def test_what_is_held_for_a_download_is_let_go_of(taken: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is whole (None), and when nothing more of it is taken, whether the first piece or a later one."""
    monkeypatch.setattr(answers, "TAKEN_SECONDS", 0.05)
    held: list[str] = []

    def parts() -> Iterator[bytes]:
        held.append("held")
        try:
            for number in range(4):
                yield bytes([number]) * (answers.PIECE + 1)
        finally:
            held.append("let go")

    got: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            if taken is not None and len(got) >= taken:
                await asyncio.Event().wait()  # nothing of it is ever taken
            got.append(message["body"])

    asyncio.run(download(parts(), send))
    assert held == ["held", "let go"]
    whole = b"".join(bytes([number]) * (answers.PIECE + 1) for number in range(4))
    assert b"".join(got) == (whole if taken is None else whole[: sum(map(len, got))])
    assert max(map(len, got), default=0) <= answers.PIECE


def test_what_is_held_is_let_go_of_when_somebody_goes_away() -> None:
    """Their going away cancels the answer; what it ends with is done all the same."""
    held: list[str] = []
    gone = asyncio.Event()

    def parts() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            held.append("let go")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            gone.set()
            await asyncio.Event().wait()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    asyncio.run(asyncio.wait_for(download(parts(), send, receive, "2.3"), 30))
    assert held == ["let go"]


def test_a_disk_that_does_not_answer_is_no_slow_client(caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong with the parts is told as what it is."""

    def parts() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    async def send(message: Message) -> None:
        del message

    async def receive() -> Message:
        return await asyncio.Future()

    with pytest.raises(TimeoutError):
        asyncio.run(download(parts(), send, receive, "2.3"))
    assert "nothing of it was taken" not in caplog.text
