"""The kill loop: a search whose processes are killed at random moments, and the check of its ledger after it.

Each configuration trains a 27th first; the best are promoted, from their checkpoints, to a ninth, a third and all of
the training (`early_stopping: promotion`). Every trial keeps a book of what it found and did. Used by a short test and
by `benchmarks/kill_loop.py`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from tunewell.schedulers.processes import is_alive
from tunewell.schedulers.records import Process

TRIALS = 30
#: Steps of a full training.
STEPS = 27
#: Longest wait for a process to be there.
PATIENCE_SECONDS = 60.0
Victim = Literal["controller", "fork_server", "supervisor", "trial"]
VICTIMS: tuple[Victim, ...] = ("controller", "fork_server", "supervisor", "trial")

#: Trains from where the checkpoint is to the share of the steps that it is given. What it computes depends on the
#: parameter and the number of steps alone. Each line of the book is written at once.
PROGRAM = """
import json, os, sys, time

book, x, folder, fidelity, padding = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
trial, attempt = int(os.environ["TUNEWELL_TRIAL"]), int(os.environ["TUNEWELL_ATTEMPT"])

def note(kind, **facts):
    line = json.dumps({"kind": kind, "trial": trial, "attempt": attempt, **facts}) + "\\n"
    descriptor = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)

state = {"x": x, "step": 0, "sum": x, "by": None}
if os.path.exists(folder + "/state.json"):
    state = json.load(open(folder + "/state.json"))
    whole = os.path.getsize(folder + "/last") == padding and os.path.islink(folder + "/last")
    note("found", step=state["step"], by=state["by"], own=state["x"] == x, whole=whole)
else:
    with open(folder + "/weights", "wb") as file:
        file.write(os.urandom(padding))
    if not os.path.islink(folder + "/last"):
        os.symlink("weights", folder + "/last")
    note("found", step=0, by=None, own=True, whole=True)
last = round(27 * fidelity)
if state["step"] == last:
    print(f"step={last} score={state['sum']}", flush=True)
while state["step"] < last:
    step = state["step"] + 1
    state = {"x": x, "step": step, "sum": (state["sum"] * 31 + step) % 1000003, "by": trial}
    time.sleep(0.02)
    with open(folder + "/state.new", "w") as file:
        json.dump(state, file)
    os.replace(folder + "/state.new", folder + "/state.json")
    note("step", step=step)
    print(f"step={step} score={state['sum']}", flush=True)
"""


@dataclass
class Round:
    """One search in a folder of its own."""

    folder: Path
    #: Bytes of a file in the checkpoint, which make copying it slow.
    padding: int = 1000
    #: How often each kind of process was killed.
    kills: Counter[Victim] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        """Home of the search."""
        return self.folder / "home"

    def run(self, generator: random.Random, kills: int, victims: Sequence[Victim] = VICTIMS) -> dict[str, Any]:
        """Run the search, killing processes at random moments; return its final JSON result."""
        search = command(self._write(), self.home)
        controller = _start(search)
        for number in range(kills):
            if number % len(victims) == 0:
                order = generator.sample(victims, len(victims))
            time.sleep(generator.uniform(0.0, 1.0))  # the random moment is what is tested
            if controller.poll() is not None:
                break
            self._kill(order[number % len(victims)], controller, generator)
            if controller.poll() is not None:
                controller = _start(search)
        controller.wait(timeout=300)
        done = subprocess.run(search, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def _write(self) -> Path:
        """Write program and spec; return the spec's path."""
        self.folder.mkdir(parents=True)
        (self.folder / "train.py").write_text(PROGRAM)
        arguments = ["{x}", "{checkpoint_dir}", "{fidelity}", str(self.padding)]
        spec = {
            "name": "ledger",
            "command": [sys.executable, "-S", "-E", "train.py", str(self._book), *arguments],
            "objective": {"metric": "score", "goal": "maximize"},
            "algorithm": "random",
            "early_stopping": "promotion",
            "parameters": {"x": {"low": 0, "high": 1000000}},
            "max_trials": TRIALS,
            "max_concurrency": 2,
            "max_attempts": 1000,
            "seed": 1,
        }
        path = self.folder / "ledger.yaml"
        path.write_text(json.dumps(spec))
        return path

    def _kill(self, victim: Victim, controller: subprocess.Popen[bytes], generator: random.Random) -> None:
        """Kill one process of this kind, once there is one."""
        found = [controller.pid]
        if victim != "controller":
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not (found := self._processes(victim, controller)) and controller.poll() is None:
                assert time.monotonic() < deadline, f"there is no {victim}"
                time.sleep(0.01)
            time.sleep(generator.uniform(0.0, 0.3))  # else all would be killed when they begin
            found = self._processes(victim, controller)
        if found:
            with suppress(psutil.Error):
                psutil.Process(generator.choice(found)).kill()
            self.kills[victim] += 1
        if victim == "controller":
            controller.wait()

    def _processes(self, victim: Victim, controller: subprocess.Popen[bytes]) -> list[int]:
        return _fork_servers(controller.pid) if victim == "fork_server" else list(self._supervised(victim))

    def _supervised(self, victim: Victim) -> Iterator[int]:
        for path in self.home.glob("experiments/ledger/trials/*/*/supervisor.json"):
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
        """Return the parameters of each trial that goes on from no other one."""
        return {trial["number"]: trial["parameters"] for trial in exported(self.home) if not trial["resume_from"]}

    def check(self, result: Mapping[str, Any], suggested: Mapping[int, Any]) -> list[str]:
        """Return what is wrong with the ledger after a search; empty if nothing is.

        `suggested` is what an uninterrupted search suggests. Which trials are promoted, and when, depends on which ones
        are the first to end; the rest may not.
        """
        trials = exported(self.home)
        lines = self._lines()
        wrong = []
        if [trial["number"] for trial in trials] != list(range(1, TRIALS + 1)):
            wrong.append(f"numbers are not 1 to {TRIALS}: {[trial['number'] for trial in trials]}")
        differ = [n for n, parameters in self.suggested().items() if suggested.get(n, parameters) != parameters]
        if differ:
            wrong.append(f"an uninterrupted search suggests others than trials {differ}")
        if not any(trial["resume_from"] for trial in trials):
            wrong.append("nothing was promoted")
        done = [(line["kind"], line["trial"], line["attempt"], line["step"]) for line in lines]
        wrong += [f"{what} was done {times} times" for what, times in Counter(done).items() if times > 1]
        for trial in trials:
            own = [line for line in lines if line["trial"] == trial["number"]]
            wrong += [f"trial {trial['number']}: {problem}" for problem in _check_trial(trial, own, trials)]
        best = max(trial["value"] or 0 for trial in trials if trial["fidelity"] == 1)
        if result["best"]["value"] != best:
            wrong.append(f"best is {result['best']['value']}, recorded is {best}")
        wrong += [f"process {process} is left over" for process in leftovers(self.home)]
        return wrong


