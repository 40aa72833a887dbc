"""Answers that are more than a wire type."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TypeVar
from urllib.parse import quote

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from tunewell.api.lanes import stream_lengthy
from tunewell.api.settings import BASE
from tunewell.service.types import Job, Page, Wire
from tunewell.spec.names import from_address

log = logging.getLogger(__name__)

#: Bytes of a download that are sent at once, and how long a client may take until the next ones can be.
PIECE, TAKEN_SECONDS = 1 << 16, 60.0

Item = TypeVar("Item")
#: What keeps a browser from taking a file of a user for a page of ours.
SANDBOXED = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}
#: The same for a chart, which has its styles within.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
#: The same for a report, whose scripts may run where they reach nothing.
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "sandbox allow-scripts allow-downloads"
)


def whole(items: Iterable[Item]) -> Page[Item]:
    """Return a list that has one page only."""
    return Page(items=tuple(items))


def json_of(answer: Wire, status: int = 200) -> Response:
    """Return a wire type as an answer."""
    return Response(answer.model_dump_json(), status, media_type="application/json")


def located(request: Request, response: Response, path: str) -> None:
    """Say where what was made can be found; `path` is below the base."""
    response.headers["Location"] = f"{request.scope.get('root_path', '')}{BASE}{path}"
    if not request.path_params:  # then nothing else says in the audit log what it was about
        request.state.about = from_address(path.rpartition("/")[2])


def accepted(request: Request, response: Response, job: Job) -> Job:
    """Say where a job that was asked for is to be found."""
    located(request, response, f"/jobs/{job.id}")
    return job


def streamed(request: Request, parts: Iterator[str | bytes], media_type: str, name: str = "") -> StreamingResponse:
    """Return parts as a file to be saved, called `name`; what goes wrong before the first one is an error as usual.

    For routes that take long: each part is a piece of lengthy work of its own.
    """
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return _streamed(request, parts, media_type, {"Content-Disposition": disposition})


def shown(request: Request, parts: Iterator[bytes], media_type: str) -> StreamingResponse:
    """Return parts as a picture that pages show, as `streamed` does; browsers keep it for an hour."""
    headers = {"Content-Disposition": "inline", "Cache-Control": "private, max-age=3600"}
    return _streamed(request, parts, media_type, headers)


def _streamed(
    request: Request, parts: Iterator[str | bytes], media_type: str, headers: Mapping[str, str]
) -> StreamingResponse:
    first = [*islice(parts, 1)]
    return _Streamed(request, first, parts, {**headers, **SANDBOXED}, media_type)


class _NotTaken(Exception):
    """Nothing of a download was taken for too long."""


class _Streamed(StreamingResponse):
    """Parts that hold something until all are sent, such as the files of a home: given up where nobody takes them."""

    def __init__(
        self,
        request: Request,
        first: list[str | bytes],
        parts: Iterator[str | bytes],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(stream_lengthy(request, chain(first, parts)), headers=headers, media_type=media_type)
        self._parts = parts

    async def stream_response(self, send: Send) -> None:
        """Send the parts in pieces, each of which must be taken in time."""

        async def in_time(message: Message) -> None:
            body = message.get("body", b"")
            for start in range(0, len(body) or 1, PIECE):
                last = start + PIECE >= len(body)
                piece = {**message, "body": body[start : start + PIECE]} if body else message
                try:
                    async with asyncio.timeout(TAKEN_SECONDS):
                        await send(piece if last else {**piece, "more_body": True})
                except TimeoutError:  # not one of the parts, which may come from a disk elsewhere
                    raise _NotTaken from None

        try:
            await super().stream_response(in_time)
        except _NotTaken:  # the server ends the connection, since the answer is not whole
            log.warning("a download is given up: nothing of it was taken for %g s", TAKEN_SECONDS)
        finally:
            if isinstance(self._parts, Generator):
                with CancelScope(shield=True):  # who has gone away has cancelled all that is waited for here
                    await run_sync(self._parts.close)
