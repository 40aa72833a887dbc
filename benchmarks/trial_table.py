"""What it costs to have all trials of an experiment as columns: CPU seconds and memory.

Experiments of 10,000 and 100,000 trials over eight parameters are written through the store. In a process of its own
for each, their columns are loaded, brought up to date after ten trials have changed, and lists are chosen and sorted
from them; then the answers that pages need are asked for as a service gives them.

    ./dev bench trial_table
    ./dev bench trial_table --database postgresql
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from databases import KINDS, new_databases

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.store.many_trials import end, fill

from tunewell.service import selection, table
from tunewell.service.service import Service
from tunewell.service.types import EVERY_TRIAL, Range, TrialFilter
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store import Store

NAME = "large"
#: Trials that change before columns are brought up to date.
CHANGED = 10
REPEATS = 10
CHOSEN = TrialFilter(
    states=(TrialState.SUCCEEDED,),
    within={"learning_rate": Range(low=1e-3, high=1e-2), "optimizer": ("sgd", "adam"), "value": Range(low=0.5)},
)


def change(store: Store, first: int) -> None:
    """Add trials and end them."""
    with store.transaction() as tx:
        for number in range(first, first + CHANGED):
            tx.add_trial(NAME, number, {"epochs": 3}, "model", 1.0, None)
            tx.start_attempt(AttemptKey(NAME, number, 1))
            tx.finish_trial(AttemptKey(NAME, number, 1), end(number, 0.5))


def cpu_seconds(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the CPU time of this process that an action takes, at its best."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        action()
        taken.append(time.process_time() - began)
    return min(taken)


def measure(url: str, trials: int) -> None:
    """Print what it costs in this process."""
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder) / "home", url) as service:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        known = table.load(service.store, NAME)
        _say("load", time.process_time() - began)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{known.bytes / 2**20:14.1f} MiB kept, {grown:.0f} MiB more while it is loaded")
        change(service.store, trials + 1)
        looks: dict[str, Callable[[], object]] = {
            f"bring up to date by {CHANGED} trials": lambda: table.refreshed(service.store, NAME, known),
            "choose": lambda: selection.chosen(known, CHOSEN),
            "sort by number": lambda: selection.part(known, EVERY_TRIAL, "number", None, 100),
            "sort by value": lambda: selection.part(known, EVERY_TRIAL, "-value", None, 100),
            "choose, and sort by a parameter": lambda: selection.part(known, CHOSEN, "learning_rate", None, 100),
            "trials, 100 of them by value": lambda: service.trials(NAME, sort="-value", filter=CHOSEN),
            "overview": lambda: service.overview(NAME),
            "experiments": lambda: service.experiments(),
        }
        for name, look in looks.items():
            look()
            _say(name, cpu_seconds(look))


def _say(what: str, seconds: float) -> None:
    print(f"{seconds:14.4f} CPU-s  {what}")


def main() -> None:
    """Print what it costs for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--database", choices=KINDS, default="sqlite")
    arguments = parser.parse_args()
    with new_databases(arguments.database) as new:
        for trials in arguments.trials:
            url = new()
            with Store(url) as store:
                fill(store, NAME, trials)
            print(f"{trials} trials")
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(url, trials))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
