"""What is seen of every request, whatever answers it: its number, its line in the log, its figures, and its end."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from tunewell.api import metrics

log = logging.getLogger("tunewell.access")

_NUMBER_GIVEN = re.compile(rb"[\w\-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Asked for so often that nobody wants to read it.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_STREAM = b"text/event-stream"


class Observed:
    """An application, and what is seen of its requests.

    Each has a number, which the client may give (`X-Request-Id`) and always gets back; it is `request_id` in the state
    of the request and in what is logged meanwhile. The query of an address is not logged: it may hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: set[asyncio.Task[Any]] = set()
        self._ending = False

    def end_streams(self) -> None:
        """Bring event streams to their end, those that begin later, too; clients come back to whoever answers then."""
        self._ending = True
        for task in self._streams:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = _number(scope)
        scope.setdefault("state", {})["request_id"] = number
        with bound_contextvars(request_id=number):
            await self._answer(scope, receive, _Answer(send, number, self._begin_stream))

    def _begin_stream(self, task: asyncio.Task[Any]) -> None:
        self._streams.add(task)
        metrics.STREAMS.inc()
        if self._ending:
            task.cancel()

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        began = time.perf_counter()
        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if not (self._ending and answer.task in self._streams):
                raise
            answer.task.uncancel()
            await answer.finish()
        except Exception:
            log.exception("a request failed")
            await answer.fail()
        finally:
            if answer.task in self._streams:
                self._streams.discard(answer.task)
                metrics.STREAMS.dec()
            _note(scope, answer, time.perf_counter() - began)


class _Answer:
    """Passes on what is sent, and remembers what it was."""

    def __init__(self, send: Send, number: str, on_stream: Any) -> None:
        task = asyncio.current_task()
        assert task is not None, "applications are called in tasks"
        self.task = task
        self.status: int | None = None
        self.is_stream = False
        self._send, self._number, self._on_stream = send, number, on_stream
        self._finished = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self._number.encode())]
            message = {**message, "headers": headers}
            await self._send(message)
            kinds = [value for name, value in headers if name.lower() == b"content-type"]
            if any(kind.startswith(_STREAM) for kind in kinds):
                self.is_stream = True
                self._on_stream(self.task)
            return
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished = True
        await self._send(message)

    async def finish(self) -> None:
        """End an answer that was cut off where it may be cut off."""
        if self.status is not None and not self._finished:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self) -> None:
        """Answer that something is wrong here, if nothing was answered yet."""
        if self.status is None:
            await self({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await self({"type": "http.response.body", "body": b""})


def _number(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _NUMBER_GIVEN.fullmatch(given) else uuid.uuid4().hex


def _note(scope: MutableMapping[str, Any], answer: _Answer, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = getattr(scope.get("route"), "path", "other")
    status = answer.status or 499  # the client was gone before anything was said
    metrics.REQUESTS.labels(method, route, status).inc()
    if not answer.is_stream:
        metrics.REQUEST_SECONDS.labels(method, route).observe(seconds)
    client = scope["state"].get("address") or (scope.get("client") or (None,))[0]
    facts = {"method": method, "path": scope["path"], "route": route, "status": status, "seconds": round(seconds, 4)}
    facts |= {"client": client, "caller": scope["state"].get("caller_name")}
    log.log(logging.DEBUG if route in _QUIET else logging.INFO, "request", extra=facts)
