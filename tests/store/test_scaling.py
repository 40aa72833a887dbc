"""The cost of the store does not grow with the experiment.

Counted in SQLite's own instructions and in the blocks that PostgreSQL looks at, not in time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool

from tests.conftest import DATABASES
from tests.postgres import Server
from tests.store import large, writers
from tests.store.lives import create
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store
from tunewell.store.tables import metadata

NAME = "steps"
FEW, MANY = 100, 1500


class Meter:
    """Counts the virtual machine's instructions on all new connections."""

    def __init__(self, grain: int = 1) -> None:
        self._instructions = 0
        self._grain = grain

    def connect(self, connection: sqlite3.Connection, _: object) -> None:
        """Count on this connection, too."""
        connection.set_progress_handler(self._tick, self._grain)

    def measure(self, action: Callable[[], object]) -> int:
        """Return how many instructions an action takes."""
        before = self._instructions
        action()
        return self._instructions - before

    def _tick(self) -> None:
        self._instructions += self._grain


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


class BlockMeter:
    """Counts the blocks that PostgreSQL looks at for the queries of one store."""

    def __init__(self, engine: Engine) -> None:
        self._blocks = 0
        event.listen(engine, "before_cursor_execute", self._explain)

    def measure(self, action: Callable[[], object]) -> int:
        """Return how many blocks an action takes."""
        before = self._blocks
        action()
        return self._blocks - before

    def _explain(self, connection: Connection, cursor: Any, statement: str, values: Any, *_: object) -> None:
        explaining: Any = connection.connection.driver_connection
        analyzed = explaining.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values, prepare=False)
        plan = analyzed.fetchone()[0][0]["Plan"]
        self._blocks += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


@dataclass
class Large:
    """A store with an experiment of `large.TRIALS` trials, and what measures its work."""

    store: Store
    measure: Callable[[Callable[[], object]], int]
    #: What a list may take, by far less than a walk through all trials.
    most: int


@pytest.fixture(scope="module", params=DATABASES)
def large_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    """The large experiment in each kind of database. PostgreSQL looks at none of its tables by itself."""
    if request.param == "sqlite":
        url, meter = f"sqlite:///{tmp_path_factory.mktemp('large') / 'tunewell.db'}", Meter(10)
        large.make(url)
        event.listen(Pool, "connect", meter.connect)
        try:
            with Store(url) as store:
                yield Large(store, meter.measure, 30_000)
        finally:
            event.remove(Pool, "connect", meter.connect)
        return
    server: Server = request.getfixturevalue("postgres")
    with server.new_database("tables") as url:
        leave_alone(server, url)
        large.make(url)
        with Store(url) as store:
            yield Large(store, BlockMeter(store._engine).measure, 1500)


def leave_alone(server: Server, url: str) -> None:
    """Have the server neither look at the tables nor tidy them by itself."""
    for table in metadata.tables:
        server.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)", database_name(url))


def database_name(url: str) -> str:
    """Return the name of the database in a URL."""
    return url.rpartition("/")[2]


_last = large.TRIALS
_LISTS: dict[str, Callable[[Store], object]] = {
    "trials": lambda store: store.trials(large.NAME, after=_last // 2),
    "last trials with a cause": lambda store: store.trials(large.NAME, cause=Cause.CRASHED, after=_last // 10 * 9),
    "trials by number": lambda store: store.trials_of(large.NAME, range(_last - 100, _last)),
    "columns of a few trials": lambda store: store.trial_columns_of(large.NAME, [1, _last // 2, _last]),
    "changed trials": lambda store: store.changed_trials(large.NAME, 3 * _last - 100),
    "last event": lambda store: store.last_event(large.NAME),
    "failed trials": lambda store: store.trials(large.NAME, states=[TrialState.FAILED], after=_last // 2),
    "open trials": lambda store: store.trials(large.NAME, states=[TrialState.WAITING, TrialState.RUNNING]),
    "trials with a rare cause": lambda store: store.trials(large.NAME, cause=Cause.TIMEOUT),
    "last ended": lambda store: store.last_ended(large.NAME, 30),
    "top": lambda store: store.top(large.NAME),
    "noted": lambda store: store.noted(large.NAME),
    "counts": lambda store: store.counts(large.NAME),
    "experiment": lambda store: store.experiment(large.NAME),
    "experiments": lambda store: store.experiments(search="l"),
    "has attempt": lambda store: store.has_attempt(large.NAME, _last, "a"),
    "attempts": lambda store: store.attempts(large.NAME, _last // 2),
    "events": lambda store: store.events(large.NAME, after=_last, limit=100),
    "events of a trial": lambda store: store.events(large.NAME, number=_last // 2),
    "reports": lambda store: store.reports(large.NAME, _last // 2),
    "last metrics of a page": lambda store: store.last_metrics(large.NAME, range(_last - 100, _last)),
    "latest reports of a page": lambda store: store.latest_reports(large.NAME, range(_last - 100, _last)),
    "curves of a page": lambda store: store.curves(large.NAME, "loss", range(_last - 100, _last)),
    "latest values": lambda store: store.latest_values(large.NAME, range(_last - 100, _last), "loss"),
    "changed": lambda store: store.changed(0),
    "results": lambda store: store.results(large.NAME, "model"),
    "open jobs": lambda store: (store.open_jobs(), store.open_requests(), store.open_experiments()),
}


@pytest.mark.parametrize("what", _LISTS)
def test_a_list_reads_what_it_shows(large_store: Large, what: str) -> None:
    """Of many trials a list, a summary or a look reads those that it shows, and no others."""
    assert 0 < large_store.measure(lambda: _LISTS[what](large_store.store)) < large_store.most


def _actions(store: Store, number: int) -> dict[str, Callable[[], object]]:
    """Return what is measured while trial `number` runs; the first ends it."""
    return {
        "step": lambda: writers.step(store, NAME, number),
        "trial": lambda: store.trial(NAME, number),
        "top": lambda: store.top(NAME),
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
            tx.finish_trial(AttemptKey(NAME, number, 1), AttemptEnd(TrialState.SUCCEEDED, value=number / 2))
            tx.add_trial(NAME, number + 1, {}, "random", 1.0, None)
            tx.start_attempt(AttemptKey(NAME, number + 1, 1))


def test_rows_are_rewritten_in_their_place(postgres: Server) -> None:
    """What every transaction changes takes no more room after many of them, though PostgreSQL has not tidied up."""
    with postgres.new_database("tables") as url:
        leave_alone(postgres, url)
        with Store(url) as store:
            create(store, NAME)
            for _ in range(2000):
                with store.transaction() as tx:
                    tx.add_elapsed(NAME, 1.0)
        query = "SELECT pg_relation_size('change') / 8192, pg_relation_size('experiment') / 8192"
        [(change, experiment)] = postgres.execute(query, database_name(url))
    assert (change, experiment) == (1, 1)
