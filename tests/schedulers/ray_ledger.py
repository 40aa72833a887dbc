"""The kill loop over Ray: attempts whose processes and nodes are killed at random moments, and the check of the ledger.

A small controller runs trials that count, each from the checkpoint that its last attempt has left at home. Whatever is
killed, each attempt begins at most once, each of its reports is told once and in order, it has one end, and nothing is
left of it on a node that lives. Used by a short test and by `benchmarks/ray_kill_loop.py`.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from tests.schedulers.bench import processes_below
from tests.schedulers.ray_cluster import RayCluster, scheduler_of
from tunewell.schedulers import records
from tunewell.schedulers.apart import SchedulerApart
from tunewell.spec.launch import AttemptKey, Ended, Event, Exit, Launch, Limits, Refused, Reported, Resources, Started
from tunewell.spec.states import LOST_CAUSES

Victim = Literal["scheduler", "controller", "slot", "supervisor", "trial", "raylet"]
VICTIMS: tuple[Victim, ...] = ("scheduler", "controller", "slot", "supervisor", "trial", "raylet")
#: Steps of a training, and the longest time that a round may take.
STEPS, END_SECONDS = 40, 300.0

#: Counts on from where its checkpoint is. What it computes depends on the steps alone, so nothing can be left out.
_PROGRAM = """
import json, os, sys, time
os.chdir(os.environ["TUNEWELL_TRIAL_FOLDER"])
def note(text):
    descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = " ".join([os.environ["TUNEWELL_TRIAL"], os.environ["TUNEWELL_ATTEMPT"], text]) + chr(10)
    os.write(descriptor, line.encode())
    os.close(descriptor)
state = {"step": 0, "sum": 0}
if os.path.exists("checkpoint/state.json"):
    state = json.load(open("checkpoint/state.json"))
note("begins %d" % state["step"])
while state["step"] < int(sys.argv[2]):
    step = state["step"] + 1
    state = {"step": step, "sum": (state["sum"] * 31 + step) % 1000003}
    time.sleep(0.05)
    with open("new", "w") as file: json.dump(state, file)
    os.replace("new", "checkpoint/state.json")
    with open("reports.jsonl", "a") as file: file.write(json.dumps({"score": state["sum"], "step": step}) + chr(10))
