"""The kill loop: searches and jobs whose processes are killed at random moments, and the check of their ledger.

Two searches in one home. In `ledger` each configuration trains a 27th first; the best are promoted, from their
checkpoints, to a ninth, a third and all of the training (`early_stopping: promotion`). In `breeding` a population
trains in rounds, members that fall behind go on from the checkpoints of better ones (`algorithm: evolutionary`). Their
reports follow by themselves, and the best of both are trained once more by jobs, the five best of one of them with
another seed, too. Every trial and every job keeps a book of what it found and did. Used by a short test and by
`benchmarks/kill_loop.py`.

On PostgreSQL two controllers share the work, and connections, the server and the controllers' turns are hit as well.
"""

from __future__ import annotations

import json
import os
import random
import signal
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
from sqlalchemy import make_url

from tests.postgres import Server
from tunewell.cli.program import WRONG_INPUT
from tunewell.controller.job_run import checksum
from tunewell.home.home import Home
from tunewell.schedulers.claims import Claims
from tunewell.schedulers.processes import is_alive
from tunewell.schedulers.records import Process
from tunewell.service.service import Service
from tunewell.spec.errors import ConflictError
from tunewell.spec.states import LOST_CAUSES, JobState
from tunewell.store.rows import JobRow

LEDGER, BREEDING = "ledger", "breeding"
TRIALS: Mapping[str, int] = {LEDGER: 30, BREEDING: 6}
#: Steps of a full training.
STEPS = 27
#: Longest wait for a process to be there, and for all work of a long-lived controller to end.
PATIENCE_SECONDS, END_SECONDS = 60.0, 300.0
Victim = Literal[
    "controller",
    "fork_server",
    "supervisor",
    "trial",
    "server",
    "connection",
    "pause",
    "launcher",
    "worker",
    "client",
    "sleeper",
]
#: A trial is the process of a trial or of a job, a supervisor that of either.
VICTIMS: tuple[Victim, ...] = ("controller", "fork_server", "supervisor", "trial")
#: What is hit on PostgreSQL besides: its server crashes and starts again, it ends the connection of a client, and a
#: controller does nothing for longer than the server keeps a session of which it hears nothing.
SERVER_VICTIMS: tuple[Victim, ...] = ("server", "connection", "pause")
PAUSE_SECONDS = 8.0
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
    worker = os.environ.get("WORKER")
    line = json.dumps({"kind": kind, "work": work, "attempt": attempt, "worker": worker, **facts}) + "\\n"
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

