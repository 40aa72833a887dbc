"""The verbs of a server for programs that must not wait."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

from anyio.to_thread import run_sync

from tunewell.client.checking import verb_names
from tunewell.client.client import Client
from tunewell.service.types import Event


class AsyncClient:
    """The verbs of `Client`, each to be awaited: `await client.experiment("signs")`. Use it as a context manager.

    Each is carried out in a thread of its own, so that nothing is described twice. What yields parts there, such as
    `export`, gives them all at once here; what is watched comes as it happens: `async for event in client.watch(name)`.
    """

    def __init__(self, server: str | None = None, token: str | None = None) -> None:
        """Take what `Client` takes."""
        self._client = Client(server, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await run_sync(self._client.close)

    async def watch(self, name: str, after: int = 0) -> AsyncIterator[Event]:
        events = await run_sync(self._client.watch, name, after)
        while (event := await run_sync(next, events, None, abandon_on_cancel=True)) is not None:
            yield event

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        raise AttributeError(f"there is no verb '{verb}'")


def _awaited(verb: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(getattr(Client, verb))
    async def awaited(self: AsyncClient, *arguments: Any, **named: Any) -> Any:
        call = getattr(self._client, verb)
        return await run_sync(functools.partial(_whole, call, *arguments, **named))

    return awaited


def _whole(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    answer = call(*arguments, **named)
    return list(answer) if hasattr(answer, "__next__") else answer


for _verb in verb_names():
    if _verb in vars(AsyncClient):
        vars(AsyncClient)[_verb].__doc__ = getattr(Client, _verb).__doc__
    else:
        setattr(AsyncClient, _verb, _awaited(_verb))
