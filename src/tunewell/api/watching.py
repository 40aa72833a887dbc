"""One look for changes a process, which feeds all of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from anyio.to_thread import run_sync

from tunewell.service.types import Caller, Changes
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import UserError


class Watcher:
    """Tells streams that something has changed; it looks only while there are any.

    What has changed is asked for once for all streams of a caller that have come equally far, which they mostly have.
    """

    def __init__(self, verbs: Verbs, look_seconds: float) -> None:
        """Look `look_seconds` after each look, through any caller's verbs."""
        self._verbs = verbs
        self._look_seconds = look_seconds
        self._streams = 0
        self._news, self._end = asyncio.Event(), asyncio.Event()
        self._asked: dict[tuple[Caller, int], asyncio.Task[Changes]] = {}
        self._looking: asyncio.Task[None] | None = None
        #: Number of the latest change that was seen; -1: none was looked for yet.
        self.version = -1
        #: Whether all streams are to end, since the process does.
        self.closed = False

    def close(self) -> None:
        """Have all streams end."""
        self.closed = True
        self._end.set()
        self._announce()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look for changes as long as the block lasts."""
        self._streams += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._streams -= 1
            if not self._streams and self._looking is not None:
                self._looking.cancel()
                self._looking, self.version = None, -1
                self._asked.clear()
                self._news = asyncio.Event()

    async def beyond(self, version: int, seconds: float) -> None:
        """Wait until there is another version than this one, for some seconds at most."""
        if self.version == version and not self.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()

    async def rest(self, seconds: float) -> None:
        """Wait for some seconds, or until all streams are to end."""
        if not self.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._end.wait()

    async def changes(self, verbs: Verbs, caller: Caller, after: int) -> Changes:
        """Return what `Verbs.changes` tells a caller."""
        task = self._asked.get((caller, after))
        if task is None:
            task = self._asked[caller, after] = asyncio.create_task(run_sync(verbs.changes, after))
        try:
            return await asyncio.shield(task)
        except UserError:
            self._asked.pop((caller, after), None)
            raise

    async def _look(self) -> None:
        while True:
            with suppress(UserError):  # the database does not answer: the next look may tell
                version = await run_sync(self._verbs.version)
                if version != self.version:
                    self.version = version
                    self._asked.clear()
                    self._announce()
            await asyncio.sleep(self._look_seconds)

    def _announce(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
