"""Server-sent events: what has changed, as it changes.

An event without an `id` does not move the place at which a stream continues after a break.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tunewell.api.readers import Reader
from tunewell.service.types import Changed, Changes, Wire
from tunewell.service.verbs import MOST
from tunewell.spec.errors import NotFoundError, UserError

#: What shows that a stream lives, though nothing has changed.
_HEARTBEAT = ": \n\n"
#: After how many milliseconds a reader comes back whose stream has ended.
_RETRY = "retry: 1000\n"


class Place(NamedTuple):
    """Where the events of an experiment are to begin."""

    #: The experiment, in full.
    name: str
    #: Id of the entry of the audit trail before.
    event: int
    #: Number of the latest change to anything, before the trail is read.
    version: int
    #: Number of the trial whose entries are wanted; None: all.
    trial: int | None = None


class EventStream(StreamingResponse):
    """Events as an answer that no proxy keeps back."""

    media_type = "text/event-stream"

    def __init__(self, reader: Reader, events: AsyncGenerator[str]) -> None:
        """Send these events to a reader."""
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._reader, self._events = reader, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them until they end, or nobody listens any more."""
        async with self._reader.turn(), aclosing(self._events):
            await super().__call__(scope, receive, send)


async def all_changes(reader: Reader, after: int) -> AsyncGenerator[str]:
    """Yield the experiments and jobs that have changed since version `after`, each with its latest version.

    `begin-again` comes where that version is none of this database's: everything is to be read again.
    """
    yield f"{_RETRY}id: {after}\n\n"
    async with aclosing(_news(reader, after)) as news:
        async for found in news:
            if found is None:
                yield _HEARTBEAT
                continue
            if found.version < after:
                yield f"id: {found.version}\nevent: begin-again\ndata: {{}}\n\n"
            after = found.version
            for one, is_last in _marked(found):
                yield _frame(one.kind, one, one.version if is_last else None)


async def experiment_events(reader: Reader, place: Place) -> AsyncGenerator[str]:
    """Yield what happens to an experiment, behind an entry of its audit trail.

    What leaves no entry there, such as a report, is told as `changed`, with the experiment's version and no id.
    """
    yield _RETRY + "\n"
    after, missed, verbs = place.event, True, reader.verbs
    async with aclosing(_news(reader, place.version)) as news:
        async for found in news:
            mine = [one for one in found.items if one.name == place.name] if found else []
            if not mine and not missed:
                yield _HEARTBEAT
                continue
            try:
                while events := await run_sync(partial(verbs.events, trial=place.trial), place.name, after, MOST):
                    for event in events:
                        yield _frame(event.kind, event, event.id)
                    after = events[-1].id
                missed = False
            except NotFoundError:  # deleted, or no longer to be seen
                return
            except UserError:  # the database does not answer
                missed = True
            for one in mine:
                yield _frame("changed", one, None)


async def _news(reader: Reader, after: int) -> AsyncGenerator[Changes | None]:
    """Yield changes as they come, first those that there are; None after a time without any."""
    watcher, verbs, heartbeat = reader.watcher, reader.verbs, reader.settings.heartbeat_seconds
    async with watcher.watching():
        silent_since = time.monotonic()
        first = True
        while await reader.goes_on() or first:
            seen = watcher.version
            try:
                found = await watcher.changes(verbs, reader.caller, after)
            except UserError:
                found = None
            if found is not None and (found.items or found.version < after or first):
                after, first = found.version, False
                silent_since = time.monotonic()
                yield found
            elif time.monotonic() - silent_since >= heartbeat:
                silent_since = time.monotonic()
                yield None
            await watcher.beyond(seen, min(reader.patience, heartbeat))


def _marked(found: Changes) -> Iterator[tuple[Changed, bool]]:
    """Yield each change with whether it is the last one of its version: a reader must not lose the others."""
    for one, following in zip_longest(found.items, found.items[1:]):
        yield one, following is None or one.version != following.version


def _frame(kind: str, what: Wire, id: int | None) -> str:
    place = "" if id is None else f"id: {id}\n"
    return f"{place}event: {kind}\ndata: {what.model_dump_json()}\n\n"
