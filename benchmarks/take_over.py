"""How soon a controller that takes a large experiment over is at work, on SQLite.

The experiment is written through the store, as a search would; then a new controller takes it over. Told is when it has
replayed the history, and when the first new trial has begun (a command that ends at once, supervised as always).

    ./dev bench take_over
    ./dev bench take_over --algorithm bayesian --trials 10000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tunewell.controller.controller import Controller
from tunewell.controller.loading import recorded
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.work import Work
from tunewell.schedulers.local import LocalScheduler
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.store import AttemptEnd, Store

NAME = "large"
#: Trials that are written in one transaction.
BATCH = 1000
AIM_SECONDS = 10.0


def fill(store: Store, trials: int) -> None:
    """Write so many ended trials, with two reports each."""
    with store.transaction() as tx:
        tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.RUNNING)
    for first in range(1, trials + 1, BATCH):
        with store.transaction() as tx:
            for number in range(first, min(first + BATCH, trials + 1)):
                key, x = AttemptKey(NAME, number, 1), (number * 7919 % trials) / trials
                tx.add_trial(NAME, number, {"x": x, "y": 1 - x}, "random", 1.0, None, known=number - 1)
                tx.start_attempt(key)
                tx.add_reports(key, [Report(step, {"loss": x / step}, 0.0) for step in (1, 2)])
                tx.finish_trial(key, AttemptEnd(TrialState.SUCCEEDED, value=x / 2, seconds=1.0))


def main() -> int:
    """Print how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--algorithm", default="random")
    arguments = parser.parse_args()
    spec = {
        "name": NAME,
        "command": ["true", "{x}", "{y}"],
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}},
        "algorithm": arguments.algorithm,
        "max_trials": arguments.trials + 100,
    }
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as service:
        service.submit(spec)
        fill(service.store, arguments.trials)
        home = service.home
        surroundings = Surroundings(service.store, home, {}, lambda row: recorded(home, row), follow_up=False)
        with closing(LocalScheduler(home.claims)) as scheduler:
            controller = Controller(surroundings, Work(), scheduler)
            began = time.perf_counter()
            controller.take_experiment(NAME)
            replayed = None
            while service.store.counts(NAME)[TrialState.RUNNING] == 0:
                controller.step()
                if replayed is None and controller.concurrency:
                    replayed = time.perf_counter() - began
            at_work = time.perf_counter() - began
            controller.interrupt()
            while controller.busy:
                controller.step()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.algorithm}, {arguments.trials} trials: at work after {at_work:.1f} s (aim {AIM_SECONDS:.0f} s),")
    print(f"record read after {replayed:.1f} s; {memory:.0f} MiB of memory at most")
    return 0 if at_work <= AIM_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
