"""What one controller makes of a large cluster: a simulation with the real controller, store and tuners.

The trials and the nodes are simulated (`tests/controller/simulated.py`). Time jumps from event to event, but the time
that controller, tuner and database take passes on the same clock, so that a slot is idle for as long as it would be.

    ./dev bench scale
    ./dev bench scale --algorithms bayesian --trials 3000
    ./dev bench scale --setting sleep

There are two settings. `cluster`: 1,000 slots on nodes of eight; 100,000 trials that take ten minutes (log-normal,
sigma 0.5) and report ten times; a fiftieth crashes, what needs too much memory (batch size times width) fails soon, and
each node is lost after 8 hours in the mean, to come back after ten minutes. `sleep`: 8 slots, 160 trials that take 20 s
± 10 % and report once, no failures: what can be measured for real.

With `--time cpu` it is their CPU time that passes, for a machine that has other work; waits for the disk don't count
then. Algorithms: random, bayesian, tpe, evolutionary (a population in step), asynchronous (one whose members don't
wait), breeding (`evolutionary` for trials that can't go on from one another).

Each algorithm has a process of its own. Printed are: the share of slot-seconds that were busy, on the whole and as long
as there were trials to start; the milliseconds of CPU that a trial cost, in the loop of the controller (with the
simulation) and in tuners, early and late; the longest steps; memory; and the size of the database.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.controller.simulated import Cluster, SimulatedClock, SimulatedScheduler, Training

from databases import KINDS, new_databases
from tunewell.controller.background import Background
from tunewell.controller.controller import Controller
from tunewell.controller.loading import recorded
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.work import Work
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Exit, Launch, Report
from tunewell.spec.states import Cause
from tunewell.store.store import Store

NAME = "scale"
#: What trials need that fail for want of memory, in units of the largest batch with the widest network.
MOST_MEMORY = 0.35
#: Spans of trials whose cost is told, in trials.
WINDOW = 1000
SECONDS_TO_OOM = 30.0
#: What passes on the clock while anybody computes.
PASSING = {"wall": time.perf_counter, "cpu": time.process_time}
PARAMETERS = {
    "learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
    "weight_decay": {"low": 1e-6, "high": 0.1, "log": True},
    "batch_size": {"low": 16, "high": 512, "log": True},
    "width": {"low": 32, "high": 1024, "log": True},
    "dropout": {"low": 0.0, "high": 0.6},
    "optimizer": ["adamw", "sgd", "lion"],
}


@dataclass(frozen=True)
class Setting:
    """A cluster, and what runs on it."""

    slots: int
    trials: int
    #: Median of the seconds of a trial; standard deviation of their logarithm, or else the largest share that they
    #: differ by.
    seconds: float
    sigma: float = 0.0
    spread: float = 0.0
    reports: int = 1
    #: Share of the trials that crash, and whether some lack memory.
    crashes: float = 0.0
    memory_is_short: bool = False
    slots_per_node: int = 8
    node_lifetime: float | None = None


SETTINGS = {
    "cluster": Setting(
        slots=1000,
        trials=100_000,
        seconds=600.0,
        sigma=0.5,
        reports=10,
        crashes=0.02,
        memory_is_short=True,
        node_lifetime=8 * 3600.0,
    ),
    "sleep": Setting(slots=8, trials=160, seconds=20.0, spread=0.1),
}


def algorithms(setting: Setting) -> dict[str, dict[str, Any]]:
    """Return name → fields of the spec."""
    size = min(setting.slots, 1000)
    population = {"name": "evolutionary", "population_size": size, "rounds": max(2, setting.trials // size)}
    return {
        "random": {"algorithm": "random"},
        "bayesian": {"algorithm": "bayesian"},
        "tpe": {"algorithm": "tpe"},
        # A member has a slot, and each of its rounds is a trial.
        "evolutionary": {"algorithm": population, "resumable": True},
        "asynchronous": {"algorithm": {**population, "asynchronous": True}, "resumable": True},
        "breeding": {"algorithm": "evolutionary"},
    }


def trainer(setting: Setting, seed: int) -> Any:
    """Return what says of an attempt what it does: the same for the same trial, whatever the algorithm."""

    def train(launch: Launch, reached: int) -> Training:
        key, given = launch.key, launch.parameters
        assert isinstance(key, AttemptKey)
        random = Random(f"{seed}, trial {key.trial}")
        spread = random.uniform(1 - setting.spread, 1 + setting.spread)
        full = setting.seconds * spread * random.lognormvariate(0.0, setting.sigma)
        noise = random.gauss(0.0, 0.005)
        crash = random.random() if random.random() < setting.crashes else None
        needed = given["batch_size"] * given["width"] / (512 * 1024)
        if setting.memory_is_short and needed > MOST_MEMORY:
            return Training((), min(SECONDS_TO_OOM, full), Exit(Cause.GPU_OOM, "CUDA out of memory.", 1))
        best = quality(given) + noise
        step_seconds, steps = full / setting.reports, range(reached + 1, setting.reports + 1)
        reports = [
            # The last report comes before the end.
            (
                (step - reached) * step_seconds * 0.999,
                Report(step, {"accuracy": best * (1 - 0.5 * math.exp(-3 * step / setting.reports))}, 0.0),
            )
            for step in steps
        ]
        left = len(steps) * step_seconds
        if crash is not None:
            return Training(reports, crash * left, Exit(Cause.CRASHED, "ValueError: loss is negative", 1))
        return Training(reports, left)

    return train


def quality(given: Any) -> float:
    """Return the accuracy that a configuration comes to, between 0.4 and 0.95."""
    rate, decay = math.log10(given["learning_rate"]) + 3, math.log10(given["weight_decay"]) + 4
    loss = 0.08 * rate**2 + 0.02 * decay**2 + 0.3 * (given["dropout"] - 0.2) ** 2
    loss += 0.05 * (math.log2(given["width"]) - 8.5) ** 2 / 4 + 0.02 * (given["optimizer"] == "sgd")
    return 0.4 + 0.55 * math.exp(-loss)


class Mark(NamedTuple):
    """How far a run was at some moment."""

    #: On the simulated clock.
    moment: float
    #: Trials that have ended.
    ends: int
    #: CPU seconds of the controller's loop, and of all threads.
    loop: float
    all_threads: float


class Meter:
    """Takes the figures of a run, step by step."""

    def __init__(self, controller: Controller, scheduler: SimulatedScheduler, clock: SimulatedClock, until: float):
        """Measure until a moment of real time, or until the controller has nothing more to do."""
        self._controller, self._scheduler, self._clock, self._until = controller, scheduler, clock, until
        self.began = clock.monotonic()
        self.steps: list[float] = []
        #: Taken a thousand trials apart.
        self.marks: list[Mark] = [self._now()]

    def __call__(self) -> bool:
        """Take note of a step; say whether it was the last one."""
        self.steps.append(self._controller.step_seconds)
        if self._scheduler.ends - self.marks[-1].ends >= WINDOW:
            self.marks.append(self._now())
        return not self._controller.busy or time.perf_counter() > self._until

    def _now(self) -> Mark:
        return Mark(self._clock.monotonic(), self._scheduler.ends, time.thread_time(), time.process_time())

    def figures(self) -> dict[str, float]:
        """Return what was measured."""
        ended, scheduler = self._clock.monotonic(), self._scheduler
        first, last = self.marks[0], self._now()
        full = min(max(scheduler.last_begun, self.began), ended)
        there, busy, lost = scheduler.slot_seconds(self.began, ended)
        there_then, busy_then, _ = scheduler.slot_seconds(self.began, full)
        slowest = sorted(self.steps)
        loop, all_threads = last.loop - first.loop, last.all_threads - first.all_threads
        # As long as there were trials to start. The first thousand has the starts of all slots in it.
        marks = [mark for mark in self.marks if mark.moment <= full]
        return {
            "ended": scheduler.ends,
            "hours": (ended - self.began) / 3600,
            "slot_use": busy / there,
            "slot_use_while_starting": busy_then / there_then if there_then else 0.0,
            "in_vain": lost / max(busy, 1e-9),
            "nodes_lost": scheduler.nodes_lost,
            "loop_ms": 1000 * loop / max(1, scheduler.ends),
            "tuner_ms": 1000 * (all_threads - loop) / max(1, scheduler.ends),
            "early_ms": cost(marks[1:3]),
            "late_ms": cost(marks[-2:] if len(marks) > 3 else []),
            "share_of_core": all_threads / (ended - self.began),
            "step_p99_ms": 1000 * slowest[int(0.99 * len(slowest))],
            "step_longest_ms": 1000 * slowest[-1],
            "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def cost(marks: list[Mark]) -> float:
    """Return the CPU milliseconds a trial, of all threads, between two marks; NaN: there are fewer."""
    if len(marks) < 2:
        return math.nan
    return 1000 * (marks[1].all_threads - marks[0].all_threads) / (marks[1].ends - marks[0].ends)


def run(setting: Setting, algorithm: str, clock: SimulatedClock, given: argparse.Namespace, database: str) -> Any:
    """Run a search to its end, or for the longest time given; return its figures."""
    seed = given.seed
    spec = {
        "name": NAME,
        "command": ["true", *(f"{{{name}}}" for name in PARAMETERS)],
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "parameters": PARAMETERS,
        "max_trials": setting.trials,
        "max_duration": "1000d",
        "resources": {"cpus": 1, "gpus": 0},
        "early_stopping": given.early_stopping,
        "seed": seed,
        **algorithms(setting)[algorithm],
    }
    background = Background()
    per_node = math.gcd(setting.slots, setting.slots_per_node)
    cluster = Cluster(setting.slots // per_node, per_node, setting.node_lifetime, seed=seed)
    scheduler = SimulatedScheduler(clock, cluster, trainer(setting, seed), lambda: background.outstanding > 0)
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder), database) as service:
        service.submit(spec)
        store, home = service.store, service.home
        surroundings = Surroundings(
            store,
            home,
            {},
            lambda row: recorded(home, row),
            follow_up=False,
            clock=clock.date,
            monotonic=clock.monotonic,
            background=background,
        )
        controller = Controller(surroundings, Work(), scheduler)
        controller.take_experiment(NAME)
        meter = Meter(controller, scheduler, clock, time.perf_counter() + given.longest)
        controller.run(meter)
        found = meter.figures()
        controller.leave()
        row = store.experiment(NAME)
        states = {state.value: number for state, number in row.counts.items() if number}
        return {**found, "states": states, "best": row.best_value, "bytes": database_bytes(store)}


def database_bytes(store: Store) -> int:
    """Return how large the database is."""
    if store.kind == "sqlite":
        with closing(sqlite3.connect(store.place)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(store.place).stat().st_size
    import psycopg

    with psycopg.connect(store.url.replace("+psycopg", "", 1)) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def show(algorithm: str, found: Any) -> None:
    """Print the figures of a run."""
    states = ", ".join(f"{number:,} {state}" for state, number in found["states"].items())
    print(f"{algorithm}: {states}; {found['hours']:.1f} simulated hours, {found['nodes_lost']} nodes lost")
    print(
        f"  slots busy {found['slot_use']:.1%}, {found['slot_use_while_starting']:.1%} until the last trial began;"
        f" {found['in_vain']:.1%} of it in vain"
    )
    print(
        f"  CPU a trial {found['loop_ms']:.2f} ms in the loop, {found['tuner_ms']:.2f} ms in other threads,"
        f" {found['share_of_core']:.1%} of a core in all"
    )
    if not math.isnan(found["late_ms"]):
        print(f"  CPU a trial {found['early_ms']:.2f} ms in the second thousand, {found['late_ms']:.2f} ms in the last")
    print(
        f"  steps: 99 of 100 within {found['step_p99_ms']:.0f} ms, the longest {found['step_longest_ms']:.0f} ms;"
        f" memory {found['memory_mib']:.0f} MiB;"
        f" database {found['bytes'] / 2**20:.0f} MiB, {found['bytes'] / max(1, found['ended']):.0f} bytes a trial",
        flush=True,
    )


def main() -> None:
    """Print the figures of each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=list(SETTINGS), default="cluster")
    parser.add_argument("--slots", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seconds", type=float, help="median of a trial's duration")
    parser.add_argument("--algorithms", default="random,bayesian,evolutionary,asynchronous,breeding")
    parser.add_argument("--early-stopping", default="halving")
    parser.add_argument("--time", choices=list(PASSING), default="wall", help="what passes while anybody computes")
    parser.add_argument("--longest", type=float, default=3600.0, help="seconds of real time that a run may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", choices=KINDS, default="sqlite")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in ("slots", "trials", "seconds")}
    setting = replace(
        SETTINGS[arguments.setting], **{name: value for name, value in given.items() if value is not None}
    )
    if arguments.case:
        clock = SimulatedClock(PASSING[arguments.time])
        print(json.dumps(run(setting, arguments.case, clock, arguments, os.environ["TUNEWELL_DATABASE"])))
        return
    with new_databases(arguments.database) as new:
        for algorithm in arguments.algorithms.split(","):
            program = [sys.executable, __file__, *sys.argv[1:], "--case", algorithm]
            environment = {**os.environ, "TUNEWELL_DATABASE": new()}
            done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            show(algorithm, json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
