"""Who may have how much done at once: kinds of work have threads of their own, and each caller a share of them.

What is quick is done in threads that nothing lengthy is done in. What waits for its turn has no thread.
"""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial, wraps
from typing import Any, TypeVar, cast

from anyio import CapacityLimiter, Semaphore
from anyio.to_thread import run_sync
from fastapi import Request

from tunewell.api.metrics import MODEL_REQUESTS, MODEL_SECONDS
from tunewell.api.problems import Refusal, status_of
from tunewell.service.types import Caller
from tunewell.spec.errors import UserError
from tunewell.spec.launch import AttemptKey

Result = TypeVar("Result")

#: Threads for checks that may measure a training: one measures, the other says that one does.
MEASURING_THREADS = 2
#: Threads of lengthy work, and of uploads, in one process.
LENGTHY_THREADS, UPLOAD_THREADS = 4, 4
#: Threads that wait for what models say, and how many requests to models one caller may have answered at once.
ASKING_THREADS, ASKING_OF_ONE = 8, 4
#: How many lengthy pieces of work one caller has done at once, and how many parts of files one may send.
LENGTHY_OF_ONE, PARTS_OF_ONE = 2, 4
#: How many event streams one caller may read at once from one process, and how many logs follow.
STREAMS_OF_ONE, LOGS_OF_ONE = 32, 32
#: How many requests of one caller may wait for their turn, those that have it included.
MOST_WAITING = 50


class Turns:
    """Lets each who comes do so much at once; what comes beyond that waits."""

    def __init__(self, at_once: int, most: int) -> None:
        """Take how much one may do at once, and how much that may be with what waits."""
        self._at_once, self._most = at_once, most
        self._semaphores: dict[Hashable, Semaphore] = {}
        # Whose → how many have their turn, or wait for it.
        self._counts: Counter[Hashable] = Counter()

    def check(self, whose: Hashable) -> None:
        """Raise a `Refusal` where somebody has too much already."""
        if self._counts[whose] >= self._most:
            raise Refusal(
                429,
                f"you have {self._most} requests of this kind that are not at their end",
                kind="too-many",
                remedy="Wait for the end of one",
                headers={"Retry-After": "1"},
            )

    @asynccontextmanager
    async def turn(self, whose: Hashable) -> AsyncIterator[None]:
        """Wait for a turn of somebody's, and have it as long as the block lasts."""
        semaphore = self._semaphores.setdefault(whose, Semaphore(self._at_once))
        self._counts[whose] += 1
        try:
            async with semaphore:
                yield
        finally:
            self._counts[whose] -= 1
            if not self._counts[whose]:
                del self._counts[whose], self._semaphores[whose]


class Lane:
    """The threads for a kind of work, and whose turn it is."""

    def __init__(self, threads: int, of_one: int) -> None:
        """Take how many threads there are, and how much one caller may have done at once."""
        self._threads = CapacityLimiter(threads)
        self.turns = Turns(of_one, MOST_WAITING)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do a piece of work of somebody who has a turn."""
        return await run_sync(work, limiter=self._threads)


class Lanes:
    """Those of one process."""

    def __init__(self) -> None:
        """Make them."""
        self.lengthy = Lane(LENGTHY_THREADS, LENGTHY_OF_ONE)
        self.measuring = Lane(MEASURING_THREADS, LENGTHY_OF_ONE)
        self.uploads = Lane(UPLOAD_THREADS, PARTS_OF_ONE)
        self.asking = Lane(ASKING_THREADS, ASKING_OF_ONE)
        self.streams = Turns(STREAMS_OF_ONE, STREAMS_OF_ONE)
        self.logs = Turns(LOGS_OF_ONE, LOGS_OF_ONE)


def lanes_of(request: Request) -> Lanes:
    """Return those of the process that answers a request."""
    return cast(Lanes, request.app.state.lanes)


def whose(request: Request) -> Hashable:
    """Return whose share a request counts to."""
    caller = cast(Caller | None, request.state.caller)
    return caller.name if caller is not None else cast(AttemptKey, request.state.attempt)


async def run_lengthy(request: Request, work: Callable[[], Result]) -> Result:
    """Do a piece of lengthy work for whoever asks, when it is their turn; raise a `Refusal` where they ask too much."""
    return await _checked_run(request, lanes_of(request).lengthy, work)


async def run_asking(request: Request, work: Callable[[], Result]) -> Result:
    """Ask a model for whoever asks, when it is their turn; raise a `Refusal` where they ask too much."""
    begun, outcome = time.monotonic(), "failed"
    try:
        answer = await _checked_run(request, lanes_of(request).asking, work)
        outcome = "answered"
        MODEL_SECONDS.observe(time.monotonic() - begun)
        return answer
    except UserError as error:
        status = status_of(error)
        outcome = "busy" if status == 429 else "failed" if status >= 500 else "rejected"
        raise
    finally:
        MODEL_REQUESTS.labels(outcome).inc()


async def _checked_run(request: Request, lane: Lane, work: Callable[[], Result]) -> Result:
    lane.turns.check(whose(request))
    return await _run(request, lane, work)


async def _run(request: Request, lane: Lane, work: Callable[[], Result]) -> Result:
    async with lane.turns.turn(whose(request)):
        return await lane.run(work)


def takes_long(
    endpoint: Callable[..., Any], measures: Callable[[Mapping[str, Any]], bool] = lambda arguments: False
) -> Callable[..., Any]:
    """Have a route, which is no coroutine, do lengthy work; it stands right above the function.

    `measures` tells of its arguments whether a training may be measured, which takes longer than all else.
    """
    signature = inspect.signature(endpoint)
    asks = "request" in signature.parameters
    request_parameter = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
    parameters = {**signature.parameters, **({} if asks else {"request": request_parameter})}

    @wraps(endpoint)
    async def waits(request: Request, **arguments: Any) -> Any:
        given = {**arguments, "request": request} if asks else arguments
        lanes = lanes_of(request)
        lane = lanes.measuring if measures(arguments) else lanes.lengthy
        return await _checked_run(request, lane, partial(endpoint, **given))

    waits.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    return waits


async def stream_lengthy(request: Request, parts: Iterator[str | bytes]) -> AsyncGenerator[str | bytes]:
    """Yield parts that take some work each; what was begun is not refused."""
    lane = lanes_of(request).lengthy
    while (part := await _run(request, lane, partial(next, parts, None))) is not None:
        yield part
