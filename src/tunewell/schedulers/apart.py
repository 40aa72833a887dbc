"""A scheduler in a process of its own: what a foreign library does there, be it to abort, harms no controller.

The contract needs no answers, so calls are messages that way, and events and the capacity are messages back. Should the
process die, another one takes over all attempts by what they have left, as after the death of a controller; what has
been told of them is not told again.
"""

from __future__ import annotations

import math
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tunewell.schedulers.apart_process import Present, Problem
from tunewell.schedulers.contract import Sink
from tunewell.spec.capacity import Capacity
from tunewell.spec.launch import Ended, Event, Launch, Refused, Reported, Started, WorkKey
from tunewell.spec.secrets import without_private

#: Waits before the process is started again: the first one, and the longest.
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 30.0
#: How long a process that is started may take to begin, and to end when it is told to.
START_SECONDS, END_SECONDS = 120.0, 15.0
#: A process that has lived for so long was sound: should it die, the next one is started at once.
SOUND_SECONDS = 60.0
#: From so many events on, one `poll` hands over no more.
MOST_EVENTS = 1000


@dataclass(slots=True)
class _Known:
    """What was told of an attempt."""

    launch: Launch
    #: Number of the message that handed it over.
    number: int
    started: bool = False
    reports: int = 0
    #: Reports that come again, after the process was started again.
    again: int = 0
    #: Whether it was asked to end, and with which grace time.
    stopped: bool = False
    grace_seconds: float | None = None