def command(spec: Path, home: Path) -> list[str]:
    """Return the command that starts the search, and goes on with it."""
    return [sys.executable, "-m", "tunewell", "search", str(spec), "--home", str(home), "--json", "--no-details"]


def exported(home: Path, name: str = "ledger") -> list[dict[str, Any]]:
    """Return all trials as `tunewell export` gives them."""
    program = [sys.executable, "-m", "tunewell", "export", name, "--home", str(home), "--format", "json"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    trials: list[dict[str, Any]] = json.loads(done.stdout)["trials"]
    return trials


def score(x: int, steps: int) -> int:
    """Return what the program computes."""
    for step in range(1, steps + 1):
        x = (x * 31 + step) % 1000003
    return x


def _check_trial(
    trial: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], trials: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    number, x, last = trial["number"], trial["parameters"]["x"], round(STEPS * trial["fidelity"])
    if trial["state"] != "succeeded":
        yield f"it is {trial['state']} ({trial['cause']}: {trial['detail']})"
        return
    if trial["value"] != score(x, last):
        yield f"its value is {trial['value']}, not {score(x, last)}"
    if max((line["attempt"] for line in lines), default=0) > trial["attempts"]:
        yield "an attempt ran that is not on record"
    reports = {report["step"]: report["metrics"]["score"] for report in trial["reports"]}
    if reports != {step: score(x, step) for step in reports} or max(reports, default=0) != last:
        yield f"its reports are not what was computed: {reports}"
    parent = trial["resume_from"]
    at_start = round(STEPS * trials[parent - 1]["fidelity"]) if parent else 0
    if parent and trials[parent - 1]["parameters"] != trial["parameters"]:
        yield f"it goes on from trial {parent}, which has other parameters"
    done = at_start
    for line in lines:
        if line["kind"] == "found":
            # A step may have been saved, but not booked, when the trial was killed.
            if not line["own"] or not line["whole"] or line["step"] not in (done, done + 1):
                yield f"attempt {line['attempt']} found {line} where step {done} had been reached"
            if line["by"] != (number if line["step"] > at_start else parent):
                yield f"attempt {line['attempt']} goes on from the checkpoint of trial {line['by']}"
            done = line["step"]
        elif line["step"] != done + 1:
            yield f"attempt {line['attempt']} did step {line['step']} after step {done}"
        else:
            done = line["step"]
    if done != last:
        yield f"it ended at step {done} of {last}"


def leftovers(home: Path) -> list[int]:
    """Return processes that work in this home and are not about to end."""
    deadline = time.monotonic() + 5
    while found := _processes_of(home):
        if time.monotonic() > deadline:
            return found
        time.sleep(0.05)
    return []


def _start(search: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(search, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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
