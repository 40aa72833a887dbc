"""A scheduler with a folder to work in, for tests: start, wait, look."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tunewell.schedulers import records
from tunewell.schedulers.contract import LOST, Scheduler
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Refused, Report, Reported, Started, WorkKey
from tunewell.spec.states import Cause

#: What the folders of all attempts here have.
IDENTITY = "0" * 32
CHILDREN = Path(__file__).parent / "children"
#: No wait of a test takes longer; on a busy machine everything takes its time.
PATIENCE_SECONDS = 60.0


def wait_until(condition: Callable[[], Any], meanwhile: Callable[[], Any] = lambda: time.sleep(0.005)) -> Any:
    """Return the first true value of `condition`; fail if there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        meanwhile()
    return value


def script(name: str, *arguments: object) -> tuple[str, ...]:
    """Return the command that runs one of the scripts in `children`."""
    return (sys.executable, "-S", str(CHILDREN / f"{name}.py"), *map(str, arguments))


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that the attempt in `folder` has started by executing a program, zombies left out."""
    return [process for process, of in _trial_processes() if of == folder]


def processes_below(folder: Path) -> list[psutil.Process]:
    """Return the processes that attempts anywhere in `folder` have started by executing a program."""
    return [process for process, of in _trial_processes() if of.is_relative_to(folder)]


def _trial_processes() -> Iterator[tuple[psutil.Process, Path]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            folder = process.environ().get("TUNEWELL_TRIAL_FOLDER")
            if folder:
                yield process, Path(folder)


def has_ended(pid: int) -> bool:
    """Whether there is no process `pid`, or only its zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Bench:
    """Starts attempts on a scheduler and collects what comes of them."""

    def __init__(self, folder: Path, scheduler: Scheduler | None = None) -> None:
        """Work in `folder`; by default with a local scheduler of four cores."""
        self.folder = folder
        self.scheduler = scheduler if scheduler is not None else LocalScheduler(cpus=4, gpus=())
        self.events: list[Event] = []
        self.begun: set[WorkKey] = set()
        self.started: set[WorkKey] = set()
        #: Fields of every launch that says nothing else.
        self.fields: dict[str, Any] = {}
        #: Makes another scheduler of the kind.
        self.new_scheduler: Callable[[], Scheduler] | None = None

    def launch(self, number: int = 1, parameters: Mapping[str, Any] | None = None, **fields: Any) -> Launch:
        """Return a launch with a folder that is ready for it."""
        folder = self.folder / str(number) / "1"
        records.make_folder(folder, IDENTITY)
        (folder / "parameters.json").write_text(json.dumps(parameters or {}))
        fields = {"working_directory": self.folder, "parameters": parameters or {}, **self.fields, **fields}
        return Launch(key=AttemptKey("bench", number, 1), folder=folder, identity=IDENTITY, **fields)

    def start(self, launch: Launch) -> Launch:
        """Hand an attempt to the scheduler."""
        self.scheduler.submit(launch)
        self.begun.add(launch.key)
        return launch

    def release(self, launch: Launch) -> None:
        """Let go of an attempt."""
        self.scheduler.release([launch.key])
        self.begun.discard(launch.key)

    def end_all(self) -> None:
        """End what was started and has not ended: another bench uses the scheduler after this one."""
        for key in self.begun:
            self.scheduler.stop(key, 0.0)
        self.wait_until(
            lambda: self.begun <= {event.key for event in self.events if isinstance(event, Ended | Refused)}
        )

    def poll(self, timeout: float = 0.05) -> None:
        """Collect events."""
        self.scheduler.poll(self._note, timeout)

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self.started.add(event.key)
        if isinstance(event, Reported) and event.key in self.begun:
            assert event.key in self.started, "an attempt has reported before it was told that it has started"
        self.events.append(event)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Poll until `condition` holds."""
        return wait_until(condition, self.poll)

    def take_over(self, launch: Launch) -> str:
        """Have the scheduler take over an attempt; return what it answers: that it is alive, ended or unknown."""
        before = len(self.events)
        self.scheduler.reconcile([launch])
        self.wait_until(lambda: any(isinstance(event, Started | Ended) for event in self._later(launch, before)))
        answers = [event for event in self._later(launch, before) if isinstance(event, Started | Ended)]
        if isinstance(answers[0], Started):
            return "alive"
        return "unknown" if answers[0].exit == Exit(Cause.NODE_LOST, LOST) else "ended"

    def _later(self, launch: Launch, before: int) -> list[Event]:
        return [event for event in self.events[before:] if event.key == launch.key]

    def exit_of(self, launch: Launch) -> Exit | None:
        """Return how an attempt ended, None if that is not known yet."""
        ends = [event for event in self.events if isinstance(event, Ended) and event.key == launch.key]
        assert len(ends) <= 1, "an attempt ended twice"
        return ends[0].exit if ends else None

    def reports_of(self, launch: Launch) -> list[Report]:
        """Return the reports of an attempt so far."""
        return [event.report for event in self.events if isinstance(event, Reported) and event.key == launch.key]

    def finish(self, launch: Launch) -> Exit:
        """Wait for the end of an attempt."""
        exit_ = self.wait_until(lambda: self.exit_of(launch))
        assert isinstance(exit_, Exit)
        return exit_

    def run(self, launch: Launch) -> Exit:
        """Start an attempt and wait for its end."""
        return self.finish(self.start(launch))

    def wait_for_output(self, launch: Launch, text: str = "ready") -> str:
        """Wait until an attempt has printed `text`; return all that it has printed."""
        log = launch.folder / "output.log"
        self.wait_until(lambda: log.exists() and text in log.read_text(errors="replace"))
        return log.read_text(errors="replace")

    def supervisor_of(self, launch: Launch) -> dict[str, Any]:
        """Wait for supervisor.json and return it."""
        path = launch.folder / "supervisor.json"
        self.wait_until(path.exists)
        return dict(json.loads(path.read_text()))

    def successor(self) -> Bench:
        """Return a bench on the same folder with a scheduler that knows nothing yet."""
        successor = Bench(self.folder, self.new_scheduler() if self.new_scheduler is not None else None)
        successor.fields = dict(self.fields)
        return successor


def with_environment(launch: Launch, **variables: str) -> Launch:
    """Return the launch with more environment variables."""
    return replace(launch, environment={**launch.environment, **variables})


def open_descriptors() -> int:
    """Return the number of this process's open descriptors."""
    return len(list(Path("/proc/self/fd").iterdir()))
