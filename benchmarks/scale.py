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
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.controller.simulated import Cluster, SimulatedClock, SimulatedScheduler, Training

from databases import KINDS, new_databases
from tunewell.controller.background import Background
from tunewell.controller.controller import Controller, Work
from tunewell.controller.loading import recorded
from tunewell.controller.surroundings import Surroundings
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
    "cluster": Setting(1000, 100_000, 600.0, 0.5, 0.0, 10, 0.02, True, 8, 8 * 3600.0),
    "sleep": Setting(8, 160, 20.0, 0.0, 0.1),
}


def algorithms(setting: Setting) -> dict[str, dict[str, Any]]:
    """Return name → fields of the spec."""
    size = min(setting.slots, 1000)
    population = {"name": "evolutionary", "population_size": size, "rounds": max(2, setting.trials // size)}
    return {
        "random": {"algorithm": "random"},
        "bayesian": {"algorithm": "bayesian"},
        "tpe": {"algorithm": "tpe"},
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


class Meter:
    """Takes the figures of a run, step by step."""

    def __init__(self, controller: Controller, scheduler: SimulatedScheduler, clock: SimulatedClock, until: float):
        """Measure until a moment of real time, or until the controller has nothing more to do."""
        self._controller, self._scheduler, self._clock, self._until = controller, scheduler, clock, until
        self.began = clock.monotonic()
        self.steps: list[float] = []
        #: (trials that have ended, CPU seconds of the loop and of all), taken a thousand trials apart.
        self.marks: list[tuple[int, float, float]] = [self._now()]

    def __call__(self) -> bool:
        """Take note of a step; say whether it was the last one."""
        self.steps.append(self._controller.step_seconds)
        if self._scheduler.ends - self.marks[-1][0] >= WINDOW:
            self.marks.append(self._now())
        return not self._controller.busy or time.perf_counter() > self._until

    def _now(self) -> tuple[int, float, float]:
        return self._scheduler.ends, time.thread_time(), time.process_time()

    def figures(self) -> dict[str, float]:
        """Return what was measured."""
        ended, scheduler = self._clock.monotonic(), self._scheduler
        marks = [*self.marks, self._now()]
        full = min(max(scheduler.last_begun, self.began), ended)
        there, busy, lost = scheduler.slot_seconds(self.began, ended)
        there_then, busy_then, _ = scheduler.slot_seconds(self.began, full)
        slowest = sorted(self.steps)
        _, loop, all_threads = (late - early for early, late in zip(marks[0], marks[-1], strict=True))
        return {
            "ended": scheduler.ends,
            "hours": (ended - self.began) / 3600,
            "slot_use": busy / there,
            "slot_use_while_starting": busy_then / there_then if there_then else 0.0,
            "in_vain": lost / max(busy, 1e-9),
            "nodes_lost": scheduler.nodes_lost,
            "loop_ms": 1000 * loop / max(1, scheduler.ends),
            "tuner_ms": 1000 * (all_threads - loop) / max(1, scheduler.ends),
            # The first thousand has the starts of all slots in it.
            "early_ms": cost(marks, 1),
            "late_ms": cost(marks, len(marks) - 3),
            "share_of_core": all_threads / (ended - self.began),
            "step_p99_ms": 1000 * slowest[int(0.99 * len(slowest))],
            "step_longest_ms": 1000 * slowest[-1],
            "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def cost(marks: list[tuple[int, float, float]], place: int) -> float:
    """Return the CPU milliseconds a trial, of all threads, between a mark and the next one; NaN: there are too few."""
    if not 0 <= place < len(marks) - 1:
        return math.nan
    (before, _, began), (after, _, ended) = marks[place : place + 2]
    return 1000 * (ended - began) / max(1, after - before)


def run(setting: Setting, algorithm: str, early_stopping: str, seed: int, longest: float, database: str) -> Any:
    """Run a search to its end, or for so many seconds; return its figures."""
    spec = {
        "name": NAME,
        "command": ["true", *(f"{{{name}}}" for name in PARAMETERS)],
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "parameters": PARAMETERS,
        "max_trials": setting.trials,
        "max_duration": "1000d",
        "resources": {"cpus": 1, "gpus": 0},
        "early_stopping": early_stopping,
        "seed": seed,
        **algorithms(setting)[algorithm],
    }
    clock, background = SimulatedClock(), Background()
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
        meter = Meter(controller, scheduler, clock, time.perf_counter() + longest)
        controller.run(meter)
        found = meter.figures()
        controller.leave()
        row = store.experiment(NAME)
        states = {state.value: number for state, number in row.counts.items() if number}
        return {**found, "states": states, "best": row.best_value, "bytes": database_bytes(store)}


def database_bytes(store: Store) -> int:
    """Return how large the database is."""
    if store.kind == "sqlite":
        files = [Path(store.place + suffix) for suffix in ("", "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())
    import psycopg

    with psycopg.connect(store.url) as connection:
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
        f"  CPU a trial {found['loop_ms']:.2f} ms in the loop, {found['tuner_ms']:.2f} ms in other threads;"
        f" all together {found['early_ms']:.2f} ms in the second thousand, {found['late_ms']:.2f} in the last;"
        f" {found['share_of_core']:.1%} of a core"
    )
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
        rest = (arguments.early_stopping, arguments.seed, arguments.longest, os.environ["TUNEWELL_DATABASE"])
        print(json.dumps(run(setting, arguments.case, *rest)))
        return
    with new_databases(arguments.database) as new:
        for algorithm in arguments.algorithms.split(","):
            program = [sys.executable, __file__, *sys.argv[1:], "--case", algorithm]
            environment = {**os.environ, "TUNEWELL_DATABASE": new()}
            done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            show(algorithm, json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