"""


def sum_at(step: int) -> int:
    """Return what the program has computed by a step."""
    total = 0
    for number in range(1, step + 1):
        total = (total * 31 + number) % 1000003
    return total


@dataclass
class _Told:
    """What was told of an attempt."""

    launch: Launch
    reports: list[tuple[int, float]] = field(default_factory=list)
    ends: list[Exit | None] = field(default_factory=list)


@dataclass
class Round:
    """Some trials in a home of their own, on a cluster that outlives them."""

    cluster: RayCluster
    folder: Path
    trials: int = 16
    kills: Counter[Victim] = field(default_factory=Counter)
    #: All that is wrong.
    wrong: list[str] = field(default_factory=list)
    _told: dict[AttemptKey, _Told] = field(default_factory=dict)
    _waiting: list[tuple[int, int]] = field(default_factory=list)
    _running: set[AttemptKey] = field(default_factory=set)

    def run(self, generator: random.Random, kills: int) -> None:
        """Run all trials to their ends, more if need be, with so many kills at random moments, and check the ledger."""
        self._waiting = [(number, 1) for number in range(1, self.trials + 1)]
        self._scheduler = self._new_scheduler()
        victims = [generator.choice(VICTIMS) for _ in range(kills)]
        deadline, kill_at = time.monotonic() + END_SECONDS, time.monotonic() + generator.uniform(0.5, 3.0)
        while self._waiting or self._running:
            if time.monotonic() > deadline:
                self.wrong.append(f"running {self._running}, waiting {self._waiting}: {self._scheduler.problem}")
                break
            if victims and not self._waiting:  # there is work until the last kill
                self.trials += 1
                self._waiting.append((self.trials, 1))
            self._start_what_fits()
            self._scheduler.poll(self._take, 0.05)
            if victims and time.monotonic() > kill_at:
                if self._hit(victims[-1], generator):
                    self.kills[victims.pop()] += 1
                else:
                    victims.insert(0, victims.pop())  # there is none just now
                kill_at = time.monotonic() + generator.uniform(0.2, 2.0)
        self._check()
        self._scheduler.close()
        self._check_what_is_left()

    def _new_scheduler(self) -> SchedulerApart:
        return scheduler_of(self.cluster, self.folder / "home", self.folder / "nodes")

    # The controller -----------------------------------------------------------------------------------------

    def _start_what_fits(self) -> None:
        for number, attempt in list(self._waiting):
            if not self._scheduler.capacity().free(Resources()):
                return
            self._waiting.remove((number, attempt))
            launch = self._launch(number, attempt)
            self._told[launch.key] = _Told(launch)  # type: ignore[index]
            self._running.add(launch.key)  # type: ignore[arg-type]
            self._scheduler.submit(launch)

    def _launch(self, number: int, attempt: int) -> Launch:
        identity = f"{number:016x}{attempt:016x}"
        folder = self.folder / "home" / str(number) / str(attempt)
        records.make_folder(folder, identity)
        (folder / "parameters.json").write_text("{}")
        before = folder.parent / str(attempt - 1) / "checkpoint"
        if before.is_dir():
            shutil.copytree(before, folder / "checkpoint")
        (folder / "checkpoint").mkdir(exist_ok=True)
        return Launch(
            key=AttemptKey("ledger", number, attempt),
            folder=folder,
            identity=identity,
            command=(sys.executable, "-S", "-c", _PROGRAM, str(self.folder / "book"), str(STEPS)),
            working_directory=self.folder / "home",
            environment={"TUNEWELL_TRIAL": str(number), "TUNEWELL_ATTEMPT": str(attempt)},
            limits=Limits(grace_seconds=1.0),
            metric="score",
        )

    def _take(self, event: Event) -> None:
        key = event.key
        assert isinstance(key, AttemptKey)
        told = self._told[key]
        if isinstance(event, Started):
            return
        if isinstance(event, Reported):
            told.reports.append((event.report.step, event.report.metrics["score"]))
            return
        told.ends.append(event.exit if isinstance(event, Ended) else None)
        self._running.discard(key)
        if isinstance(event, Refused) or event.exit.cause in LOST_CAUSES:
            self._waiting.append((key.trial, key.attempt + 1))
        elif event.exit.cause is not None or event.exit.stopped:
            self.wrong.append(f"{key} has ended: {event.exit}")

    # Kills --------------------------------------------------------------------------------------------------

    def _hit(self, victim: Victim, generator: random.Random) -> bool:
        """Kill something of the kind; say whether there was any."""
        if victim in ("scheduler", "controller"):
            pid = self._scheduler.pid
            if pid is None:
                return False
            psutil.Process(pid).kill()
            if victim == "controller":
                self._become_another()
            return True
        if victim == "raylet":
            _, *others = self.cluster.nodes
            self.cluster.kill_node(generator.choice(others))
            self.cluster.add_node(num_cpus=2)
            return True
        processes = list(self._processes(victim))
        if processes:
            with suppress(psutil.Error):
                generator.choice(processes).kill()
        return bool(processes)

    def _processes(self, victim: Victim) -> Iterator[psutil.Process]:
        if victim == "slot":
            yield from self.cluster.slots()
            return
        for path in (self.folder / "nodes").glob("*/*/*/*/supervisor.json"):
            with suppress(OSError, ValueError, psutil.Error):
                yield psutil.Process(json.loads(path.read_text())[victim]["pid"])

    def _become_another(self) -> None:
        """Be a new controller, that knows what is on record alone."""
        self._scheduler.close()
        self._scheduler = self._new_scheduler()
        for key in self._running:
            self._told[key].reports.clear()
        self._scheduler.reconcile([self._told[key].launch for key in sorted(self._running)])

    # The ledger ---------------------------------------------------------------------------------------------

    def _check(self) -> None:
        book = [line.split() for line in (self.folder / "book").read_text().splitlines()]
        begun = {(int(trial), int(attempt)): int(step) for trial, attempt, _, step in book}
        if len(begun) != len(book):
            self.wrong.append("an attempt has begun twice")
        for key, told in self._told.items():
            began = begun.get((key.trial, key.attempt))
            steps = [step for step, _ in told.reports]
            if len(told.ends) != 1:
                self.wrong.append(f"{key} has ended {len(told.ends)} times: {told.ends}")
            elif told.ends[0] is None and began is not None:
                self.wrong.append(f"{key} was refused, and has begun")
            if steps and began is not None and steps != list(range(began + 1, began + 1 + len(steps))):
                self.wrong.append(f"{key} has begun at {began} and reported {steps}")
            if any(score != sum_at(step) for step, score in told.reports):
                self.wrong.append(f"{key} has computed something else: its checkpoint was not whole")
            # One whose last attempt was killed at its very end goes on from a checkpoint with nothing left to do.
            reached = steps[-1] if steps else began
            if told.ends and told.ends[0] is not None and told.ends[0].cause is None and reached != STEPS:
                self.wrong.append(f"{key} has ended well at {reached} of {STEPS}, begun at {began}")
        done = {key.trial for key, told in self._told.items() if any(end and end.cause is None for end in told.ends)}
        if len(done) != self.trials:
            self.wrong.append(f"only trials {sorted(done)} have come to their end")

    def _check_what_is_left(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (processes_below(self.folder) or self._files()):
            time.sleep(0.2)
        self.wrong += [f"{process.pid} is left: {process.cmdline()[:3]}" for process in processes_below(self.folder)]
        self.wrong += [f"a file is left: {path}" for path in self._files()]

    def _files(self) -> list[Path]:
        nodes = [self.folder / "nodes" / "home" / node for node in self.cluster.nodes]
        return [path for node in nodes for path in node.rglob("*") if path.is_file() and ".inputs" not in path.parts]

    def attempts(self) -> int:
        """Return how many attempts there were."""
        return len(self._told)
