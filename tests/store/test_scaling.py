"""The cost of the store does not grow with the experiment: counted in SQLite's own instructions, not in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from tests.store import large, writers
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store, TrialPage
from tunewell.store.queries.trial_list import Sort

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


@pytest.fixture(scope="module")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with an experiment of 100,000 trials, whose instructions are counted."""
    path = tmp_path_factory.mktemp("large") / "tunewell.db"
    large.make(path)
    event.listen(Pool, "connect", _coarse.connect)
    try:
        with Store(f"sqlite:///{path}") as store:
            yield store
    finally:
        event.remove(Pool, "connect", _coarse.connect)


_coarse = Meter(10)
_last = large.TRIALS
_LISTS: dict[str, Callable[[Store], object]] = {
    "trials": lambda store: store.trials(large.NAME, after=_last // 2),
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
    "reports": lambda store: store.reports(large.NAME, _last // 2),
    "curves of a page": lambda store: store.curves(large.NAME, "loss", range(_last - 100, _last)),
    "changed": lambda store: store.changed(0),
    "results": lambda store: store.results(large.NAME, "model"),
    "open jobs": lambda store: (store.open_jobs(), store.open_requests(), store.open_experiments()),
}


@pytest.mark.parametrize("what", _LISTS)
def test_a_list_reads_what_it_shows(large_store: Store, what: str) -> None:
    """Of 100,000 trials a list, a summary or a look reads those that it shows, and no others."""
    assert 0 < _coarse.measure(lambda: _LISTS[what](large_store)) < 20_000


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("states", "cause"),
    [
        (None, None),
        ([TrialState.FAILED], None),
        ([TrialState.SUCCEEDED, TrialState.RUNNING], None),
        (None, Cause.CRASHED),
        (None, Cause.TIMEOUT),
    ],
)
@pytest.mark.parametrize("sort", ["number", "value", "ended"])
def test_any_page_reads_what_it_shows(
    large_store: Store, sort: Sort, states: list[TrialState] | None, cause: Cause | None, descending: bool
) -> None:
    """The first page of 100,000 trials, one in the middle and the last one cost about the same, however sorted."""

    def turn(cursor: str | None) -> TrialPage:
        return large_store.trials_page(large.NAME, sort, descending, states, cause, cursor, limit=20)

    middle, end = (_last // 2, 1 if descending else _last) if sort != "value" else (25, 25)
    places = [None, str(middle) if sort == "number" else f"{float(middle)} {_last // 2}", str(end)]
    for place in [*places, str(_last // 2)]:
        assert _coarse.measure(lambda place=place: turn(place)) < 30_000  # type: ignore[misc]


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
