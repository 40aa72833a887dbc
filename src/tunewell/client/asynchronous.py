"""The verbs of a server for programs that must not wait."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Self

from anyio.to_thread import run_sync

from tunewell.client.client import Client


class AsyncClient:
    """The verbs of `Client`, each to be awaited: `await client.experiment("signs")`. Use it as a context manager.

    Each is carried out in a thread of its own, so that nothing is described twice. What yields parts there, such as
    `export`, gives them all at once here.
    """

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        """Take what `Client` takes."""
        self._client = Client(server, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await run_sync(self._client.close)

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._client, verb)

        @functools.wraps(call)
        async def awaited(*arguments: Any, **named: Any) -> Any:
            return await run_sync(functools.partial(_whole, call, *arguments, **named))

        return awaited


def _whole(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    answer = call(*arguments, **named)
    return list(answer) if hasattr(answer, "__next__") else answer
