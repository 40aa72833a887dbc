"""Downloads that nobody takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from tunewell.api import answers
from tunewell.api.lanes import Lanes
from tunewell.service.types import Caller


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

    async def download() -> None:
        app = FastAPI()
        app.state.lanes = Lanes()
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "app": app,
            "query_string": b"",
            "asgi": {"spec_version": "2.4"},
            "state": {"caller": Caller(name="ada", role="user"), "attempt": None},
        }
        request = Request(scope)
        await answers.streamed(request, parts(), "application/x-tar")(scope, request.receive, send)

    asyncio.run(download())
    assert held == ["held", "let go"]
    whole = b"".join(bytes([number]) * (answers.PIECE + 1) for number in range(4))
    assert b"".join(got) == (whole if taken is None else whole[: sum(map(len, got))])
    assert max(map(len, got), default=0) <= answers.PIECE
