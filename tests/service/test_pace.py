"""How fast a search goes follows from the trials that ended last, and what it has left from those that run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.lives import NAME, add, create, finish, start
from tunewell.service import pace, table
from tunewell.spec.states import TrialState
from tunewell.store import Store

FAILED = TrialState.FAILED


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with an experiment without trials."""
    with Store(f"sqlite:///{tmp_path / 'tunewell.db'}") as store:
        create(store)
        yield store


def end(store: Store, number: int, seconds: float, ended_after: float | None, state: TrialState = FAILED) -> None:
    """Record a trial that took some seconds."""
    add(store, number)
    start(store, number)
    finish(store, number, state, seconds=seconds, ended_after=ended_after)


def remaining(store: Store, elapsed: float, max_trials: int = 10, now: float = 100.0) -> float | None:
    """Return the estimate for the search as it is on record; running trials have started at 100."""
    return pace.remaining_seconds(table.load(store, NAME).table, elapsed, max_trials, now)


def per_hour(store: Store, elapsed: float) -> float | None:
    """Return the pace of the search as it is on record."""
    return pace.trials_per_hour(table.load(store, NAME).table, elapsed)


def test_nothing_is_known_at_first(store: Store) -> None:
    """Before a trial has ended, or of trials from elsewhere that nobody timed, there is no pace."""
    assert (per_hour(store, 10.0), remaining(store, 10.0)) == (None, None)
    add(store, 1)
    start(store, 1)
    end(store, 2, seconds=5.0, ended_after=None)
    assert (per_hour(store, 10.0), remaining(store, 10.0)) == (None, None)
    end(store, 3, seconds=0.0, ended_after=0.0)
    assert (per_hour(store, 0.0), remaining(store, 0.0)) == (None, None)


def test_the_trials_that_ended_last_count(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that has become slower is as fast as it is now, in whichever order its trials ended."""
    monkeypatch.setattr(pace, "LATELY", 2)
    for number, ended_after in enumerate((1.0, 102.0, 2.0, 52.0), 1):
        end(store, number, seconds=50.0, ended_after=ended_after)
    assert per_hour(store, 102.0) == pytest.approx(3600 * 2 / 100)
    assert remaining(store, 102.0) == pytest.approx(6 * 50)
    assert per_hour(store, 202.0) == pytest.approx(3600 * 2 / 200), "what takes long now counts before it has ended"


def test_what_running_trials_have_left(store: Store) -> None:
    """Trials that take as long as the others are waited for no longer than those took."""
    end(store, 1, seconds=10.0, ended_after=10.0)
    end(store, 2, seconds=30.0, ended_after=40.0)
    for number in (3, 4):
        add(store, number)
        start(store, number, now=100.0)
    assert remaining(store, 40.0, max_trials=4, now=100.0) == pytest.approx(2 * 20.0), "one after the other so far"
    assert remaining(store, 40.0, max_trials=4, now=115.0) == pytest.approx(2 * 15.0), "the short ones are over"
    assert remaining(store, 40.0, max_trials=4, now=131.0) is None, "they take longer than any before"
    assert remaining(store, 40.0, max_trials=14, now=131.0) == pytest.approx(10 * 20.0)
    assert remaining(store, 40.0, max_trials=3, now=131.0) is None


def test_the_last_trial_is_waited_for(store: Store) -> None:
    """However fast many trials at once are, one takes its time."""
    for number in range(1, 5):
        end(store, number, seconds=20.0, ended_after=20.0)
    add(store, 5)
    start(store, 5, now=100.0)
    assert remaining(store, 20.0, max_trials=5, now=105.0) == pytest.approx(15.0)


def test_time_at_the_end_of_a_search(store: Store) -> None:
    """Where all trials are made and none runs, nothing is left."""
    end(store, 1, seconds=20.0, ended_after=20.0, state=TrialState.SUCCEEDED)
    assert remaining(store, 20.0, max_trials=1) == 0.0
