"""Jobs: what is done with an experiment besides its trials (evaluation, retraining, prediction, export).

A job runs like a trial, in a supervised process of its own, so that it is limited, logged and classified in
the same way. Its arguments lie in `job.json` in its folder.
"""

from __future__ import annotations

import fcntl
import re
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from tunewell.controller.sequence import Sequence
from tunewell.home.home import Home
from tunewell.schedulers import records
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.errors import DataError, TunewellError
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Report, Resources
from tunewell.spec.states import Cause
from tunewell.trial.files import write_json

#: Trial number under which jobs are started: no trial has it.
JOB_TRIAL = 0

OnReport = Callable[[Report], None]

#: What a job that is stopped has to end by itself.
_GRACE_SECONDS = 2.0
_JOB = re.compile(r"([0-9]+)-[a-z-]+")


class JobFailed(TunewellError):
    """A job ended without its result; the message says why and, unless the input was wrong, where its log lies."""

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


def job_launch(home: Home, experiment: str, verb: str, arguments: Mapping[str, Any]) -> Launch:
    """Make a job's folder with its arguments and return a launch that still lacks the program.

    Raises:
        DataError: it can't be written.
    """
    home.claim(experiment)
    jobs, identity = home.experiment(experiment) / "jobs", uuid.uuid4().hex
    try:
        number, folder = _new_folder(jobs, verb)
        records.make_folder(folder, identity)
        for part in ("artifacts", "checkpoint"):
            (folder / part).mkdir()
        write_json(folder / "job.json", dict(arguments))
        write_json(folder / "parameters.json", arguments.get("parameters", {}))
    except OSError as error:
        raise DataError(f"it can't be written ({error.strerror})", field=str(jobs)) from None
    return Launch(key=AttemptKey(experiment, JOB_TRIAL, number), folder=folder, identity=identity)


def _new_folder(jobs: Path, verb: str) -> tuple[int, Path]:
    """Make the folder `NUMBER-VERB` with the next number; return number and folder."""
    jobs.mkdir(parents=True, exist_ok=True)
    while True:
        names = [_JOB.fullmatch(path.name) for path in jobs.iterdir()]
        number = 1 + max((int(name[1]) for name in names if name), default=0)
        folder = jobs / f"{number}-{verb}"
        with suppress(FileExistsError):  # another process was faster
            folder.mkdir()
            return number, folder


def run_job(launch: Launch, on_report: OnReport = lambda report: None) -> Path:
    """Run a job to its end with all cores and one GPU, if there is one; return its folder.

    SIGTERM interrupts it as SIGINT does; the job is ended before `KeyboardInterrupt` is raised. One that lives on
    because its caller was killed is ended by the next one of the experiment.

    Raises:
        JobFailed: it ended without success.
    """
    with _called(launch.folder), closing(LocalScheduler()) as scheduler, _terminable():
        _end_forsaken(launch.folder.parent)
        gpus = min(1, scheduler.slots(Resources(cpus=1, gpus=1)))
        resources = Resources(cpus=max(1, scheduler.slots(Resources(cpus=1))), gpus=gpus)
        scheduler.start(replace(launch, resources=resources))
        outcome = _wait(scheduler, launch, on_report)
    if outcome.cause is not None or outcome.stopped:
        why = outcome.detail or str(outcome.cause)
        why += "" if why.endswith((".", "?", "!")) else "."
        log = "" if outcome.cause is Cause.DATA_ERROR else f" The whole log: {launch.folder / 'output.log'}"
        raise JobFailed(why + log, outcome.cause)
    return launch.folder


@contextmanager
def _called(job: Path) -> Iterator[bool]:
    """Hold the lock that shows that somebody waits for the job; give False where another one has it."""
    with (job / "caller.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _end_forsaken(jobs: Path) -> None:
    """End the jobs that nobody waits for any more: their results go nowhere, but they hold memory and GPU."""
    for folder in jobs.iterdir():
        launch = records.read_launch(folder) if _JOB.fullmatch(folder.name) else None
        if launch is None or records.read_exit(folder) is not None:
            continue
        with _called(folder) as forsaken, closing(LocalScheduler()) as scheduler:
            if forsaken and scheduler.adopt(launch) == "alive":
                scheduler.stop(launch.key, _GRACE_SECONDS)
                _wait(scheduler, launch, lambda report: None)


def _wait(scheduler: LocalScheduler, launch: Launch, on_report: OnReport) -> Exit:
    ends: list[Exit] = []
    sequence = Sequence(launch.metric)

    def take(event: Event) -> None:
        if isinstance(event, Ended):
            ends.append(event.exit)
        else:
            on_report(sequence.place(event.report))

    try:
        while not ends:
            scheduler.poll(take, 0.2)
    except KeyboardInterrupt:
        scheduler.stop(launch.key, _GRACE_SECONDS)
        while not ends:
            scheduler.poll(take, 0.2)
        raise
    return ends[0]


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
