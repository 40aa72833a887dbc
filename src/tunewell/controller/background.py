"""Calls that may take long, out of the controller's loop.

Whoever has such calls made is an *owner*: its calls are made one after the other, in a thread of its own, and what
follows from them is done in the loop again, in the same order. So nothing in the loop needs a lock.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")

#: Name of an experiment, or number of a job.
Key = str | int

#: How long the loop waits for an answer before it turns to something else: most come sooner.
PATIENCE_SECONDS = 0.002
#: How often Python lets another thread have its turn: what computes in Python must not hold the loop up.
SWITCH_SECONDS = 0.0001
#: How long a thread without calls is kept.
IDLE_SECONDS = 10.0


class Calls(Protocol):
    """Has the calls of one owner made."""

    def make(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        """Make a call, and in the loop do with its answer what `then` says; what either raises goes to the owner."""


class Direct:
    """Makes each call at once, in the loop: for calls that cost next to nothing."""

    def make(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        """Make the call now."""
        then(call())


@dataclass(frozen=True, slots=True)
class _Done:
    owner: Owner
    then: Callable[[Any], None]
    answer: Any
    error: BaseException | None


class Background:
    """The threads of all owners of one controller."""

    def __init__(self) -> None:
        """Start nothing yet."""
        sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._answered = threading.Event()
        #: Whether calls were asked for that the loop has not waited for yet.
        self._fresh = False
        #: Number of calls whose answers somebody waits for.
        self.outstanding = 0

    def owner(self, name: Key, on_error: Callable[[BaseException], None]) -> Owner:
        """Return a new owner; `on_error` is told, in the loop, what its calls, or what follows from them, raise."""
        return Owner(self, name, on_error)

    def deliver(self) -> set[Key]:
        """Do what follows from the calls that have been made; return the names of their owners. Called in the loop.

        For calls that were asked for just now a moment is waited, as most take no longer.
        """
        if self._fresh:
            self._fresh = False
            self._answered.wait(PATIENCE_SECONDS)
        self._answered.clear()
        owners: set[Key] = set()
        while True:
            try:
                done = self._done.get_nowait()
            except queue.Empty:
                return owners
            if not done.owner.closed:
                done.owner.outstanding -= 1
                self.outstanding -= 1
                owners.add(done.owner.name)
                done.owner.take(done)

    def note_call(self) -> None:
        """Take note of a call that is asked for."""
        self.outstanding += 1
        self._fresh = True

    def note_answer(self, done: _Done) -> None:
        """Take an answer, in the thread that it comes from."""
        self._done.put(done)
        self._answered.set()


class Owner:
    """The calls of one owner, made in a thread of its own."""

    def __init__(self, background: Background, name: Key, on_error: Callable[[BaseException], None]) -> None:
        """Start no thread yet."""
        self.name = name
        self.closed = False
        #: Number of its calls whose answers have not been delivered.
        self.outstanding = 0
        self._on_error = on_error
        self._background = background
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def make(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        """Have the call made in the owner's thread."""
        self.outstanding += 1
        self._background.note_call()
        with self._lock:
            self._calls.put((call, then))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def take(self, done: _Done) -> None:
        """Do what follows from a call; in the loop."""
        try:
            if done.error is not None:
                raise done.error
            done.then(done.answer)
        except Exception as error:  # one owner's failure is not the others'
            self._on_error(error)

    def close(self) -> None:
        """Do nothing more with answers; a call that is being made ends by itself, or never."""
        if not self.closed:
            self.closed = True
            self._background.outstanding -= self.outstanding

    def _work(self) -> None:
        while True:
            try:
                call, then = self._calls.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._calls.empty():
                        self._thread = None
                        return
                continue
            answer, error = None, None
            try:
                answer = None if self.closed else call()
            except BaseException as raised:
                error = raised
            self._background.note_answer(_Done(self, then, answer, error))
