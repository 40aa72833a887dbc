"""Trials for workers that wait: one look for offers a process and experiment, and no thread for those who wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from anyio.to_thread import run_sync
from fastapi import Request

from tunewell.api.watching import Watcher
from tunewell.service.service import Service
from tunewell.service.types import Suggestion
from tunewell.service.verbs import Verbs

#: How often it is looked whether there is anything to be had.
_LOOK_SECONDS = 0.05
#: How often each worker that waits asks again, whatever there is: the search may have ended.
_AGAIN_SECONDS = 2.5


async def suggestion_for(request: Request, verbs: Verbs, name: str, worker: str, wait: float) -> Suggestion:
    """Return what a worker is answered, at the latest after `wait` seconds; `name` is the experiment's in full."""
    deadline = time.monotonic() + wait
    lines, watcher = cast(Lines, request.app.state.lines), cast(Watcher, request.app.state.watcher)
    ask = partial(run_sync, partial(verbs.suggest, name, worker, wait=0.0))
    answer = await ask()
    while answer.kind == "wait" and (left := deadline - time.monotonic()) > 0 and not watcher.closed:
        line = lines.of(name)
        turn = line.join()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _AGAIN_SECONDS)):
                    await turn.wait()
            if await request.is_disconnected():  # nobody would have what it is given
                return answer
            answer = await ask()
        finally:
            line.leave(turn)
    return answer


class Lines:
    """Where workers wait in this process, by experiment."""

    def __init__(self, service: Service) -> None:
        """Begin with nobody waiting."""
        self._service = service
        self._lines: dict[str, _Line] = {}

    def of(self, name: str) -> _Line:
        """Return where the workers of an experiment wait, which is called so in full."""
        if name not in self._lines:
            self._lines[name] = _Line(self._service.offers_of(name), partial(self._lines.pop, name, None))
        return self._lines[name]


class _Line:
    """The workers that wait for the trials of one experiment; as many have their turn as there are offers."""

    def __init__(self, offers: Callable[[], int], forget: Callable[[], object]) -> None:
        """Take what counts the offers, and what is called when nobody waits any more."""
        self._offers, self._forget = offers, forget
        self._waiting: deque[asyncio.Event] = deque()
        #: Those whose turn it is, and who have not had their answer yet.
        self._asking: set[asyncio.Event] = set()
        self._look: asyncio.Task[None] | None = None

    def join(self) -> asyncio.Event:
        """Wait behind all others; what is returned is set when it is one's turn."""
        turn = asyncio.Event()
        self._waiting.append(turn)
        if self._look is None:
            self._look = asyncio.create_task(self._look_for_offers())
        return turn

    def leave(self, turn: asyncio.Event) -> None:
        """Wait no more, or have had one's answer."""
        self._asking.discard(turn)
        with suppress(ValueError):
            self._waiting.remove(turn)

    async def _look_for_offers(self) -> None:
        while self._waiting or self._asking:
            for _ in range(min(len(self._waiting), self._offers() - len(self._asking))):
                turn = self._waiting.popleft()
                self._asking.add(turn)
                turn.set()
            await asyncio.sleep(_LOOK_SECONDS)
        self._look = None
        self._forget()
