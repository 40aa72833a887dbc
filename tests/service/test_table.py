"""Trials as columns: whatever happens to them, the columns say it, at the cost of what has changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.searches import SPACE, STEPS, Step, create, take
from tests.service.test_lists import asked_statements
from tunewell.reports.table import CAUSES, STATES
from tunewell.service import table
from tunewell.service.origins import kind_of
from tunewell.service.table import Tables, Trials
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import NotFoundError
from tunewell.spec.space import Choice
from tunewell.spec.states import TrialState
from tunewell.store import Store

NAME = "e"
ENDED = Step("live", 0, TrialState.SUCCEEDED, 0.25)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with the experiment `e`, which has no trials yet."""
    with Store(database) as store:
        create(store, NAME)
        yield store


def rows(trials: Trials) -> list[dict[str, Any]]:
    """Return what columns say of each trial, in words of the store."""
    columns = trials.table
    return [
        {
            "number": int(columns.numbers[row]),
            "state": STATES[columns.states[row]],
            "cause": CAUSES[columns.causes[row]] if columns.causes[row] >= 0 else None,
            "origin": columns.origin_names[columns.origins[row]],
            "value": plain(columns.values[row]),
            "fidelity": columns.fidelities[row],
            "resume_from": int(columns.parents[row]) or None,
            "started_at": plain(columns.started_at[row]),
            "ended_at": plain(columns.ended_at[row]),
            "ended_after": plain(columns.ended_after[row]),
            "cost_seconds": columns.cost_seconds[row],
            "settings": [plain(value) for value in trials.settings[row]],
            "positions": [plain(value) for value in columns.positions[row]],
        }
        for row in range(len(columns))
    ]


def plain(value: float) -> float | None:
    """Return a number, None for NaN."""
    return None if math.isnan(value) else float(value)


def read_one_by_one(store: Store, name: str) -> list[dict[str, Any]]:
    """Return the same from the rows of the store."""
    found = []
    for row in store.iterate_trials(name):
        settings: list[float | None] = []
        positions: list[float | None] = []
        for parameter in parse_space(SPACE):
            if parameter.name not in row.parameters:
                settings.append(None)
                positions.append(None)
                continue
            value = row.parameters[parameter.name]
            settings.append(parameter.index(value) if isinstance(parameter, Choice) else value)
            positions.append(pytest.approx(parameter.to_unit(value), rel=1e-6))
        facts = ("number", "state", "cause", "value", "fidelity", "resume_from", "started_at", "ended_at")
        found.append(
            {name: getattr(row, name) for name in (*facts, "ended_after", "cost_seconds")}
            | {"origin": kind_of(row.origin), "settings": settings, "positions": positions}
        )
    return found


def test_whatever_happens_is_in_the_table(store: Store) -> None:
    """After any changes, what was brought up to date is what would be loaded again, and what the rows say."""
    numbers = count(1)

    @given(st.lists(st.lists(STEPS, max_size=6), max_size=4))
    def whatever_happens(rounds: list[list[Step]]) -> None:
        name = f"e{next(numbers)}"
        create(store, name)
        tables = Tables(store)
        for steps in rounds:
            for step in steps:
                take(store, name, step)
            before = tables.of(name)
            assert rows(before) == rows(table.load(store, name)) == read_one_by_one(store, name)
            assert tables.of(name) is before

    whatever_happens()


def test_large_experiments_are_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where parts begin and end makes no difference, neither in the first reading nor in later ones."""
    monkeypatch.setattr(table, "PART", 3)
    monkeypatch.setattr(table, "SOME", 2)
    tables = Tables(store)
    for trials in (0, 2, 1, 3, 5):
        for _ in range(trials):
            take(store, NAME, ENDED)
        assert rows(tables.of(NAME)) == rows(table.load(store, NAME)) == read_one_by_one(store, NAME)


def test_one_question_where_nothing_has_changed(store: Store) -> None:
    """A table that is known is asked about what has changed, and only the trials that have are read again."""
    tables = Tables(store)
    for _ in range(3):
        take(store, NAME, ENDED)
    known = tables.of(NAME)
    with asked_statements() as asked:
        assert tables.of(NAME) is known
    assert len(asked) == 1
    take(store, NAME, Step("add", 0, TrialState.FAILED, None))
    with asked_statements() as asked:
        assert len(tables.of(NAME).table) == 4
    assert len(asked) == 2
    assert len(known.table) == 3, "what was handed out stays as it was"


def test_another_experiment_of_the_name(database: str, store: Store) -> None:
    """One that was purged and made again, by whomever, has its own trials and no others."""
    tables = Tables(store)
    take(store, NAME, ENDED)
    assert len(tables.of(NAME).table) == 1
    with Store(database) as other:
        other.find_access(NAME)
        with other.transaction() as tx:
            tx.set_facts(NAME, {"deleted_at": 1.0})
        with other.transaction() as tx:
            tx.remove_experiment(NAME)
        assert store.find_access(NAME) is None, "whoever asks looks first whether it may"
        with pytest.raises(NotFoundError):
            tables.of(NAME)
        create(other, NAME, goal="minimize")
        for _ in range(2):
            take(other, NAME, ENDED)
    assert store.find_access(NAME) is not None
    found = tables.of(NAME)
    assert (len(found.table), found.table.goal) == (2, "minimize")


def test_memory_is_bounded(store: Store) -> None:
    """Tables go that have not been asked for for longest; the one asked for last stays, however large."""
    names = ["e", "f", "g"]
    for name in names:
        if name != NAME:
            create(store, name)
        take(store, name, ENDED)
    size = table.load(store, NAME).bytes
    tables = Tables(store, most_bytes=2 * size)
    known = {name: tables.of(name) for name in ("e", "f", "e", "g")}
    assert tables.bytes == 2 * size
    assert tables.of("e") is known["e"] and tables.of("g") is known["g"]
    assert tables.of("f") is not known["f"]
    least = Tables(store, most_bytes=1)
    assert least.of("e") is least.of("e")


def test_many_ask_at_once(store: Store) -> None:
    """Whoever asks for what is being read waits for it, and reads nothing twice."""
    for _ in range(4):
        take(store, NAME, ENDED)
    tables = Tables(store)
    with asked_statements() as asked, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tables.of(NAME), range(32)))
    assert len({id(one) for one in found}) == 1
    assert len([statement for statement in asked if "FROM trial" in statement]) == 1


def test_an_experiment_that_is_not_there(store: Store) -> None:
    """What can't be read is not remembered."""
    tables = Tables(store)
    for _ in range(2):
        with pytest.raises(NotFoundError, match="no experiment 'nothing'"):
            tables.of("nothing")
    assert tables.bytes == 0


def test_positions_of_many_values(store: Store) -> None:
    """Many values at once have the positions that each has alone."""
    generator = np.random.default_rng(1)
    for parameter in parse_space(SPACE):
        values = [parameter.from_unit(position) for position in generator.random(50)]
        settings = [parameter.index(value) if isinstance(parameter, Choice) else value for value in values]
        alone = [parameter.to_unit(value) for value in values]
        assert parameter.positions(np.array([*settings, np.nan])) == pytest.approx([*alone, np.nan], nan_ok=True)
