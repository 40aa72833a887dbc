"""The store that fails on order does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.faulty import Fault, Faults, faulty
from tests.store.lives import NAME, add, create
from tunewell.spec.errors import ConflictError, UserError
from tunewell.store import Store
from tunewell.store.dialect import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A sound store with the experiment NAME in it."""
    with Store(f"sqlite:///{tmp_path / 'tunewell.db'}") as store:
        create(store)
        yield store


def outcome(store: Store, number: int) -> type[UserError] | None:
    """Add a trial; return the kind of error that came of it."""
    try:
        add(store, number)
    except UserError as error:
        return type(error)
    return None


def test_without_faults_nothing_differs(store: Store) -> None:
    """Reads, writes, iterators, properties and the end of a `with` block are those of the store."""
    with faulty(store, Faults()) as wrapped:
        create(wrapped, "other")
        add(wrapped, 1)
        assert wrapped.trials(NAME) == store.trials(NAME)
        assert list(wrapped.history(NAME)) == list(store.history(NAME)) != []
        assert wrapped.place == store.place
        assert [row.name for row in wrapped.experiments()] == ["other", NAME]


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.ERROR, StoreError, False),
        (Fault.TIME_OUT, ConflictError, False),
        (Fault.DONE_THEN_ERROR, StoreError, True),
        (Fault.DELAY, None, True),
    ],
)
def test_the_planned_call_fails(store: Store, fault: Fault, error: type[UserError] | None, done: bool) -> None:
    """The transaction of the planned number fails as planned, those before and after it don't; so do single calls."""
    delays: list[int] = []
    faults = Faults({2: fault}, on=["transaction"], delay=lambda: delays.append(len(store.trials(NAME))))
    wrapped = faulty(store, faults)
    assert outcome(wrapped, 1) is None
    found = outcome(wrapped, 2)
    assert found is error or (error is not None and found is not None and issubclass(found, error))
    assert [row.number for row in wrapped.trials(NAME)] == [1, 2][: 1 + done]
    assert outcome(wrapped, 2 + done) is None
    assert (faults.calls, dict(faults.happened)) == (3, {fault: 1})
    assert delays == ([1] if fault is Fault.DELAY else [])
    faults = Faults({1: fault}, on=["request"])
    try:
        faulty(store, faults).request(NAME, "stop")
    except UserError as told:
        assert error is not None
        assert isinstance(told, error)
    assert len(store.requests(NAME)) == done


def test_an_error_of_the_block_is_its_own(store: Store) -> None:
    """What the block itself raises comes out of the transaction, and undoes it."""
    wrapped = faulty(store, Faults({1: Fault.DONE_THEN_ERROR}))
    with pytest.raises(KeyError), wrapped.transaction() as tx:
        tx.add_trial(NAME, 1, {}, "random", 1.0, None)
        raise KeyError
    assert store.trials(NAME) == []


def test_rates_are_kept_and_repeatable(store: Store) -> None:
    """Faults come at about their rates, the same for the same seed, and not at all while they are switched off."""

    def drawn(seed: int) -> list[Fault | None]:
        faults = Faults(rates={Fault.ERROR: 0.2, Fault.DELAY: 0.1}, seed=seed)
        return [faults.next("trials") for _ in range(1000)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 150 < drawn(1).count(Fault.ERROR) < 250
    assert 60 < drawn(1).count(Fault.DELAY) < 140
    faults = Faults(rates={Fault.ERROR: 1.0})
    faults.active = False
    assert outcome(faulty(store, faults), 1) is None
    faults.active = True
    assert outcome(faulty(store, faults), 2) is StoreError


def test_a_life_with_faults_loses_nothing(store: Store) -> None:
    """Who looks after each failure, and does again what was not done, ends with every trial once."""
    faults = Faults(rates={Fault.ERROR: 0.2, Fault.TIME_OUT: 0.2, Fault.DONE_THEN_ERROR: 0.2}, seed=3)
    wrapped = faulty(store, faults)
    while (number := len(store.trials(NAME)) + 1) <= 20:
        outcome(wrapped, number)
    assert set(faults.happened) == {Fault.ERROR, Fault.TIME_OUT, Fault.DONE_THEN_ERROR}
    assert [event.trial for event in store.events(NAME) if event.kind == "suggested"] == list(range(1, 21))
