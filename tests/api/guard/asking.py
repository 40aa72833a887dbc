"""Asking an app as a client on the network would, down to headers that no client library sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8700"
#: How long an answer may take, in seconds, before something hangs.
_PATIENCE = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Return all of it."""
        return "\n".join([*(f"{name}: {value}" for name, value in self.headers), self.body.decode("utf-8", "replace")])

    def header(self, name: str) -> str | None:
        """Return a header; None: there is none of this name."""
        found = [value for key, value in self.headers if key == name.lower()]
        assert len(found) <= 1, found
        return found[0] if found else None


@dataclass
class Asker:
    """A client of an app; every request comes over a connection of its own."""

    app: ASGIApp
    runner: asyncio.Runner
    address: str = "127.0.0.1"
    scheme: str = "http"
    root_path: str = ""

    def __call__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        body: bytes | Iterable[bytes] = b"",
        json_: Any = None,
        host: str | None = HOST,
        token: str | None = None,
    ) -> Answer:
        """Send a request and return the answer; None as `host`: without that header."""
        sent = list(headers.items() if isinstance(headers, Mapping) else headers)
        if host is not None:
            sent.insert(0, ("host", host))
        if token is not None:
            sent.append(("authorization", f"Bearer {token}"))
        if json_ is not None:
            body = json.dumps(json_).encode()
            sent.append(("content-type", "application/json"))
        parts = [body] if isinstance(body, bytes) else list(body)
        if isinstance(body, bytes) and body:
            sent.append(("content-length", str(len(body))))
        return self.runner.run(asyncio.wait_for(self._ask(method, path, sent, parts), _PATIENCE))

    async def _ask(self, method: str, path: str, headers: list[tuple[str, str]], parts: list[bytes]) -> Answer:
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": self.root_path,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
            "client": (self.address, 50_000),
            "server": ("127.0.0.1", 8700),
        }
        waiting = [
            {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
            for place, part in enumerate(parts)
        ]
        got: list[Message] = []

        async def receive() -> Message:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            got.append(message)

        await self.app(scope, receive, send)
        self.scope = scope
        assert [message["type"] for message in got].count("http.response.start") == 1, got
        assert got[0]["type"] == "http.response.start"
        return Answer(
            got[0]["status"],
            tuple((name.decode().lower(), value.decode("latin-1")) for name, value in got[0]["headers"]),
            b"".join(message.get("body", b"") for message in got[1:]),
        )
