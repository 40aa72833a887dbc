"""Trials for workers that wait: one look for offers a process and experiment, and no thread for those who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import cast

from anyio.to_thread import run_sync
from fastapi import Request

from tunewell.api.watching import Watcher
from tunewell.service.service import Service
from tunewell.service.types import Suggestion
from tunewell.service.verbs import Verbs
from tunewell.service.working import WaitingRoom
from tunewell.spec.errors import UserError

#: How often it is looked whether there is anything to be had, and how often it is noted that workers still wait.
_LOOK_SECONDS, _NOTE_SECONDS = 0.05, 2.0


async def suggestion_for(request: Request, verbs: Verbs, name: str, worker: str, wait: float) -> Suggestion:
    """Return what a worker is answered, at the latest after `wait` seconds; `name` is the experiment's in full."""
    deadline = time.monotonic() + wait
    lines, watcher = cast(Lines, request.app.state.lines), cast(Watcher, request.app.state.watcher)
    ask = partial(run_sync, partial(verbs.suggest, name, worker, wait=0.0))
    answer = await ask()
    while answer.kind == "wait" and (left := deadline - time.monotonic()) > 0 and not watcher.closed:
        with lines.of(name).turn_of(worker) as turn:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await turn.wait()
            if not turn.is_set() or await request.is_disconnected():  # nobody would have what it is given
                return answer
            answer = await ask()
    return answer


class Lines:
    """Where workers wait in this process, by experiment."""

    def __init__(self, service: Service, watcher: Watcher) -> None:
        """Begin with nobody waiting; nobody does any more when the watcher is closed, since the process ends."""
        self._service, self._watcher = service, watcher
        self._lines: dict[str, _Line] = {}

    def of(self, name: str) -> _Line:
        """Return where the workers of an experiment wait, which is called so in full."""
        if name not in self._lines:
            room, forget = self._service.waiting_room(name), partial(self._lines.pop, name, None)
            self._lines[name] = _Line(room, self._watcher, forget)
        return self._lines[name]


class _Line:
    """The workers that wait for the trials of one experiment; as many have their turn as there are offers."""

    def __init__(self, room: WaitingRoom, watcher: Watcher, forget: Callable[[], object]) -> None:
        """Take what is known of the experiment, and what is called when nobody waits any more."""
        self._room, self._watcher, self._forget = room, watcher, forget
        #: Those who wait, in the order in which they came, and those whose turn it is until they have their answer.
        self._waiting: dict[asyncio.Event, str] = {}
        self._asking: set[asyncio.Event] = set()
        self._look: asyncio.Task[None] | None = None

    @contextmanager
    def turn_of(self, worker: str) -> Iterator[asyncio.Event]:
        """Have a worker wait behind all others; what is given is set when it is its turn."""
        turn = asyncio.Event()
        self._waiting[turn] = worker
        if self._look is None:
            self._look = asyncio.create_task(self._look_for_offers())
        try:
            yield turn
        finally:
            self._waiting.pop(turn, None)
            self._asking.discard(turn)

    def _call(self, number: int) -> None:
        for turn in list(self._waiting)[: max(0, number)]:
            del self._waiting[turn]
            self._asking.add(turn)
            turn.set()

    async def _look_for_offers(self) -> None:
        noted_at = time.monotonic()
        while self._waiting or self._asking:
            self._call(len(self._waiting) if self._watcher.closed else self._room.offers() - len(self._asking))
            if time.monotonic() - noted_at >= _NOTE_SECONDS:
                noted_at = time.monotonic()
                with suppress(UserError):  # the database does not answer: the next time it may
                    if await run_sync(self._room.has_ended, list(self._waiting.values())):
                        self._call(len(self._waiting))
            await asyncio.sleep(_LOOK_SECONDS)
        self._look = None
        self._forget()
