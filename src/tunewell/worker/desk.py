"""What all slots of a worker share: the scheduler of their machine, and whether to go on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from tunewell.client.answers import Unavailable
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import Ended, Event, Launch, Refused, WorkKey

#: Wait between two tries while the service is away.
RETRY_SECONDS = 1.0
#: How long a worker that is to end tries to tell the service.
FAREWELL_SECONDS = 10.0

Answer = TypeVar("Answer")
#: Told a line for people.
Tell = Callable[[str], None]
#: Where the events of one run come.
Line = queue.SimpleQueue[Event]


class Desk:
    """Starts and watches programs for all slots. One thread calls `look`, any may call the rest."""

    def __init__(self, tell: Tell) -> None:
        """Begin with no program; `tell` is told what people should know."""
        # GPUs are not counted: programs use those that the environment of the worker shows.
        self._scheduler = LocalScheduler(gpus=())
        self.cores = self._scheduler.capacity().cpus
        self._lock = threading.Lock()
        self._lines: dict[WorkKey, Line] = {}
        self._tell, self._telling = tell, threading.Lock()
        self._away = False
        self._stopping = threading.Event()
        self._stopped_at = 0.0
        #: How often the worker was asked to end.
        self.interrupts = 0

    def close(self) -> None:
        """Let go of all programs."""
        self._scheduler.close()

    @property
    def interrupted(self) -> bool:
        """Whether the worker is to end."""
        return self._stopping.is_set()

    @property
    def farewell_is_over(self) -> bool:
        """Whether a worker that is to end tells the service no more."""
        return self.interrupted and time.monotonic() > self._stopped_at + FAREWELL_SECONDS

    def interrupt(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Have the worker end; twice: at once. May be a handler of signals."""
        del number, frame
        self.interrupts += 1
        if not self.interrupted:
            self._stopped_at = time.monotonic()
            self._stopping.set()

    def start(self, launch: Launch) -> Line:
        """Have a program started."""
        line: Line = queue.SimpleQueue()
        with self._lock:
            self._lines[launch.key] = line
            self._scheduler.submit(launch)
        return line

    def stop(self, key: WorkKey, grace_seconds: float | None = None) -> None:
        """Have a program end."""
        with self._lock:
            self._scheduler.stop(key, grace_seconds)

    def look(self) -> None:
        """Hand on what happened to programs."""
        with self._lock:
            self._scheduler.poll(self._hand_on, 0.0)

    def _hand_on(self, event: Event) -> None:
        line = self._lines.get(event.key)
        if line is not None:
            line.put(event)
        if isinstance(event, Ended | Refused):
            self._lines.pop(event.key, None)

    def say(self, line: str) -> None:
        """Tell people something."""
        with self._telling:
            self._tell(line)

    def tried(self, call: Callable[[], Answer]) -> Answer | None:
        """Make a call of the service; None: it is away, and a while has passed."""
        try:
            answer = call()
        except Unavailable as error:
            if not self._away:
                self._away = True
                self.say(f"{error} It is tried again; programs go on.")
            time.sleep(RETRY_SECONDS)
            return None
        if self._away:
            self._away = False
            self.say("The service answers again.")
        return answer
