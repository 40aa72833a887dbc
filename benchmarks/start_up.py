"""What a look at a home costs: CPU seconds of a whole command, from its start to its end.

Each is a process of its own, so all that it imports counts; time that it waits does not. The home has an experiment of
20,000 trials with 200,000 reports, one of 30 trials, and one that waits.

    ./dev bench start_up
    ./dev bench start_up --trials 1000 --times 3
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tunewell
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store import AttemptEnd, Store

LARGE, SMALL, WAITING = "large", "small", "waiting"
#: Trials that are written in one transaction, and reports of each.
BATCH, REPORTS = 1000, 10
#: What is typed → the most CPU seconds that it should cost.
AIMS = {
    "--version": 0.3,
    f"stop {WAITING}": 0.3,
    f"list --search {SMALL}": 0.3,
    "list": 0.5,
    f"show {LARGE}": 1.0,
    f"export {LARGE}": 5.0,
    f"export {LARGE} --format json": 5.0,
    f"report {LARGE}": 5.0,
}


def train(learning_rate: float, x: float) -> float:
    """What the searches are said to be over."""
    return learning_rate * x


def fill(home: Path, name: str, trials: int) -> None:
    """Put a random search on record; without trials one that waits, else an ended one, a third of them failed."""
    parameters = {"learning_rate": tunewell.loguniform(1e-5, 1e-1), "x": tunewell.uniform(0.0, 1.0)}
    spec = {"name": name, "parameters": parameters, "algorithm": "random", "max_trials": trials or 1}
    with Service(home) as service:
        service.submit({**spec, "objective": {"metric": "accuracy", "goal": "maximize"}}, train)
        if not trials:
            return
        store = service.store
        with store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
        for first in range(1, trials + 1, BATCH):
            _write(store, name, range(first, min(first + BATCH, trials + 1)))
        with store.transaction() as tx:
            tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED)


def _write(store: Store, name: str, numbers: Sequence[int]) -> None:
    with store.transaction() as tx:
        for number in numbers:
            key, share = AttemptKey(name, number, 1), number * 7919 % 1000 / 1000
            tx.add_trial(name, number, {"learning_rate": 10 ** (-1 - 4 * share), "x": share}, "random", 1.0, None)
            tx.start_attempt(key)
            steps = range(1, REPORTS + 1)
            tx.add_reports(
                key, [Report(step, {"accuracy": share * step / REPORTS, "loss": 0.5}, 0.0) for step in steps]
            )
            failed = AttemptEnd(TrialState.FAILED, Cause.CRASHED, "it ended with exit code 1", seconds=1.0)
            tx.finish_trial(
                key, failed if number % 3 == 0 else AttemptEnd(TrialState.SUCCEEDED, None, seconds=1.0, value=share)
            )
        tx.add_elapsed(name, 1.0)


def cpu_seconds(command: Sequence[str]) -> float:
    """Return what a command costs, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the median of each command, and its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=7, help="how often each command is run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill(home, SMALL, 30)
        fill(home, WAITING, 0)
        fill(home, LARGE, arguments.trials)
        for line, aim in AIMS.items():
            place = [] if line == "--version" else ["--home", str(home)]
            command = [sys.executable, "-m", "tunewell", *line.split(), *place]
            cpu_seconds(command)  # what is compiled at the first time is kept
            taken = [cpu_seconds(command) for _ in range(arguments.times)]
            print(f"{statistics.median(taken):6.2f} s  (aim: {aim} s)  tunewell {line}")


if __name__ == "__main__":
    main()
