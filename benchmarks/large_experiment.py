"""How long any page of any list takes in an experiment of 100,000 trials with 200,000 reports.

The experiment is written through the store, as a search would; then the first page of each list, one in its middle and
the last one are read, several times, and the slowest are printed. At last trials are ended one by one, as many in a new
experiment as in the large one.

    ./dev bench large_experiment
    ./dev bench large_experiment --database postgresql
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator

from databases import KINDS, new_databases
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, ExperimentState, JobState, TrialState
from tunewell.store import AttemptEnd, Store

NAME = "large"
#: Trials that are written in one transaction.
BATCH = 1000
REPEATS = 5
#: Trials that are ended one by one.
STEPS = 300
AIM_MS = 100.0

Look = tuple[str, Callable[[], object]]


def fill(store: Store, trials: int) -> None:
    """Write an experiment whose trials end in every way, many of them with equal values."""
    spec = {"name": NAME, "objective": {"metric": "accuracy", "goal": "maximize"}}
    store.create_experiment(NAME, spec, {"x": {"low": 0.0, "high": 1.0}}, {"name": "random"})
    with store.transaction() as tx:
        tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.RUNNING)
    for first in range(1, trials + 1, BATCH):
        with store.transaction() as tx:
            for number in range(first, min(first + BATCH, trials + 1)):
                key = AttemptKey(NAME, number, 1)
                parameters = {"x": number / trials, "learning_rate": 1e-3, "optimizer": "adamw"}
                tx.add_trial(NAME, number, parameters, "random", 1.0 if number % 2 else 0.25, None)
                if number > trials - 10:
                    continue
                tx.start_attempt(key)
                tx.add_reports(key, [Report(step, {"accuracy": step / 4, "loss": 0.5}, 0.0) for step in (1, 2)])
                tx.finish_trial(key, _end(number, trials))
            tx.add_elapsed(NAME, 1.0)
    with store.transaction() as tx:
        for number in range(1, 6):
            tx.add_result(NAME, "evaluation", number, None, {"accuracy": 0.9})
        for _ in range(100):
            tx.add_job("evaluate", NAME)
        tx.start_attempt(AttemptKey(NAME, trials, 1))
    store.request(NAME, "pause")


def _end(number: int, trials: int) -> AttemptEnd:
    if number % 10 < 3:
        cause = Cause.TIMEOUT if number == trials // 10 * 7 else Cause.CRASHED
        return AttemptEnd(TrialState.FAILED, cause, "it ended with exit code 1", ("a note",), seconds=1.0)
    state = {3: TrialState.PRUNED, 4: TrialState.STOPPED}.get(number % 10, TrialState.SUCCEEDED)
    return AttemptEnd(state, value=(number * 7919 % 50) / 50, seconds=1.0)


def trial_pages(store: Store, trials: int, limit: int) -> Iterator[Look]:
    """Yield a look at the first page, one in the middle and the last one of each list of trials."""
    some = [None, [TrialState.FAILED], [TrialState.SUCCEEDED, TrialState.RUNNING], list(TrialState)]
    filters: list[tuple[list[TrialState] | None, Cause | None]] = [(states, None) for states in some]
    filters += [(None, Cause.CRASHED), (None, Cause.TIMEOUT)]
    for (states, cause), after in itertools.product(filters, (0, trials // 2, trials - limit)):

        def look(states: list[TrialState] | None = states, cause: Cause | None = cause, after: int = after) -> object:
            return store.trials(NAME, states=states, cause=cause, after=after, limit=limit)

        yield f"trials({states and len(states)} states, {cause}) behind {after}", look


def other_looks(store: Store, trials: int, limit: int) -> Iterator[Look]:
    """Yield a look at everything else that a page shows."""
    for name, after in (("first", 0), ("middle", trials // 2), ("last", trials - limit)):
        yield f"events {name}", lambda after=after: store.events(NAME, after=3 * after, limit=limit)
        yield f"reports {name}", lambda after=after: store.reports(NAME, after + 5)
        yield f"attempts {name}", lambda after=after: store.attempts(NAME, after + 5)
        numbers = range(after + 1, after + limit + 1)
        yield f"trials_of {name}", lambda numbers=numbers: store.trials_of(NAME, numbers)
        yield f"last_metrics {name}", lambda numbers=numbers: store.last_metrics(NAME, numbers)
        yield f"latest_reports {name}", lambda numbers=numbers: store.latest_reports(NAME, numbers)
        yield f"curves {name}", lambda numbers=numbers: store.curves(NAME, "accuracy", numbers)
    yield "experiments", lambda: store.experiments(limit, search="lar")
    yield "experiments in a state", lambda: store.experiments(limit, states=[ExperimentState.RUNNING])
    yield "open_experiments", store.open_experiments
    yield "counts", lambda: store.counts(NAME)
    yield "noted", lambda: store.noted(NAME)
    yield "last_ended", lambda: store.last_ended(NAME, limit)
    yield "top", lambda: store.top(NAME, limit)
    yield "latest_values", lambda: store.latest_values(NAME, range(1, limit + 1), "accuracy")
    yield "has_attempt", lambda: store.has_attempt(NAME, trials // 2, "none")
    yield "jobs", lambda: store.jobs(NAME, limit=limit)
    yield "jobs in a state", lambda: store.jobs(kind="evaluate", states=[JobState.WAITING], limit=limit)
    yield "open_jobs", store.open_jobs
    yield "open_requests", store.open_requests
    yield "results", lambda: store.results(NAME, "evaluation")
    yield "changed", lambda: store.changed(0)
    yield "version", store.version


def step_times(store: Store, first: dict[str, int]) -> dict[str, float]:
    """Return experiment → median milliseconds of a transaction that ends a trial and starts the next.

    `first` names the number of the next trial of each; they take turns, so that the disk is the same to all.
    """
    for name, number in first.items():
        with store.transaction() as tx:
            tx.add_trial(name, number, {"x": 0.5}, "random", 1.0, None)
            tx.start_attempt(AttemptKey(name, number, 1))
    times: dict[str, list[float]] = {name: [] for name in first}
    for step, (name, begin) in itertools.product(range(STEPS), first.items()):
        key = AttemptKey(name, begin + step, 1)
        began = time.perf_counter()
        with store.transaction() as tx:
            tx.add_reports(key, [Report(1, {"accuracy": 0.5}, 0.0)])
            tx.finish_trial(key, AttemptEnd(TrialState.SUCCEEDED, value=step * 7919 % 50 / 50, seconds=1.0))
            tx.add_trial(name, key.trial + 1, {"x": 0.5}, "random", 1.0, None)
            tx.start_attempt(AttemptKey(name, key.trial + 1, 1))
        times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(taken) for name, taken in times.items()}


def milliseconds(look: Callable[[], object]) -> float:
    """Return how long a look takes, at its best."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        look()
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def main() -> None:
    """Print the slowest looks, and whether all are within the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--limit", type=int, default=100, help="trials on a page")
    parser.add_argument("--database", choices=KINDS, default="sqlite")
    arguments = parser.parse_args()
    with new_databases(arguments.database) as new, Store(new()) as store:
        began = time.perf_counter()
        fill(store, arguments.trials)
        print(f"{arguments.trials} trials written in {time.perf_counter() - began:.0f} s")
        size = arguments.trials, arguments.limit
        looks = [*trial_pages(store, *size), *other_looks(store, *size)]
        times = sorted(((milliseconds(look), name) for name, look in looks), reverse=True)
        store.create_experiment("small", {}, {}, {})
        small, large = step_times(store, {"small": 1, NAME: arguments.trials + 1}).values()
    for taken, name in times[:15]:
        print(f"{taken:8.1f} ms  {name}")
    slow = sum(taken > AIM_MS for taken, _ in times)
    print(f"{len(times)} looks, {slow} of them above {AIM_MS:.0f} ms")
    print(f"a step's transaction: {small:.2f} ms in a new experiment, {large:.2f} ms in the large one")


if __name__ == "__main__":
    main()