class SchedulerApart:
    """Stands for a scheduler in another process. See `tunewell.schedulers.contract.Scheduler`."""

    def __init__(
        self,
        entry: str,
        arguments: Mapping[str, Any],
        *,
        variables: Mapping[str, str] | None = None,
        needs_folder: bool = True,
        keeps_checkpoints: bool = True,
        host: str = "",
        address: str = "",
        silent: str = "",
    ) -> None:
        """Start the process.

        Args:
            entry: `module:function`, which makes the scheduler there. What it raises is the `problem`.
            arguments: what it is called with, as keywords.
            variables: added to the environment of the process.
            needs_folder: what the scheduler there says of itself; likewise the others.
            keeps_checkpoints: see `Scheduler`.
            host: see `Scheduler`.
            address: where what it runs attempts on is reached, as people have named it.
            silent: the `problem` if the process ends before it has begun, without a word; for people.
        """
        self.needs_folder, self.keeps_checkpoints, self.host = needs_folder, keeps_checkpoints, host
        self.address = address
        #: Why there is nothing to run attempts on just now, for people; empty if there is.
        self.problem = ""
        self._entry, self._arguments, self._variables = entry, dict(arguments), dict(variables or {})
        self._known: dict[WorkKey, _Known] = {}
        self._present = Present(Capacity(()), 0)
        self._silent = silent
        self._number = 0
        self._is_ready = False
        #: What is to be told that no process has said.
        self._events: deque[Event] = deque()
        #: Why the process that runs now could not begin, if it has said so.
        self._said = ""
        self._retry_at, self._retry_seconds = 0.0, FIRST_RETRY_SECONDS
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        """Number of the other process; None while there is none."""
        return None if self._process is None else self._process.pid

    def wait_until_ready(self, seconds: float = START_SECONDS) -> bool:
        """Wait until there is a scheduler, or a `problem`; say whether there is one."""
        deadline = time.monotonic() + seconds
        while not self._is_ready and not self.problem and time.monotonic() < deadline:
            self._hear(lambda event: None, 0.1)
        return self._is_ready

    # Room -------------------------------------------------------------------------------------------------

    def capacity(self) -> Capacity:
        """Return what the other process said last, less what it had not been handed by then; nothing without it."""
        capacity = self._present.capacity
        for known in self._known.values():
            if known.number > self._present.taken:
                capacity = capacity.less(known.launch.resources)
        return capacity

    # Calls ------------------------------------------------------------------------------------------------

    def submit(self, launch: Launch) -> None:
        """See `Scheduler.submit`."""
        if self._process is None:
            self._events.append(Refused(launch.key, self.problem))
            return
        self._known[launch.key] = _Known(launch, self._number + 1)
        self._send("submit", launch)

    def preload(self, modules: tuple[str, ...]) -> None:
        """See `Scheduler.preload`."""
        self._send("preload", modules)

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """See `Scheduler.stop`."""
        if (known := self._known.get(key)) is not None:
            known.stopped, known.grace_seconds = True, grace_seconds
            self._send("stop", key, grace_seconds)

    def reconcile(self, launches: Sequence[Launch]) -> None:
        """See `Scheduler.reconcile`."""
        refused = {event.key for event in self._events}
        launches = tuple(launch for launch in launches if launch.key not in refused)
        for launch in launches:
            self._known[launch.key] = _Known(launch, self._number + 1)
        self._send("reconcile", launches)

    def release(self, keys: Sequence[WorkKey]) -> None:
        """See `Scheduler.release`."""
        for key in keys:
            self._known.pop(key, None)
        self._events = deque(event for event in self._events if event.key not in set(keys))
        self._send("release", tuple(keys))

    def close(self) -> None:
        """See `Scheduler.close`."""
        self._known.clear()
        self._messages.put(None)
        if self._process is not None:
            deadline = time.monotonic() + END_SECONDS
            with suppress(EOFError, OSError):  # what it still says is heard, so that it does not wait for that
                while time.monotonic() < deadline:
                    if self._channel.poll(0.1):
                        self._channel.recv()
            try:
                self._process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._channel.close()
        self._events.clear()
        self._is_ready, self._present = False, Present(Capacity(()), 0)
        self.problem = self.problem or "it was closed"
        self._retry_at = math.inf

    def poll(self, sink: Sink, timeout: float) -> None:
        """See `Scheduler.poll`."""
        if self._process is None and time.monotonic() >= self._retry_at:
            self._start()
            self._take_all_over()
        while self._events:
            sink(self._events.popleft())
            timeout = 0.0
        self._hear(sink, timeout)

    # The other process --------------------------------------------------------------------------------------

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tunewell.schedulers.apart_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**without_private(os.environ), **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt from the terminal is for the controller alone
            )
        self._channel = Connection(ours.detach())
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._number = 0
        self._present, self._said = Present(Capacity(()), 0), ""
        self._started_at = time.monotonic()
        own = Connection(os.dup(self._channel.fileno()))  # which nobody else closes while it is written to
        threading.Thread(target=_pump, args=(self._messages, own), daemon=True).start()
        self._messages.put((self._entry, self._arguments, list(sys.path)))

    def _send(self, method: str, *arguments: Any) -> None:
        self._number += 1
        self._messages.put((method, arguments))

    def _take_all_over(self) -> None:
        for known in self._known.values():
            known.again, known.number = known.reports, 1
        if self._known:
            self._send("reconcile", tuple(known.launch for known in self._known.values()))
        for key, known in self._known.items():
            if known.stopped:
                self._send("stop", key, known.grace_seconds)

    def _hear(self, sink: Sink, timeout: float) -> None:
        if self._process is None:
            time.sleep(min(timeout, max(0.0, self._retry_at - time.monotonic())))
            return
        if not self._is_ready and time.monotonic() - self._started_at > START_SECONDS:
            self._process.kill()
        heard, wait = 0, timeout
        while heard < MOST_EVENTS:
            try:
                if not self._channel.poll(wait):
                    return
                message = self._channel.recv()
            except (EOFError, OSError):
                self._on_death()
                return
            self._take(message, sink)
            heard, wait = heard + 1, 0.0

    def _take(self, message: Any, sink: Sink) -> None:
        if isinstance(message, Present):
            self._is_ready, self.problem = True, message.problem
            self._present = message
        elif isinstance(message, Problem):
            self.problem = self._said = message.detail
        elif self._is_news(message):
            sink(message)

    def _is_news(self, event: Event) -> bool:
        known = self._known.get(event.key)
        if known is None or known.number > self._present.taken:
            return False  # it was let go of meanwhile, or asked for anew, and is told again
        if isinstance(event, Started):
            news, known.started = not known.started, True
            return news
        if isinstance(event, Reported):
            if known.again:
                known.again -= 1
                return False
            known.reports += 1
        elif isinstance(event, Ended | Refused):
            del self._known[event.key]
        return True

    def _on_death(self) -> None:
        assert self._process is not None
        self._process.kill()
        code = self._process.wait()
        self._channel.close()
        self._messages.put(None)
        self._process, was_ready, self._is_ready = None, self._is_ready, False
        self._present = Present(Capacity(()), 0)
        silent = "" if was_ready else self._silent
        self.problem = self._said or silent or f"the process that speaks with it ended with {_ending(code)}"
        if time.monotonic() - self._started_at > SOUND_SECONDS and not self._said:
            self._retry_seconds = FIRST_RETRY_SECONDS
        self._retry_at = time.monotonic() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, LONGEST_RETRY_SECONDS)


def _ending(code: int) -> str:
    return f"code {code}" if code >= 0 else f"signal {-code}"


def _pump(messages: queue.SimpleQueue[Any], channel: Connection) -> None:
    """Send messages: the other process may take its time, and its reader must not keep a controller waiting."""
    with channel, suppress(OSError):
        while (message := messages.get()) is not None:
            channel.send(message)
        with socket.socket(fileno=os.dup(channel.fileno())) as ours:
            ours.shutdown(socket.SHUT_WR)
