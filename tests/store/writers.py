"""Processes for tests to start, kill and lock out: `python writers.py WHAT URL …`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from itertools import count
from typing import Any

from sqlalchemy import Engine, event

from tunewell.spec.errors import UserError
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import TrialState
from tunewell.store import AttemptEnd, Store
from tunewell.store.copying import Database, move


def step(store: Store, name: str, number: int) -> None:
    """End a trial and start the next, in one transaction."""
    with store.transaction() as tx:
        tx.add_reports(AttemptKey(name, number, 1), [Report(1, {"loss": number / 2}, 0.0)])
        tx.finish_trial(AttemptKey(name, number, 1), AttemptEnd(TrialState.SUCCEEDED, value=number / 2))
        tx.add_trial(name, number + 1, {}, "random", 1.0, None)
        tx.start_attempt(AttemptKey(name, number + 1, 1))


def begin(store: Store, name: str) -> None:
    """Create an experiment with one running trial."""
    store.create_experiment(name, {}, {}, {})
    with store.transaction() as tx:
        tx.add_trial(name, 1, {}, "random", 1.0, None)
        tx.start_attempt(AttemptKey(name, 1, 1))


def open_together(url: str) -> None:
    """Open the store once a line comes in."""
    print("ready", flush=True)
    sys.stdin.readline()
    with Store(url) as store:
        store.create_experiment(f"by-{os.getpid()}", {}, {}, {})


def write_on(url: str) -> None:
    """Step on and on, printing the number of each trial whose end is committed."""
    with Store(url) as store:
        if store.find_experiment("steps") is None:
            begin(store, "steps")
        [running] = store.trials("steps", states=[TrialState.RUNNING])
        for number in count(running.number):
            step(store, "steps", number)
            print(number, flush=True)


def die_within(url: str) -> None:
    """For n = 1, 2, 3, …: step once in a process that kills itself before statement n, until one survives."""
    for statement in count(1):
        child = os.fork()
        if child == 0:
            with Store(url) as store:
                begin(store, f"dies-at-{statement}")
                _kill_before(statement)
                step(store, f"dies-at-{statement}", 1)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            return


def move_within(source: str, target: str) -> None:
    """For n = 1, 2, 3, …: move a database in a process that kills itself before statement n, until one survives.

    After each kill a line is printed, and one waited for.
    """
    for statement in count(1):
        child = os.fork()
        if child == 0:
            _kill_before(statement)
            with closing(Database(source, create=False)) as old, closing(Database(target, create=True)) as new:
                move(old, new, lambda line: None)
            os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
            print("done", flush=True)
            return
        print("killed", flush=True)
        sys.stdin.readline()


def _kill_before(statement: int) -> None:
    executed = count(1)

    @event.listens_for(Engine, "before_cursor_execute")
    def kill(*_: Any) -> None:
        if next(executed) == statement:
            os.kill(os.getpid(), signal.SIGKILL)


def open_unprivileged(*urls: str) -> None:
    """Open stores as somebody whom folders' permissions bind, and print the errors, each on a line."""
    if os.getuid() == 0:
        os.setuid(65534)
    for url in urls:
        try:
            Store(url).close()
        except UserError as error:
            print(type(error).__name__, error)


def read_unprivileged(url: str) -> None:
    """Print the experiments of a store that may only be read, then what comes of writing."""
    if os.getuid() == 0:
        os.setuid(65534)
    with Store(url, create=False) as store:
        print(*(row.name for row in store.experiments()))
        try:
            store.create_experiment("new", {}, {}, {})
        except UserError as error:
            print(type(error).__name__, error)


if __name__ == "__main__":
    what, *urls = sys.argv[1:]
    {
        "open": open_together,
        "write": write_on,
        "die": die_within,
        "unprivileged": open_unprivileged,
        "read": read_unprivileged,
        "move": move_within,
    }[what](*urls)
