"""The kill loop: searches and jobs whose processes are killed at random moments, and the check of their ledger.

Two searches in one home. In `ledger` each configuration trains a 27th first; the best are promoted, from their
checkpoints, to a ninth, a third and all of the training (`early_stopping: promotion`). In `breeding` a population
trains in rounds, members that fall behind go on from the checkpoints of better ones (`algorithm: evolutionary`). Their
reports follow by themselves, and the best of both are trained once more by jobs. Every trial and every job keeps a book
of what it found and did. Used by a short test and by `benchmarks/kill_loop.py`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from tunewell.controller.job_run import checksum
from tunewell.home.home import Home
from tunewell.schedulers.claims import Claims
from tunewell.schedulers.processes import is_alive
from tunewell.schedulers.records import Process
from tunewell.service.service import Service
from tunewell.service.types import OWNER
from tunewell.spec.errors import ConflictError
from tunewell.spec.states import LOST_CAUSES, JobState
from tunewell.store.rows import JobRow

LEDGER, BREEDING = "ledger", "breeding"
TRIALS: Mapping[str, int] = {LEDGER: 30, BREEDING: 6}
#: Steps of a full training.
STEPS = 27
#: Longest wait for a process to be there, and for all work of a long-lived controller to end.
PATIENCE_SECONDS, END_SECONDS = 60.0, 300.0
Victim = Literal["controller", "fork_server", "supervisor", "trial"]
#: A trial is the process of a trial or of a job, a supervisor that of either.
VICTIMS: tuple[Victim, ...] = ("controller", "fork_server", "supervisor", "trial")
#: Most kills while one job is carried out: one whose processes are lost more often has failed.
MOST_KILLS_OF_A_JOB = 4

#: Trains from where the checkpoint is to the share of the steps that it is given. What it computes depends on the
#: parameter at each step alone. Each line of the book is written at once.
PROGRAM = """
import json, os, sys, time

book, x, folder, fidelity, padding = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
job, attempt = os.environ.get("TUNEWELL_JOB"), int(os.environ["TUNEWELL_ATTEMPT"])
work = ["job", int(job)] if job else [os.environ["TUNEWELL_EXPERIMENT"], int(os.environ["TUNEWELL_TRIAL"])]

def note(kind, **facts):
    line = json.dumps({"kind": kind, "work": work, "attempt": attempt, **facts}) + "\\n"
    descriptor = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

state = {"step": 0, "sum": 0, "by": None}
if os.path.exists(folder + "/state.json"):
    state = json.load(open(folder + "/state.json"))
    whole = os.path.getsize(folder + "/last") == padding and os.path.islink(folder + "/last")
    note("found", step=state["step"], by=state["by"], sum=state["sum"], whole=whole)
else:
    with open(folder + "/weights", "wb") as file:
        file.write(os.urandom(padding))
    if not os.path.islink(folder + "/last"):
        os.symlink("weights", folder + "/last")
    note("found", step=0, by=None, sum=0, whole=True)
last = round(27 * fidelity)
if state["step"] == last:
    print(f"step={last} score={state['sum']}", flush=True)
while state["step"] < last:
    step = state["step"] + 1
    state = {"step": step, "sum": (state["sum"] * 31 + step * x) % 1000003, "by": work}
    time.sleep(0.02)
    with open(folder + "/state.new", "w") as file:
        json.dump(state, file)
    os.replace(folder + "/state.new", folder + "/state.json")
    note("step", step=step)
    print(f"step={step} score={state['sum']}", flush=True)
"""

#: A controller for all work of a home, for as long as nobody puts a file there.
CONTROLLER = """
import sys, threading
from pathlib import Path
from tunewell.service.running import run_all
from tunewell.service.service import Service

home, stop = Path(sys.argv[1]), threading.Event()
with Service(home) as service:
    run_all(service.store, service.home, stop, lambda situation: (home / "stop").exists() and stop.set())
"""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a training: up to which step, and with which parameter."""

    last: int
    x: int