#: A controller for all work of a home (and its database, if that is elsewhere), until somebody puts a file there.
CONTROLLER = """
import sys, threading, time
from pathlib import Path
from tunewell.service.running import run_all
from tunewell.service.service import Service
from tunewell.store.errors import Unreachable

home, stop = Path(sys.argv[1]), threading.Event()


def opened():
    # It may be started while the server is away, as whatever starts it again would do again and again.
    while True:
        try:
            return Service(home, *sys.argv[2:])
        except Unreachable:
            time.sleep(0.1)


with opened() as service:
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
    #: Whether long-lived controllers take what verbs record; else the commands run what they ask for themselves.
    served: bool = False
    #: URL of a database on PostgreSQL, and its server; default: the home's own database.
    database: str | None = None
    server: Server | None = None
    #: How often each kind of victim was hit.
    kills: Counter[Victim] = field(default_factory=Counter)
    #: The processes that control, and the command that starts one.
    _controllers: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)
    _command: Sequence[str] = ()

    @property
    def home(self) -> Path:
        """Home of the searches."""
        return self.folder / "home"

    @property
    def victims(self) -> Sequence[Victim]:
        """All that can be hit."""
        return VICTIMS if self.server is None else (*VICTIMS, *SERVER_VICTIMS)

    def run(self, generator: random.Random, kills: int, victims: Sequence[Victim] = ()) -> None:
        """Run searches and jobs, hitting `victims` (default: all) at random moments.

        At most `kills` are hit during the first search.
        """
        victims, fewer = victims or self.victims, min(kills // 2, MOST_KILLS_OF_A_JOB)
        self._write()
        if self.served:
            self._serve(generator, kills + fewer, victims)
        else:
            for search, most in ((LEDGER, kills), (BREEDING, fewer)):
                self._drive(command(self.folder / f"{search}.yaml", self.home, self.database), generator, most, victims)
            for search in (BREEDING, LEDGER):
                again = [*_TUNEWELL, "retrain", search, *_place(self.home, self.database)]
                self._drive(again, generator, fewer, victims)
            seeds = [*_TUNEWELL, "repeat", LEDGER, "--seeds", "1", *_place(self.home, self.database)]
            self._drive(seeds, generator, fewer, victims)
        self._retry_lost()

    def _retry_lost(self) -> None:
        """Retry, as people may, the jobs that have failed because their processes were killed again and again."""
        with self._service() as service:
            for job in service.store.jobs(states=(JobState.FAILED,)):
                if job.cause in LOST_CAUSES and not _made_again(service, job):
                    service.retry_job(job.id)
                    service.carry_out(job.id)

    def _service(self) -> Service:
        return Service(self.home, self.database)

    def _drive(self, command: Sequence[str], generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Run a command to its end; after each kill of it, and where it met no server, it is run again."""
        self._begin(command)
        self._kill_some(generator, kills, victims)
        (controller,) = self._controllers
        if controller.wait(timeout=END_SECONDS) == WRONG_INPUT and _met_no_server(self._log):
            controller = self._start()
        assert controller.wait(timeout=END_SECONDS) == 0, (command, self._log.read_text())

    def _serve(self, generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Ask for everything while one controller after the other, or two at once, carry out what is on record."""
        with self._service() as service:
            for search in TRIALS:
                service.create(json.loads((self.folder / f"{search}.yaml").read_text()))
        place = [str(self.home)] if self.database is None else [str(self.home), self.database]
        self._begin([sys.executable, "-c", CONTROLLER, *place], count=1 if self.server is None else 2)
        try:
            self._kill_some(generator, kills, victims)
            self._wait(lambda service: all(service.experiment(search).state.final for search in TRIALS))
            with self._service() as service:
                for search in TRIALS:
                    service.retrain(search)
                for key in "ab":  # two who ask at once have the same trainings made
                    service.repeat_finalists(LEDGER, 1, key=key)
            self._kill_some(generator, min(kills, MOST_KILLS_OF_A_JOB), victims)
            self._wait(lambda service: not service.store.open_jobs())
        finally:
            (self.home / "stop").touch()
            for controller in self._controllers:
                controller.wait(timeout=END_SECONDS)

    def _begin(self, command: Sequence[str], count: int = 1) -> None:
        """Start the controllers."""
        self._command = command
        self._controllers = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log)

    @property
    def _log(self) -> Path:
        return self.folder / "controllers.log"

    def _wait(self, until: Callable[[Service], bool]) -> None:
        """Wait for what the controllers bring about."""
        deadline = time.monotonic() + END_SECONDS
        while not self._looks(until):
            assert all(controller.poll() is None for controller in self._controllers), "a controller has ended"
            assert time.monotonic() < deadline, "it takes too long"
            time.sleep(0.1)

    def _looks(self, so: Callable[[Service], bool]) -> bool:
        """Whether something is so on record; looked up in a connection of its own, for others are cut."""
        with Service(self.home, self.database, access="read") as service:
            return so(service)

    def _kill_some(self, generator: random.Random, kills: int, victims: Sequence[Victim]) -> None:
        """Hit victims while controllers run, first those that were hit least; who is killed is started again."""
        order: Sequence[Victim] = ()
        for number in range(kills):
            if number % len(victims) == 0:
                order = sorted(generator.sample(victims, len(victims)), key=self.kills.__getitem__)
            time.sleep(generator.uniform(0.0, 1.0))  # the random moment is what is tested
            if not self.served and self._is_idle():
                break
            if self._hit(order[number % len(victims)], generator):
                self.kills[order[number % len(victims)]] += 1

    def _write(self) -> None:
        """Write program and specs."""
        self.folder.mkdir(parents=True, exist_ok=True)
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

    def _hit(self, victim: Victim, generator: random.Random) -> bool:
        """Hit one victim of this kind, once there is one, unless all work ends before; return whether there was one."""
        number = generator.randrange(len(self._controllers))
        controller = self._controllers[number]
        match victim:
            case "controller":
                controller.kill()
                controller.wait()
                self._controllers[number] = self._start()
                return True
            case "pause":
                controller.send_signal(signal.SIGSTOP)
                time.sleep(PAUSE_SECONDS)
                controller.send_signal(signal.SIGCONT)
                return True
            case "server":
                assert self.server is not None
                self.server.stop(signal.SIGQUIT)
                self.server.start()
                return True
            case "connection":
                clients = self._find(self._clients, generator)
                if clients and self.server is not None:
                    self.server.end_client(generator.choice(clients))
                return bool(clients)
            case _:
                processes = self._find(lambda: self._processes(victim), generator)
                if processes:
                    with suppress(psutil.Error):
                        psutil.Process(generator.choice(processes)).kill()
                return bool(processes)

    def _find(self, victims: Callable[[], list[int]], generator: random.Random) -> list[int]:
        """Return the victims that there are a moment after the first one has come up; none if all work ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not victims() and not self._is_idle():
            assert time.monotonic() < deadline, "there is no victim"
            time.sleep(0.01)
        time.sleep(generator.uniform(0.0, 0.3))  # else all would be hit when they begin
        return victims()

    def _is_idle(self) -> bool:
        """Whether a command has ended, or long-lived controllers have nothing left to do."""
        if not self.served or any(controller.poll() is not None for controller in self._controllers):
            return any(controller.poll() is not None for controller in self._controllers)
        return self._looks(lambda service: not service.store.open_jobs() and not service.store.open_experiments())

    def _processes(self, victim: Victim) -> list[int]:
        if victim == "fork_server":
            return [process for controller in self._controllers for process in _fork_servers(controller.pid)]
        return list(self._supervised(victim))

    def _clients(self) -> list[int]:
        assert self.server is not None and self.database is not None
        return self.server.clients(str(make_url(self.database).database))

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
        return {trial["number"]: trial["parameters"] for trial in self._exported() if not trial["resume_from"]}

    def _exported(self) -> list[dict[str, Any]]:
        with self._service() as service:
            return exported(service)

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
        with Service(self.home, self.database, access="write") as service:
            for search in TRIALS:
                wrong += [f"{search}: {problem}" for problem in _check_search(service, search, lines)]
            wrong += _check_jobs(service, lines)
            wrong += _check_results(service)
            wrong += check_locks(service)
        wrong += [f"process {process} is left over" for process in leftovers(self.home)]
        wrong += [f"{claim.folder} still holds a claim" for claim in Claims(Home(self.home).claims).held()]
        if (self.home / "set-aside").exists():
            wrong.append("something was set aside")
        return wrong


_TUNEWELL = (sys.executable, "-m", "tunewell")


def command(spec: Path, home: Path, database: str | None = None) -> list[str]:
    """Return the command that starts the search, and goes on with it."""
    return [*_TUNEWELL, "search", str(spec), *_place(home, database), "--json"]


def _place(home: Path, database: str | None) -> list[str]:
    return ["--home", str(home), *(["--database", database] if database is not None else [])]


def _met_no_server(log: Path) -> bool:
    """Whether a command ended because the server of the database was just about to start again."""
    return "the database can't be reached" in log.read_text().rpartition("\nerror: ")[2]


def exported(service: Service, name: str = LEDGER) -> list[dict[str, Any]]:
    """Return all trials as `tunewell export` gives them."""
    program = [*_TUNEWELL, "export", name, *_place(service.home.folder, service.store.url), "--format", "json"]
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
    trials = exported(service, search)
    if [trial["number"] for trial in trials] != list(range(1, TRIALS[search] + 1)):
        yield f"numbers are not 1 to {TRIALS[search]}: {[trial['number'] for trial in trials]}"
        return
    if not any(trial["resume_from"] for trial in trials):
        yield "no trial goes on from another one"
    for trial in trials:
        own = [line for line in lines if line["work"] == [search, trial["number"]]]
        yield from (f"trial {trial['number']}: {problem}" for problem in check_trial(search, trial, own, trials))
    best = max(trial["value"] or 0 for trial in trials if trial["fidelity"] == 1)
    found = service.result(search).best
    if found is None or found.value != best:
        yield f"best is {found}, recorded is {best}"


def check_trial(
    search: str,
    trial: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    trials: Sequence[Mapping[str, Any]],
    with_book: bool = True,
) -> Iterator[str]:
    """Yield what is wrong with a trial; `with_book`: each of its steps must have been done once."""
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
    if not with_book:
        return
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
        if _made_again(service, job):
            continue
        own = [line for line in lines if line["work"] == ["job", job.id]]
        yield from (f"job {job.id} ({job.kind}): {problem}" for problem in _check_job(service, job, own))
    unknown = {line["work"][1] for line in lines if line["work"][0] == "job"} - {job.id for job in jobs}
    yield from (f"job {number} ran and is not on record" for number in unknown)
    if any(job.kind == "repeats" for job in jobs):
        made = Counter(job.arguments["trial"] for job in jobs if job.kind == "repeat" and not _made_again(service, job))
        best = list({str(trial.parameters): trial.number for trial in reversed(service.result(LEDGER).top)}.values())
        if made != Counter(best):
            yield f"with another seed, trials {sorted(made.elements())} were trained, not {sorted(best)} once each"


def _made_again(service: Service, job: JobRow) -> bool:
    """Whether a training that was lost too often was asked for again, and made by another job."""
    others = service.store.jobs(job.experiment, "repeat", [JobState.SUCCEEDED]) if job.kind == "repeat" else []
    return job.state is JobState.FAILED and any(other.arguments == job.arguments for other in others)


def _check_job(service: Service, job: JobRow, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if job.state is not JobState.SUCCEEDED:
        said = service.job_log(job.id).data.decode()[-2000:]
        yield f"it is {job.state} ({job.cause}: {job.detail}), and said: {said}"
        return
    if max((line["attempt"] for line in lines), default=0) > job.attempt:
        yield "an attempt ran that is not on record"
    if job.kind in ("retrain", "repeat"):
        assert job.experiment is not None and job.result is not None
        trials = exported(service, job.experiment)
        is_repeat = job.kind == "repeat"
        trial = trials[(job.arguments if is_repeat else job.result)["trial"] - 1]
        value = job.result["value"] if is_repeat else job.result["metrics"]["score"]
        legs = _legs(trial, trials)
        if job.experiment == LEDGER:
            legs = [Leg(STEPS, trial["parameters"]["x"])]
        if job.part != len(legs) - 1:
            yield f"{job.part} parts before its last one are on record, not {len(legs) - 1}"
        if value != score(legs, STEPS):
            yield f"its result is {value}, not {score(legs, STEPS)}"
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


def check_locks(service: Service) -> Iterator[str]:
    """Yield that a lock is still held, if one is."""
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
    while found := processes_of(home):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _fork_servers(controller: int) -> list[int]:
    try:
        children = psutil.Process(controller).children()
        return [child.pid for child in children if "tunewell.schedulers.fork_server" in child.cmdline()]
    except psutil.Error:
        return []


def processes_of(home: Path) -> list[int]:
    """Return processes that work in this home now."""
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
