"""Logs over HTTP: the whole, a part of it (`Range`), or what is still being printed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import NamedTuple, cast

from anyio.to_thread import run_sync
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tunewell.api.answers import SANDBOXED, json_of
from tunewell.api.asked import prefers_json
from tunewell.api.lanes import lanes_of
from tunewell.api.problems import Refusal
from tunewell.api.readers import Reader
from tunewell.service.types import LogPart
from tunewell.service.verbs import LOG_BYTES
from tunewell.spec.errors import UserError

#: Offset and most bytes → that part of a log.
ReadLog = Callable[[int, int], LogPart]
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_TEXT = "text/plain; charset=utf-8"
#: Bytes that are read at once: each part asks the database where the log is.
_PART_BYTES = 1 << 18
#: How often a log is looked at while it is being printed.
_LOOK_SECONDS = 0.3


class Wanted(NamedTuple):
    """Which part of a log is asked for."""

    offset: int
    limit: int
    follow: bool


def answer(request: Request, read: ReadLog, wanted: Wanted) -> Response:
    """Return a log as text, or a part of it as JSON where that is asked for by name.

    Raises:
        Refusal: the range that is asked for begins behind the end, or the caller follows too many logs.
    """
    if prefers_json(request):
        return json_of(read(wanted.offset, wanted.limit))
    if wanted.follow:
        return FollowedLog(Reader(request, lanes_of(request).logs), read, read(wanted.offset, LOG_BYTES))
    size = read(wanted.offset, 0).size_bytes
    place = None if wanted.offset else _range(request.headers.get("range", ""), size)
    if place is None:
        return _text(read, range(wanted.offset, size), 200, {})
    return _text(read, place, 206, {"Content-Range": f"bytes {place.start}-{place.stop - 1}/{size}"})


class FollowedLog(StreamingResponse):
    """A log as an answer that goes on while it is printed."""

    def __init__(self, reader: Reader, read: ReadLog, first: LogPart) -> None:
        """Send a log to a reader from a part on."""
        super().__init__(_followed(reader, read, first), headers=SANDBOXED, media_type=_TEXT)
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until it ends, or nobody listens any more."""
        async with self._reader.turn():
            await super().__call__(scope, receive, send)


class Looks:
    """Looks at the logs that are followed: one look serves all who follow a log and have come equally far."""

    def __init__(self) -> None:
        """Begin without any."""
        # Log and offset → the look for what is printed there.
        self._looks: dict[tuple[str, int], asyncio.Task[LogPart]] = {}

    async def part(self, read: ReadLog, before: LogPart) -> LogPart:
        """Return the part of a log behind one that was read; if that was empty, there may be something in a while."""
        place = (before.path, before.next)
        look = self._looks.get(place)
        if look is None:
            look = self._looks[place] = asyncio.create_task(_look(read, before))
            look.add_done_callback(lambda done: self._forget(place, done))
        return await asyncio.shield(look)

    def _forget(self, place: tuple[str, int], look: asyncio.Task[LogPart]) -> None:
        del self._looks[place]
        if not look.cancelled():
            look.exception()  # nobody may have waited for it to the end


async def _look(read: ReadLog, before: LogPart) -> LogPart:
    if not before.data:
        await asyncio.sleep(_LOOK_SECONDS)
    return await run_sync(read, before.next, LOG_BYTES)


def _range(header: str, size: int) -> range | None:
    """Return the bytes that a `Range` header asks for; None: it asks for none that are served on their own."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        begin, end = max(size - int(last), 0), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:
            return None  # as the standard has it
    if begin >= size:
        raise Refusal(
            416,
            f"the log has {size} bytes so far",
            kind="no-such-part",
            field="Range",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return range(begin, end)


def _text(read: ReadLog, place: range, status: int, headers: dict[str, str]) -> Response:
    headers = {"Accept-Ranges": "bytes", **SANDBOXED, **headers}
    return StreamingResponse(_parts(read, place), status, headers, _TEXT)


def _parts(read: ReadLog, place: range) -> Iterator[bytes]:
    offset = place.start
    while offset < place.stop and (part := read(offset, min(_PART_BYTES, place.stop - offset))).data:
        yield part.data
        offset = part.next


async def _followed(reader: Reader, read: ReadLog, part: LogPart) -> AsyncIterator[bytes]:
    """Yield a log from a part on until its attempt has ended, or the reader's time is over."""
    path, looks = part.path, cast(Looks, reader.request.app.state.looks)
    while True:
        if part.data:
            yield part.data
        if part.ended or not await reader.goes_on(partial(read, part.next, 0)):
            return
        try:
            part = await looks.part(read, part)
        except UserError:  # it was deleted, or the database does not answer: the reader asks again
            return
        if part.path != path:  # another attempt has begun
            return
