"""How large a request may be, and how slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

#: Bytes of a body, where its route says nothing else; bytes of a head, and how many headers it may have.
BODY_BYTES, HEAD_BYTES, HEADERS = 4 << 20, 32 << 10, 100
_ATTRIBUTE = "body_bytes"

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def takes(body_bytes: int) -> Callable[[Endpoint], Endpoint]:
    """Let bodies of a route be so large; it stands between the route's decorator and its function."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, body_bytes)
        return endpoint

    return mark


def is_head_too_large(scope: Scope) -> bool:
    """Whether address and headers are larger than anybody needs."""
    head = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    headers = scope["headers"]
    return len(headers) > HEADERS or head + sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES


class Body:
    """What is received of a body, up to the size that its route takes: that is known once the route is."""

    def __init__(self, scope: Scope, receive: Receive, idle_seconds: float) -> None:
        """Receive from the server; each next part must come within some seconds."""
        self._scope = scope
        self._receive = receive
        self._idle_seconds = idle_seconds
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        self._declared = int(declared) if declared.isdigit() and len(declared) < 20 else 0
        self._received = 0
        #: Whether it was larger.
        self.is_too_large = False
        #: Whether there is more of it, and somebody waits for that.
        self.is_awaited = True

    @property
    def limit(self) -> int:
        """How large it may be, in bytes."""
        return int(getattr(self._scope.get("endpoint"), _ATTRIBUTE, BODY_BYTES))

    async def receive(self) -> Message:
        """Return the next part; raise what has the request answered with 413 if it is too much, with 408 if late."""
        self._check(self._declared)  # before the client sends any of it
        try:
            async with asyncio.timeout(self._idle_seconds if self.is_awaited else None):
                message = await self._receive()
        except TimeoutError:
            if not self.is_awaited:  # meanwhile an answer has begun
                return await self._receive()
            what = f"Nothing of the rest of the body came for {self._idle_seconds:g} s"
            raise HTTPException(408, what, {"Connection": "close"}) from None
        self.is_awaited = self.is_awaited and message.get("more_body", False)
        self._received += len(message.get("body", b""))
        self._check(self._received)
        return message

    def _check(self, size: int) -> None:
        if size > self.limit:
            self.is_too_large = True
            raise HTTPException(413)
