"""What one controller makes of many experiments, and of one among them whose tuner is slow.

1. CPU time a trial of many experiments in one controller, against one experiment with as many trials in all.
2. How long the others' steps take, and how far apart their trials begin, while one experiment's tuner sleeps, or
   computes in pure Python, for five seconds at each proposal; against the same without it.

All trials are calls of a trivial function in the controller's thread (inline), so that all time is the system's own.
Each case runs in a fresh process.

    ./dev bench many_experiments
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.controller.controller import Controller
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.work import Work
from tunewell.home.home import Home
from tunewell.schedulers.inline import InlineScheduler
from tunewell.spec.declaration import declare, parse_space
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.space import SearchSpace
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store
from tunewell.tasks.function import FunctionTask
from tunewell.tuners.contract import Exhausted, Search, Suggestion, Wait
from tunewell.tuners.random import RandomTuner

#: How long a slow proposal takes, in seconds.
SLOW_SECONDS = 5.0
SLOW = "slow"
#: When the trials of all experiments but the slow one began, in seconds.
begun: list[float] = []


def objective(x: float) -> float:
    """Return x; note when a trial of an experiment that is not slow began (the slow one's x are negative)."""
    if x >= 0:
        begun.append(time.perf_counter())
    return x


class SleepingTuner(RandomTuner):
    """Random search whose proposals wait for something."""

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Sleep, then propose."""
        time.sleep(SLOW_SECONDS)
        return super().propose(number)


class ComputingTuner(RandomTuner):
    """Random search whose proposals compute in pure Python."""

    def propose(self, number: int) -> Suggestion | Wait | Exhausted:
        """Compute, then propose."""
        end = time.monotonic() + SLOW_SECONDS
        while time.monotonic() < end:
            sum(range(1000))
        return super().propose(number)


TUNERS: dict[str, type[RandomTuner]] = {"sleeping": SleepingTuner, "computing": ComputingTuner}


@dataclass(frozen=True)
class Record:
    """An experiment's record with the tuner that is measured."""

    spec: ExperimentSpec
    task: FunctionTask
    space: SearchSpace
    algorithm: Mapping[str, Any]
    max_trials: int
    slow: type[RandomTuner]

    def tuner(self) -> RandomTuner:
        """Return its tuner."""
        kind = self.slow if self.spec.name == SLOW else RandomTuner
        return kind(Search(self.space, "maximize", max_trials=self.max_trials))


@contextmanager
def controller_of(names: list[str], trials: int, slow: type[RandomTuner] = RandomTuner) -> Iterator[Controller]:
    """Return a controller, in a home of its own, with new experiments of so many trials each."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        with closing(Store(home.database_url)) as store:
            home = Home(Path(folder), store)

            def load(row: ExperimentRow) -> Any:
                space = parse_space(row.space)
                return Record(parse_spec(row.spec), FunctionTask(objective), space, row.algorithm, trials, slow)

            scheduler = InlineScheduler(objective, "objective")
            controller = Controller(Surroundings(store, home, {}, load, follow_up=False), Work(), scheduler)
            for name in names:
                space = {"x": {"low": -1.0, "high": -0.5} if name == SLOW else {"low": 0.0, "high": 1.0}}
                spec = parse_spec(
                    {
                        "name": name,
                        "function": "objective",
                        "parameters": space,
                        "objective": {"metric": "objective", "goal": "maximize"},
                        "algorithm": "random",
                        "max_trials": trials,
                    }
                )
                algorithm = {"name": "random", "max_trials": trials, "options": {}, "initial": [], "sources": []}
                store.create_experiment(name, spec.model_dump(mode="json"), declare(parse_space(space)), algorithm)
                controller.take_experiment(name)
            yield controller


def cost(experiments: int, trials: int) -> dict[str, float]:
    """Run experiments with so many trials in all to their end; return the CPU milliseconds of a trial."""
    with controller_of([f"e{number}" for number in range(experiments)], trials // experiments) as controller:
        before = _cpu_seconds()
        while controller.busy:
            controller.step(timeout=0)
        spent = _cpu_seconds() - before
    assert len(begun) == trials // experiments * experiments, "trials are missing"
    return {"milliseconds": 1000 * spent / len(begun)}


def pace(experiments: int, seconds: float, slow: str) -> dict[str, float]:
    """Run experiments side by side for a while; return how long steps take, and how far apart trials begin."""
    names = [f"e{number}" for number in range(experiments)]
    steps: list[float] = []
    with controller_of([SLOW, *names] if slow else names, 1_000_000, TUNERS.get(slow, RandomTuner)) as controller:
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            controller.step(timeout=0)
            steps.append(time.perf_counter() - now)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    return {
        "step_p95": float(np.quantile(steps, 0.95)),
        "step_longest": max(steps),
        "gap_p95": float(np.quantile(gaps, 0.95)) if gaps else float("inf"),
        "gap_longest": max(gaps, default=float("inf")),
        "trials": len(begun),
    }


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def in_fresh_process(*arguments: object) -> dict[str, float]:
    """Run a case in a process of its own."""
    program = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=["cost", "pace"])
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--trials", type=int, default=10_000, help="of all experiments together")
    parser.add_argument("--beside", type=int, default=20, help="experiments beside the slow one")
    parser.add_argument("--seconds", type=float, default=30.0, help="time of each run with and without the slow one")
    parser.add_argument("--slow", choices=list(TUNERS), default="")
    arguments = parser.parse_args()
    if arguments.case == "cost":
        print(json.dumps(cost(arguments.experiments, arguments.trials)))
        return
    if arguments.case == "pace":
        print(json.dumps(pace(arguments.beside, arguments.seconds, arguments.slow)))
        return
    trials = ("--trials", arguments.trials)
    one = in_fresh_process("--case", "cost", "--experiments", 1, *trials)["milliseconds"]
    print(f"{'1 experiment':18} {one:8.2f} ms CPU a trial", flush=True)
    many = in_fresh_process("--case", "cost", "--experiments", arguments.experiments, *trials)["milliseconds"]
    print(
        f"{arguments.experiments} experiments{'':7} {many:8.2f} ms CPU a trial: {many / one:.2f} times as much",
        flush=True,
    )
    calm = None
    for slow in ("", *TUNERS):
        found = in_fresh_process(
            *("--case", "pace", "--beside", arguments.beside, "--seconds", arguments.seconds),
            *(("--slow", slow) if slow else ()),
        )
        calm = calm or found
        print(
            f"{slow or 'nobody slow':12} step p95 {1000 * found['step_p95']:8.2f} ms"
            f" ({found['step_p95'] / calm['step_p95']:.2f} times), longest {1000 * found['step_longest']:8.1f} ms;"
            f" between trials p95 {1000 * found['gap_p95']:8.2f} ms, longest {1000 * found['gap_longest']:8.1f} ms;"
            f" {found['trials']:.0f} trials",
            flush=True,
        )


if __name__ == "__main__":
    main()
