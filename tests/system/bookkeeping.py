"""Searches whose trials keep a book of what they do, on a database that others break, and the check of that book."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.system.ledger import END_SECONDS, leftovers
from tunewell.home.home import Home
from tunewell.schedulers.claims import Claims
from tunewell.service.service import Service
from tunewell.spec.states import JobState


def slow(*cases: Callable[..., object]) -> list[ParameterSet]:
    """Return cases of a test that are left out where there is little time; a quick one stands for them."""
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


#: Notes when it begins and ends, by a clock that all processes share, and who has started it. Takes a while, and ends
#: once the gate of its search is open. So does what a job trains.
PROGRAM = """
import json, os, sys, time

folder, x = sys.argv[1], float(sys.argv[2])
job, trial = os.environ.get("TUNEWELL_JOB"), os.environ.get("TUNEWELL_TRIAL")
search = os.environ["TUNEWELL_EXPERIMENT"]
work = ["job", int(job)] if job else [search, int(trial)]

def note(kind):
    line = [time.monotonic(), kind, *work, int(os.environ["TUNEWELL_ATTEMPT"]), os.environ.get("STARTED_BY")]
    descriptor = os.open(folder + "/book.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (json.dumps(line) + "\\n").encode())
    os.close(descriptor)

note("begins")
time.sleep(0.2)
while not os.path.exists(folder + "/open-" + search):
    time.sleep(0.01)
print(f"score={x * x!r}", flush=True)
note("ends")
"""
_TUNEWELL = (sys.executable, "-m", "tunewell")


#: Kind of a note → work and number → attempts that have noted it.
Notes = Mapping[str, Mapping[tuple[str, int], set[int]]]


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the book."""

    #: Seconds of the monotonic clock.
    time: float
    #: `begins` or `ends`.
    kind: str
    #: The experiment, or `job`.
    work: str
    #: Of the trial or job.
    number: int
    attempt: int
    #: Which controller has started it.
    by: str | None


@dataclass
class Searches:
    """Searches in one home, run by processes that are ended with the stack."""

    folder: Path
    stack: ExitStack
    #: URL of the database, as the check reaches it.
    database: str
    #: Cores that a trial takes, and what starts it.
    cpus: int = 0
    scheduler: str = "local"
    #: How many trials each search has.
    trials: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.program.mkdir(parents=True, exist_ok=True)
        (self.program / "train.py").write_text(PROGRAM)

    @property
    def program(self) -> Path:
        """Folder of what trials run."""
        return self.folder / "program"

    @property
    def home(self) -> Path:
        """Home of all searches."""
        return self.folder / "home"

    def spec(self, name: str, trials: int, at_once: int = 2) -> Path:
        """Return the spec of a search."""
        self.trials[name] = trials
        content = {
            "name": name,
            "command": [sys.executable, "-S", "-E", "train.py", str(self.folder), "{x}"],
            "working_directory": str(self.program),
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"low": 0.0, "high": 1.0}},
            "algorithm": "random",
            "max_trials": trials,
            "max_concurrency": at_once,
            "max_attempts": 100,
            "resources": {"cpus": self.cpus},
            "scheduler": self.scheduler,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(content))
        return path

    def create(self, name: str, trials: int, at_once: int = 2) -> None:
        """Put a search on record."""
        spec = json.loads(self.spec(name, trials, at_once).read_text())
        with self.service() as service:
            service.create(spec)

    def open(self, *names: str) -> None:
        """Let the trials of searches end."""
        for name in names:
            (self.folder / f"open-{name}").touch()

    def service(self) -> Service:
        """Open the home over the database."""
        return Service(self.home, self.database)

    def is_served(self) -> bool:
        """Whether a controller runs all work of the home."""
        with self.service() as service:
            return service.home.is_served

    # Processes --------------------------------------------------------------------------------------------

    def start(self, *arguments: object, database: str, name: str) -> subprocess.Popen[str]:
        """Run a command of Tunewell; its trials note `name` as who has started them, `said(name)` is what it said."""
        command = [*_TUNEWELL, *map(str, arguments), "--home", str(self.home), "--database", database]
        with (self.folder / f"{name}.log").open("a") as log:
            environment = {**os.environ, "STARTED_BY": name}
            process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment)
        self.stack.callback(_end, process)
        return process

    def said(self, name: str) -> str:
        """Return what a process has written, errors included."""
        return (self.folder / f"{name}.log").read_text()

    # The check --------------------------------------------------------------------------------------------

    def book(self, kind: str = "begins") -> list[Note]:
        """Return what has been noted of a kind, in its order."""
        path = self.folder / "book.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [note for note in (Note(*json.loads(line)) for line in lines) if note.kind == kind]

    def begun(self, by: str | None = None, since: float = 0.0) -> set[str]:
        """Return the searches of which trials have begun that `by` has started (default: anybody), since a moment."""
        return {note.work for note in self.book() if note.time >= since and by in (None, note.by)} - {"job"}

    def all_ended(self) -> bool:
        """Whether all searches and jobs have ended."""
        with self.service() as service:
            return not service.store.open_experiments() and not service.store.open_jobs()

    def wait_for_end(self) -> None:
        """Wait until all searches and jobs have ended."""
        deadline = time.monotonic() + END_SECONDS
        while not self.all_ended():
            assert time.monotonic() < deadline, "it takes too long"
            time.sleep(0.1)

    def check(self, killed: bool = False) -> list[str]:
        """Return what is wrong after all has ended; empty if nothing is.

        Where a controller was `killed` or lost its work, an attempt may be on record that it had no time to start.
        """
        wrong = [f"{what} times {times}" for what, times in Counter(map(_what, self.book())).items() if times > 1]
        notes = {kind: self._attempts(kind) for kind in ("begins", "ends")}
        with self.service() as service:
            for name in self.trials:
                wrong += [f"{name}: {problem}" for problem in self._check_search(service, name, notes, killed)]
            wrong += self._check_jobs(service, notes, killed)
        wrong += [f"process {process} is left over" for process in leftovers(self.home)]
        wrong += [f"{claim.folder} still holds a claim" for claim in Claims(Home(self.home).claims).held()]
        if (self.home / "set-aside").exists():
            wrong.append("something was set aside")
        return wrong

    def _attempts(self, kind: str) -> Mapping[tuple[str, int], set[int]]:
        """Return the attempts that have noted this, by work and number."""
        found: dict[tuple[str, int], set[int]] = defaultdict(set)
        for note in self.book(kind):
            found[note.work, note.number].add(note.attempt)
        return found

    def _check_search(self, service: Service, name: str, notes: Notes, killed: bool) -> Iterator[str]:
        rows = list(service.store.iterate_trials(name))
        if [row.number for row in rows] != list(range(1, self.trials[name] + 1)):
            yield f"its trials are {[row.number for row in rows]}"
        events = Counter((event.kind, event.trial) for event in service.store.events(name, limit=10**6))
        for row in rows:
            if row.state.value != "succeeded" or row.value != row.parameters["x"] ** 2:
                yield f"trial {row.number} is {row.state} ({row.cause}: {row.detail}), {row.value} at {row.parameters}"
            told = {kind: events[kind, row.number] for kind in ("suggested", "started", "ended")}
            if told != {"suggested": 1, "started": row.attempt, "ended": 1}:
                yield f"trial {row.number} has {row.attempt} attempts and these events: {told}"
            yield from _check_attempts(notes, (name, row.number), row.attempt, killed)

    def _check_jobs(self, service: Service, notes: Notes, killed: bool) -> Iterator[str]:
        jobs = service.store.jobs()
        for job in jobs:
            if job.state is not JobState.SUCCEEDED:
                yield f"job {job.id} ({job.kind}) is {job.state} ({job.cause}: {job.detail})"
            if job.kind == "retrain":
                yield from _check_attempts(notes, ("job", job.id), job.attempt, killed)
        unknown = {note.number for note in self.book() if note.work == "job"} - {job.id for job in jobs}
        yield from (f"job {number} ran and is not on record" for number in unknown)


def _check_attempts(notes: Notes, what: tuple[str, int], recorded: int, killed: bool) -> Iterator[str]:
    begun, ended = notes["begins"][what], notes["ends"][what]
    on_record = set(range(1, recorded + 1))
    if not (begun <= on_record if killed else begun == on_record):
        yield f"{what}: attempts {begun} began, {recorded} are on record"
    if recorded not in ended:
        yield f"{what}: attempt {recorded} has not ended by itself"


def _what(note: Note) -> str:
    return f"{note.work} {note.number}, attempt {note.attempt} began"


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that a test has left, in an orderly way if it can, stopped or not."""
    for number in (signal.SIGCONT, signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
