"""A search that runs elsewhere, shown like one that runs here."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO, get_args

from rich.console import Console

from tunewell.display.lines import ProgressLines, started_line
from tunewell.display.live import LiveTable
from tunewell.service.paging import every
from tunewell.service.runs import Situation
from tunewell.service.types import JobKind
from tunewell.service.verbs import Verbs
from tunewell.service.wire import progress_line
from tunewell.spec.errors import DataError
from tunewell.spec.states import ExperimentState, JobState

#: How often it is looked what a search does.
LOOK_SECONDS = 0.5
#: For how long a search that is paused may take to begin again, where it is to go on.
_BEGIN_SECONDS = 15.0
#: Jobs that belong to a search.
_FOLLOW_UPS = frozenset(get_args(JobKind)) & {"prepare", "finalists", "finalist", "evaluate", "report"}
_OPEN = (JobState.RUNNING, JobState.WAITING)
_HINT = "Ctrl-C leaves it running."


def follow_search(verbs: Verbs, name: str, console: Console, *, goes_on: bool) -> bool:
    """Show a search until it has ended and what follows it, too, or until it is paused; return whether it has ended.

    `goes_on`: although it may be paused, it is about to go on.

    Raises:
        KeyboardInterrupt: whoever looked on has seen enough; the search goes on.
    """
    if not console.is_terminal:
        return follow_lines(verbs, name, sys.stderr if console.stderr else sys.stdout, goes_on=goes_on)
    watch = _Watch(verbs, name, goes_on)
    with watch.heeding(), LiveTable(verbs, name, console) as table:
        while watch.look():
            table.update(watch.situation)
            time.sleep(LOOK_SECONDS)
    return watch.has_ended


def follow_lines(verbs: Verbs, name: str, stream: TextIO | None = None, *, goes_on: bool) -> bool:
    """Do what `follow_search` does with a line for all that happens, on `stream` or else on standard output."""
    print(started_line(verbs.overview(name, 1)), file=stream, flush=True)
    watch, lines = _Watch(verbs, name, goes_on), ProgressLines(verbs, name, stream)
    with watch.heeding():
        lines.tell(_HINT)
        while watch.look():
            lines.update(watch.situation)
            time.sleep(LOOK_SECONDS)
        lines.close()
    return watch.has_ended


def wait_for_search(
    verbs: Verbs, name: str, *, goes_on: bool, on_step: Callable[[Situation], None] = lambda situation: None
) -> bool:
    """Do what `follow_search` does, and show nothing; `on_step` is called after each look."""
    watch = _Watch(verbs, name, goes_on)
    with watch.heeding():
        while watch.look():
            on_step(watch.situation)
            time.sleep(LOOK_SECONDS)
    return watch.has_ended


class _Watch:
    """What is known of a search from look to look."""

    def __init__(self, verbs: Verbs, name: str, goes_on: bool) -> None:
        self._verbs, self._name = verbs, name
        self._begins_until = time.monotonic() + _BEGIN_SECONDS if goes_on else 0.0
        self.situation = Situation("", False, hint=_HINT)
        self.has_ended = False
        self._left = False

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Have Ctrl-C end the looking on for sure: a KeyboardInterrupt alone can get lost in a library's callback."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def leave(number: int, frame: FrameType | None) -> NoReturn:
            del number, frame
            self._left = True
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, leave)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def look(self) -> bool:
        """Look, and return whether there is more to be seen; a server that is away may come back.

        Raises:
            KeyboardInterrupt: there was a Ctrl-C.
        """
        if self._left:
            raise KeyboardInterrupt
        try:
            state = self._verbs.experiment(self._name).state
            resting = state.final or state is ExperimentState.PAUSED
            if not resting:
                self._begins_until = 0.0
            jobs = list(every(lambda at: self._verbs.jobs(experiment=self._name, states=_OPEN, cursor=at)))
        except DataError as error:
            self.situation = Situation(str(error), False, hint=_HINT)
            return True
        following = [job for job in jobs if job.kind in _FOLLOW_UPS]
        running = next((job for job in following if job.state is JobState.RUNNING), None)
        self.situation = Situation("", False, progress_line(running) if running else "", hint=_HINT)
        self.has_ended = state.final
        begins = not state.final and time.monotonic() < self._begins_until
        return not resting or bool(following) or begins
