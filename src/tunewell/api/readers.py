"""Who reads what goes on while it is read, a stream of events or a log: for how long, and whether they still may."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import cast

from anyio.to_thread import run_sync
from fastapi import Request

from tunewell.api.asked import verbs_of
from tunewell.api.lanes import Turns, whose
from tunewell.api.settings import Settings
from tunewell.api.watching import Watcher
from tunewell.service.types import Caller
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ForbiddenError, NotFoundError, UserError

#: Whether what a caller has proved themselves by still makes them the same caller, with the same rights.
Admitted = Callable[[], Awaitable[bool]]


@dataclass(slots=True)
class Reader:
    """One who reads, from the moment on at which this is made."""

    request: Request
    turns: Turns
    begun_at: float = field(default_factory=time.monotonic)
    _looked_at: float = 0.0

    def __post_init__(self) -> None:
        """Begin; raise a `Refusal` where the caller reads too much already."""
        self._looked_at = self.begun_at
        self.turns.check(whose(self.request))

    @property
    def caller(self) -> Caller:
        """Who reads."""
        return cast(Caller, self.request.state.caller)

    @property
    def verbs(self) -> Verbs:
        """The caller's."""
        return verbs_of(self.request, self.caller)

    @property
    def watcher(self) -> Watcher:
        """What looks for changes in this process."""
        return cast(Watcher, self.request.app.state.watcher)

    @property
    def settings(self) -> Settings:
        """How long it may take, and how often it is looked whether the caller still may."""
        return cast(Settings, self.request.app.state.settings)

    @property
    def patience(self) -> float:
        """Seconds after which `goes_on` is to be asked again at the latest."""
        ends_in = self.begun_at + self.settings.stream_seconds - time.monotonic()
        return max(0.0, min(ends_in, self.settings.proof_seconds))

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Count as one who reads, as long as the block lasts."""
        return self.turns.turn(whose(self.request))

    async def goes_on(self, sees: Callable[[], object] | None = None) -> bool:
        """Whether it goes on: the process does, time is not over, and every few seconds, the caller still may.

        `sees` raises `NotFoundError` where the caller does not see any more what is read; it is called in a thread.
        """
        now = time.monotonic()
        if self.watcher.closed or now >= self.begun_at + self.settings.stream_seconds:
            return False
        if now - self._looked_at < self.settings.proof_seconds:
            return True
        self._looked_at = now
        admitted = cast(Admitted | None, getattr(self.request.state, "admitted", None))
        try:
            if admitted is not None and not await admitted():
                return False
            if sees is not None:
                await run_sync(sees)
        except (NotFoundError, ForbiddenError):
            return False
        except UserError:  # the database does not answer, so nothing has changed there
            pass
        return True
