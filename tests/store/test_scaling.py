"""The cost of the store does not grow with the experiment: counted in SQLite's own instructions, not in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from tests.store import writers
from tunewell.spec.states import TrialState
from tunewell.store import Store

NAME = "steps"
FEW, MANY = 100, 1500


class Meter:
    """Counts the virtual machine's instructions on all new connections."""

    def __init__(self) -> None:
        self._instructions = 0

    def connect(self, connection: sqlite3.Connection, _: object) -> None:
        """Count on this connection, too."""
        connection.set_progress_handler(self._tick, 1)

    def measure(self, action: Callable[[], object]) -> int:
        """Return how many instructions an action takes."""
        before = self._instructions
        action()
        return self._instructions - before

    def _tick(self) -> None:
        self._instructions += 1


@pytest.fixture
def meter() -> Iterator[Meter]:
    """A meter of the stores that the test opens."""
    meter = Meter()
    event.listen(Pool, "connect", meter.connect)
    yield meter
    event.remove(Pool, "connect", meter.connect)


def test_cost_does_not_grow(tmp_path: Path, meter: Meter) -> None:
    """A trial's transaction and the reads of a live view cost the same at trial 1500 as at trial 100."""
    store = Store(f"sqlite:///{tmp_path / 'tunewell.db'}")
    writers.begin(store, NAME)
    costs = []
    first = 1
    for size in (FEW, MANY):
        _grow(store, first, size)
        costs.append({name: meter.measure(action) for name, action in _actions(store, size).items()})
        first = size + 1
    store.close()
    few, many = costs
    assert min(few.values()) > 0
    assert {name: (few[name], many[name]) for name in few if many[name] > 1.2 * few[name] + 20} == {}


def _actions(store: Store, number: int) -> dict[str, Callable[[], object]]:
    """Return what is measured while trial `number` runs; the first ends it."""
    return {
        "step": lambda: writers.step(store, NAME, number),
        "trial": lambda: store.trial(NAME, number),
        "top": lambda: store.top(NAME, "maximize"),
        "bottom": lambda: store.top(NAME, "minimize"),
        "page": lambda: store.trials(NAME, after=number - 20, limit=10),
        "running": lambda: store.trials(NAME, states=[TrialState.RUNNING, TrialState.WAITING]),
        "failed": lambda: store.trials(NAME, states=[TrialState.FAILED]),
        "reports": lambda: store.reports(NAME, number),
        "metrics": lambda: store.last_metrics(NAME, range(number - 10, number)),
        "attempts": lambda: store.attempts(NAME, number),
        "events": lambda: store.events(NAME, after=3 * number - 10, limit=10),
        "requests": lambda: store.requests(NAME),
    }


def _grow(store: Store, first: int, last: int) -> None:
    """End all trials from `first` up to `last`, and start that one, in one transaction."""
    with store.transaction() as tx:
        for number in range(first, last):
            tx.finish_trial(NAME, number, 1, TrialState.SUCCEEDED, value=number / 2)
            tx.add_trial(NAME, number + 1, {}, "random", 1.0, None)
            tx.start_attempt(NAME, number + 1, 1)
