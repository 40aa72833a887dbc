"""The process in which a scheduler runs apart; see `tunewell.schedulers.apart`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tunewell.schedulers.contract import Scheduler
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Ended, Event, Refused, WorkKey

log = logging.getLogger(__name__)

#: How long it waits for events before it looks at its messages, and for messages if nothing runs.
STEP_SECONDS, IDLE_SECONDS = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Present:
    """What there is, at the time when so many messages had been taken."""

    capacity: Capacity
    taken: int
    #: Why nothing can run on it, for people; empty if something can.
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no scheduler."""

    detail: str


class _Closed(Exception):
    """The other side wants no more."""


def _serve(channel: Connection) -> None:
    """Run the scheduler that the first message asks for, until there are no more messages."""
    entry, arguments, sys.path[:] = channel.recv()
    module, _, name = entry.partition(":")
    try:
        make: Callable[..., Scheduler] = getattr(import_module(module), name)
        scheduler = make(**arguments)
    except Exception as error:
        channel.send(Problem(_sentence(error)))
        return
    try:
        _run(scheduler, channel)
    except _Closed:
        scheduler.close()
    except Exception as error:
        # Whatever it is, the next process begins anew, with what can be found of all attempts.
        log.exception("the scheduler fails")
        channel.send(Problem(f"the process that speaks with it failed: {_sentence(error)}"))
        os._exit(1)  # what is at work elsewhere in this process may hang


def _run(scheduler: Scheduler, channel: Connection) -> None:
    taken, told, running = 0, Present(Capacity(()), -1), set[WorkKey]()
    while True:
        while message := _received(channel, 0 if running else IDLE_SECONDS):
            method, values = message
            getattr(scheduler, method)(*values)
            taken += 1
            if method in ("submit", "reconcile"):
                running.update(launch.key for launch in (values if method == "submit" else values[0]))
            elif method == "release":
                running.difference_update(values[0])
        events: list[Event] = []
        scheduler.poll(events.append, STEP_SECONDS if running else 0.0)
        present = Present(scheduler.capacity(), taken, getattr(scheduler, "problem", ""))
        if present != told:  # first what is free, then what that comes of
            _send(channel, present)
            told = present
        for event in events:
            if isinstance(event, Ended | Refused):
                running.discard(event.key)
            _send(channel, event)


def _received(channel: Connection, seconds: float) -> Any:
    try:
        return channel.recv() if channel.poll(seconds) else None
    except (EOFError, OSError):
        raise _Closed from None


def _send(channel: Connection, message: object) -> None:
    try:
        channel.send(message)
    except OSError:
        raise _Closed from None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _silence_libraries() -> None:
    """Keep standard error for what is logged here: a foreign library that aborts prints its own stack there."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)


def main() -> None:
    """Serve on the socket whose descriptor is the only argument."""
    _silence_libraries()
    with suppress(EOFError, OSError):
        _serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    # The classes of messages belong to the module of this name, not to `__main__`.
    from tunewell.schedulers.apart_process import main as run

    run()