@dataclass
class Round:
    """Two searches, and jobs about them, in a folder of its own."""

    folder: Path
    #: Bytes of a file in the checkpoint, which make copying it slow.
    padding: int = 1000
    #: Whether one long-lived controller takes what verbs record; else the commands run what they ask for themselves.
    served: bool = False
    #: How often each kind of process was killed.
    kills: Counter[Victim] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        """Home of the searches."""
        return self.folder / "home"

    def run(self, generator: random.Random, kills: int, victims: Sequence[Victim] = VICTIMS) -> None:
        """Run searches and jobs, killing processes at random moments: at most `kills` during the first search."""
        fewer = min(kills // 2, MOST_KILLS_OF_A_JOB)
        self._write()
        if self.served:
            self._serve(generator, kills + fewer, victims)
            self._retry_lost()
            return
        for search, most in ((LEDGER, kills), (BREEDING, fewer)):
            again = command(self.folder / f"{search}.yaml", self.home)
            self._drive(again, generator, most, victims)
        for search in (BREEDING, LEDGER):
            self._drive([*_TUNEWELL, "retrain", search, "--home", str(self.home)], generator, fewer, victims)
        self._retry_lost()

    def _retry_lost(self) -> None:
        """Retry, as people may, the jobs that have failed because their processes were killed again and again."""
        with Service(self.home) as service:
            for job in service.store.jobs(states=(JobState.FAILED,)):
                if job.cause in LOST_CAUSES:
                    service.retry_job(job.id, caller=OWNER)
                    service.carry_out(job.id)

    def _drive(self, command: Sequence[str], generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Run a command to its end; after each kill of it, it is run again."""
        controller = self._kill_some(lambda: _start(command, self.folder), generator, kills, victims)
        assert controller.wait(timeout=END_SECONDS) == 0, (command, (self.folder / "controllers.log").read_text())

    def _serve(self, generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Ask for everything while one controller after the other carries out what is on record."""
        start = [sys.executable, "-c", CONTROLLER, str(self.home)]
        with Service(self.home) as service:
            for search in TRIALS:
                service.create(json.loads((self.folder / f"{search}.yaml").read_text()), caller=OWNER)
            controller = self._kill_some(lambda: _start(start, self.folder), generator, kills, victims)
            try:
                _wait(lambda: all(service.experiment(search).state.final for search in TRIALS), controller)
                for search in TRIALS:
                    service.retrain(search, caller=OWNER)
                controller = self._kill_some(
                    lambda: _start(start, self.folder), generator, min(kills, MOST_KILLS_OF_A_JOB), victims, controller
                )
                _wait(lambda: not service.store.open_jobs(), controller)
            finally:
                (self.home / "stop").touch()
                controller.wait(timeout=END_SECONDS)

    def _kill_some(
        self,
        start: Callable[[], subprocess.Popen[bytes]],
        generator: random.Random,
        kills: int,
        victims: Sequence[Victim],
        controller: subprocess.Popen[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Kill processes while a controller runs, which is started anew each time; return the last one."""
        controller = controller or start()
        for number in range(kills):
            if number % len(victims) == 0:
                order = generator.sample(victims, len(victims))
            time.sleep(generator.uniform(0.0, 1.0))  # the random moment is what is tested
            if controller.poll() is not None:
                break
            if self._kill(order[number % len(victims)], controller, generator) == controller.pid:
                controller.wait()
                controller = start()
        return controller

    def _write(self) -> None:
        """Write program and specs."""
        self.folder.mkdir(parents=True)
        (self.folder / "train.py").write_text(PROGRAM)
        arguments = ["{x}", "{checkpoint_dir}", "{fidelity}", str(self.padding)]
        shared = {
            "command": [sys.executable, "-S", "-E", "train.py", str(self._book), *arguments],
            "working_directory": str(self.folder),
            "objective": {"metric": "score", "goal": "maximize"},
            "parameters": {"x": {"low": 0, "high": 1000000}},
            "max_concurrency": 2,
            "max_attempts": 1000,
            "seed": 1,
        }
        searches: dict[str, dict[str, Any]] = {
            LEDGER: {"algorithm": "random", "early_stopping": "promotion"},
            BREEDING: {"algorithm": {"name": "evolutionary", "population_size": 2, "rounds": 3}},
        }
        for name, facts in searches.items():
            spec = {"name": name, **shared, **facts, "max_trials": TRIALS[name]}
            (self.folder / f"{name}.yaml").write_text(json.dumps(spec))

    def _kill(self, victim: Victim, controller: subprocess.Popen[bytes], generator: random.Random) -> int | None:
        """Kill one process of this kind, once there is one, unless all work ends before; return which it was."""
        found = [controller.pid]
        if victim != "controller":
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not (found := self._processes(victim, controller)) and not self._is_idle(controller):
                assert time.monotonic() < deadline, f"there is no {victim}"
                time.sleep(0.01)
            time.sleep(generator.uniform(0.0, 0.3))  # else all would be killed when they begin
            found = self._processes(victim, controller)
        if not found:
            return None
        process = generator.choice(found)
        with suppress(psutil.Error):
            psutil.Process(process).kill()
        self.kills[victim] += 1
        return process

    def _is_idle(self, controller: subprocess.Popen[bytes]) -> bool:
        """Whether the controller has ended, or has nothing left to do."""
        if controller.poll() is not None or not self.served:
            return controller.poll() is not None
        with Service(self.home, access="read") as service:
            return not service.store.open_jobs() and not service.store.open_experiments()

    def _processes(self, victim: Victim, controller: subprocess.Popen[bytes]) -> list[int]:
        return _fork_servers(controller.pid) if victim == "fork_server" else list(self._supervised(victim))

    def _supervised(self, victim: Victim) -> Iterator[int]:
        for pattern in ("experiments/*/trials/*/*/supervisor.json", "jobs/*/*/supervisor.json"):
            for path in self.home.glob(pattern):
                record = json.loads(path.read_text())
                if is_alive(Process(**record[victim])):
                    yield record[victim]["pid"]

    # The check --------------------------------------------------------------------------------------------

    @property
    def _book(self) -> Path:
        return self.folder / "book.jsonl"

    def attempts(self) -> int:
        """Return how many attempts began."""
        return sum(line["kind"] == "found" for line in self._lines())

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._book.read_text().splitlines()]

    def suggested(self) -> dict[int, Any]:
        """Return the parameters of each promoted search's trial that goes on from no other one."""
        return {trial["number"]: trial["parameters"] for trial in exported(self.home) if not trial["resume_from"]}

    def check(self, suggested: Mapping[int, Any]) -> list[str]:
        """Return what is wrong with the ledger after all has ended; empty if nothing is.

        `suggested` is what an uninterrupted search suggests. Which trials are promoted, and when, depends on which ones
        are the first to end; the rest may not.
        """
        lines = self._lines()
        done = [(line["kind"], *line["work"], line["attempt"], line["step"]) for line in lines]
        wrong = [f"{what} was done {times} times" for what, times in Counter(done).items() if times > 1]
        own = self.suggested()
        differ = [number for number, parameters in own.items() if suggested.get(number, parameters) != parameters]
        if differ:
            wrong.append(f"an uninterrupted search suggests others than trials {differ}")
        with Service(self.home, access="write") as service:
            for search in TRIALS:
                wrong += [f"{search}: {problem}" for problem in _check_search(service, search, lines)]
            wrong += _check_jobs(service, lines)
            wrong += _check_results(service)
            wrong += _check_locks(service)
        wrong += [f"process {process} is left over" for process in leftovers(self.home)]
        wrong += [f"{claim.folder} still holds a claim" for claim in Claims(Home(self.home).claims).held()]
        if (self.home / "set-aside").exists():
            wrong.append("something was set aside")
        return wrong


_TUNEWELL = (sys.executable, "-m", "tunewell")


def command(spec: Path, home: Path) -> list[str]:
    """Return the command that starts the search, and goes on with it."""
    return [*_TUNEWELL, "search", str(spec), "--home", str(home), "--json"]


def exported(home: Path, name: str = LEDGER) -> list[dict[str, Any]]:
    """Return all trials as `tunewell export` gives them."""
    program = [*_TUNEWELL, "export", name, "--home", str(home), "--format", "json"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    trials: list[dict[str, Any]] = json.loads(done.stdout)["trials"]
    return trials


def score(legs: Sequence[Leg], steps: int) -> int:
    """Return what the program computes in the first `steps` of a training."""
    total, step = 0, 0
    for leg in legs:
        while step < min(leg.last, steps):
            step += 1
            total = (total * 31 + step * leg.x) % 1000003
    return total


def _legs(trial: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[Leg]:
    """Return the parts of a trial's training, those before its own included."""
    own = Leg(round(STEPS * trial["fidelity"]), trial["parameters"]["x"])
    parent = trial["resume_from"]
    return [*(_legs(trials[parent - 1], trials) if parent else []), own]


def _check_search(service: Service, search: str, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    trials = exported(service.home.folder, search)
    if [trial["number"] for trial in trials] != list(range(1, TRIALS[search] + 1)):
        yield f"numbers are not 1 to {TRIALS[search]}: {[trial['number'] for trial in trials]}"
        return
    if not any(trial["resume_from"] for trial in trials):
        yield "no trial goes on from another one"
    for trial in trials:
        own = [line for line in lines if line["work"] == [search, trial["number"]]]
        yield from (f"trial {trial['number']}: {problem}" for problem in _check_trial(search, trial, own, trials))
    best = max(trial["value"] or 0 for trial in trials if trial["fidelity"] == 1)
    found = service.result(search).best
    if found is None or found.value != best:
        yield f"best is {found}, recorded is {best}"


def _check_trial(
    search: str,
    trial: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    trials: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    legs, parent = _legs(trial, trials), trial["resume_from"]
    last = legs[-1].last
    if trial["state"] != "succeeded":
        yield f"it is {trial['state']} ({trial['cause']}: {trial['detail']})"
        return
    if trial["value"] != score(legs, last):
        yield f"its value is {trial['value']}, not {score(legs, last)}"
    if max((line["attempt"] for line in lines), default=0) > trial["attempts"]:
        yield "an attempt ran that is not on record"
    reports = {report["step"]: report["metrics"]["score"] for report in trial["reports"]}
    if reports != {step: score(legs, step) for step in reports} or max(reports, default=0) != last:
        yield f"its reports are not what was computed: {reports}"
    if search == LEDGER and parent and trials[parent - 1]["parameters"] != trial["parameters"]:
        yield f"it goes on from trial {parent}, which has other parameters"
    at_start = legs[-2].last if parent else 0
    owners = {step: [search, trial["number"] if step > at_start else parent] for step in range(1, last + 1)}
    yield from _check_book(lines, legs, at_start, owners)


def _check_book(
    lines: Sequence[Mapping[str, Any]], legs: Sequence[Leg], at_start: int, owners: Mapping[int, Any]
) -> Iterator[str]:
    """Check that each step from `at_start` on was done once, from a checkpoint of who has done the step before."""
    done = at_start
    for line in lines:
        if line["kind"] == "found":
            # A step may have been saved, but not booked, when the process was killed.
            right = line["sum"] == score(legs, line["step"]) and line["step"] in (done, done + 1)
            if not right or not line["whole"]:
                yield f"attempt {line['attempt']} found {line} where step {done} had been reached"
            if line["by"] != owners.get(line["step"]):
                yield f"attempt {line['attempt']} goes on from the checkpoint of {line['by']}"
            done = line["step"]
        elif line["step"] != done + 1:
            yield f"attempt {line['attempt']} did step {line['step']} after step {done}"
        else:
            done = line["step"]
    if done != legs[-1].last:
        yield f"it ended at step {done} of {legs[-1].last}"


def _check_jobs(service: Service, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    jobs = service.store.jobs()
    for search in TRIALS:
        for kind in ("report", "retrain"):
            if not any(job.kind == kind and job.experiment == search for job in jobs):
                yield f"{search} has no {kind} job"
    for job in jobs:
        own = [line for line in lines if line["work"] == ["job", job.id]]
        yield from (f"job {job.id} ({job.kind}): {problem}" for problem in _check_job(service, job, own))
    unknown = {line["work"][1] for line in lines if line["work"][0] == "job"} - {job.id for job in jobs}
    yield from (f"job {number} ran and is not on record" for number in unknown)


def _check_job(service: Service, job: JobRow, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if job.state is not JobState.SUCCEEDED:
        yield f"it is {job.state} ({job.cause}: {job.detail})"
        return
    if max((line["attempt"] for line in lines), default=0) > job.attempt:
        yield "an attempt ran that is not on record"
    if job.kind == "retrain":
        assert job.experiment is not None and job.result is not None
        trials = exported(service.home.folder, job.experiment)
        trial = trials[job.result["trial"] - 1]
        legs = _legs(trial, trials)
        if job.experiment == LEDGER:
            legs = [Leg(STEPS, trial["parameters"]["x"])]
        if job.part != len(legs) - 1:
            yield f"{job.part} parts before its last one are on record, not {len(legs) - 1}"
        if job.result["metrics"]["score"] != score(legs, STEPS):
            yield f"its result is {job.result['metrics']}, not {score(legs, STEPS)}"
        yield from _check_book(lines, legs, 0, {step: ["job", job.id] for step in range(1, STEPS + 1)})
    if job.kind == "report" and not Path(str(job.result and job.result["report"])).is_file():
        yield f"its report is not there: {job.result}"


def _check_results(service: Service) -> Iterator[str]:
    home = service.home.folder
    for search in TRIALS:
        for kind in ("evaluation", "finalist", "model"):
            for row in service.store.results(search, kind):  # type: ignore[arg-type]
                if row.file is not None and checksum(home / row.file) != row.sha256:
                    yield f"{search}: {row.file} is not what is on record"


def _check_locks(service: Service) -> Iterator[str]:
    with suppress(ConflictError):
        for search in TRIALS:
            with service.home.lock(search):
                pass
        for job in service.store.jobs():
            with service.home.lock_job(job.id):
                pass
        return
    yield "a lock is still held"


def leftovers(home: Path) -> list[int]:
    """Return processes that work in this home and are not about to end."""
    deadline = time.monotonic() + 5
    while found := _processes_of(home):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "controllers.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _wait(until: Callable[[], bool], controller: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + END_SECONDS
    while not until():
        assert controller.poll() is None, "the controller has ended"
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.05)


def _fork_servers(controller: int) -> list[int]:
    try:
        children = psutil.Process(controller).children()
        return [child.pid for child in children if "tunewell.schedulers.fork_server" in child.cmdline()]
    except psutil.Error:
        return []


def _processes_of(home: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            text = " ".join(process.cmdline()) + str(process.environ().get("TUNEWELL_TRIAL_FOLDER", ""))
        except psutil.Error:
            continue
        if str(home) in text:
            found.append(process.pid)
    return found
