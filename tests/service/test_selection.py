"""Trials are chosen and sorted by columns as they would be one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.searches import SPACE, Step, create, take
from tunewell.service import selection
from tunewell.service.origins import KINDS, kind_of
from tunewell.service.table import Trials, load
from tunewell.service.types import Range, TrialFilter
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import ArgumentError
from tunewell.spec.space import Choice, is_number, same
from tunewell.spec.states import Cause, TrialState
from tunewell.store import Store
from tunewell.store.rows import TrialRow

NAME, TRIALS = "e", 60
SPACE_ = parse_space(SPACE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with an experiment whose trials ended in every way, some alike, or have not."""
    with Store(f"sqlite:///{tmp_path_factory.mktemp('selection') / 'tunewell.db'}") as store:
        create(store, NAME)
        finals = [state for state in TrialState if state.final]
        values = [0.5, -1.0, None, 0.5, 1e9, 0.0, 0.25]
        for number in range(1, TRIALS + 1):
            verb = "live" if number % 11 else "add"
            take(store, NAME, Step(verb, number, finals[number % len(finals)], values[number % len(values)]))
            if number % 33 == 0:
                take(store, NAME, Step("start", number, TrialState.FAILED, None))
        yield store


@pytest.fixture(scope="module")
def trials(store: Store) -> Trials:
    """The trials as columns."""
    return load(store, NAME)


@pytest.fixture(scope="module")
def rows(store: Store) -> list[TrialRow]:
    """The trials one by one."""
    return list(store.iterate_trials(NAME))


# One by one -----------------------------------------------------------------------------------------------


def column(row: TrialRow, name: str) -> Any:
    """Return what a trial has in a column, `...` where it has nothing."""
    facts = {"number": row.number, "value": row.value, "start": row.started_at, "end": row.ended_at}
    facts["duration"] = None if row.ended_at is None else row.cost_seconds
    if name in facts:
        return ... if facts[name] is None else facts[name]
    return row.parameters.get(name.removeprefix("parameter:"), ...)


def holds(row: TrialRow, name: str, condition: Range | tuple[Any, ...]) -> bool:
    """Whether a condition holds for a trial."""
    value = column(row, name)
    if isinstance(condition, tuple):
        return not condition or any(value is not ... and same(value, one) for one in condition)
    if value is ... or (condition.low is None and condition.high is None):
        return value is not ...
    low, high = condition.low, condition.high
    return is_number(value) and (low is None or low <= value) and (high is None or value <= high)


def is_wanted(row: TrialRow, wanted: TrialFilter) -> bool:
    """Whether a trial is one of those that are wanted."""
    return (
        (not wanted.states or row.state in wanted.states)
        and (not wanted.causes or row.cause in wanted.causes)
        and (not wanted.origins or kind_of(row.origin) in wanted.origins)
        and all(holds(row, name, condition) for name, condition in wanted.within.items())
    )


def key(row: TrialRow, name: str) -> float | None:
    """Return what a trial is sorted by; None: it has nothing there."""
    value = column(row, name)
    own = name.removeprefix("parameter:")
    parameter = SPACE_[own] if name not in selection.FACTS else None
    if value is ...:
        return None
    return float(parameter.index(value) if isinstance(parameter, Choice) else value)


def in_order(rows: list[TrialRow], sort: str) -> list[int]:
    """Return the numbers of trials in an order."""
    name, sign = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    keys = {row.number: key(row, name) for row in rows}
    return sorted(keys, key=lambda number: (keys[number] is None, sign * (keys[number] or 0.0), sign * number))


# Anything that may be asked ------------------------------------------------------------------------------

COLUMNS = [name for name in (*selection.FACTS, *SPACE) if name != "value"] + ["value", "parameter:value"]
NUMBERS = st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.5, 1, 2, 3, 16, 32, 20.0, 50.0, 1e9])


@st.composite
def conditions(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a column and a condition on it, with ends that some trial has."""
    name = draw(st.sampled_from(COLUMNS))
    own = name.removeprefix("parameter:")
    parameter = SPACE_[own] if name not in selection.FACTS else None
    if isinstance(parameter, Choice) and (draw(st.booleans()) or not any(map(is_number, parameter.values_))):
        return name, draw(st.one_of(st.just(Range()), st.lists(st.sampled_from(parameter.values_)).map(tuple)))
    known = st.floats(0, 1).map(parameter.from_unit) if parameter and not isinstance(parameter, Choice) else NUMBERS
    if not isinstance(parameter, Choice) and draw(st.booleans()):
        return name, tuple(draw(st.lists(known, max_size=3)))
    ends = sorted([draw(known), draw(known)])
    return name, Range(low=ends[0] if draw(st.booleans()) else None, high=ends[1] if draw(st.integers(0, 3)) else None)


FILTERS = st.builds(
    TrialFilter,
    states=st.lists(st.sampled_from(TrialState), max_size=3).map(tuple),
    causes=st.sampled_from([(), (), (), (Cause.CRASHED,), tuple(Cause)]),
    origins=st.sampled_from([(), (), ("model",), ("child", "perturbed", "other")]),
    within=st.lists(conditions(), max_size=2).map(dict),
)
SORTS = st.builds(lambda sign, name: sign + name, st.sampled_from(["", "-"]), st.sampled_from(COLUMNS))


@given(wanted=FILTERS, sort=SORTS, limit=st.integers(1, 40))
def test_parts_are_what_one_by_one_gives(
    trials: Trials, rows: list[TrialRow], wanted: TrialFilter, sort: str, limit: int
) -> None:
    """All parts together are the trials that are wanted, in order, none twice; each tells how many there are."""
    expected = [row for row in rows if is_wanted(row, wanted)]
    found, cursor = [], None
    while True:
        part = selection.part(trials, wanted, sort, cursor, limit)
        assert part.count == len(expected)
        assert len(part.numbers) == limit or part.next is None
        found += part.numbers
        cursor = part.next
        if cursor is None:
            break
    assert found == in_order(expected, sort)
    assert selection.numbers(trials, wanted) == [row.number for row in expected]


@given(FILTERS)
def test_addresses_say_the_same(trials: Trials, wanted: TrialFilter) -> None:
    """A selection that is written into an address and read from there is the same one."""
    read = TrialFilter.from_query(wanted.to_query())
    said = {name: condition for name, condition in wanted.within.items() if condition != ()}
    assert read == wanted.model_copy(update={"within": said})
    assert TrialFilter.model_validate_json(wanted.model_dump_json()) == wanted
    assert (selection.chosen(trials, read) == selection.chosen(trials, wanted)).all()


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("0.001..0.1", Range(low=0.001, high=0.1)),
        ("1e-3..", Range(low=0.001)),
        ("..-5", Range(high=-5)),
        ("..", Range()),
        ("16,32", (16, 32)),
        ("true,null,false", (True, None, False)),
        ("sgd,adam", ("sgd", "adam")),
        ('"16","true","a, b","say ""a"""', ("16", "true", "a, b", 'say "a"')),
        ('"a"b', ('"a"b',)),
        ('a"b', ('a"b',)),
        ('"', ('"',)),
        ("a,", ("a", "")),
        ("1..2..3", ("1..2..3",)),
    ],
)
def test_how_conditions_are_written(text: str, condition: Any) -> None:
    """A range, numbers, words and texts are told apart as JSON tells them apart; quotes make a text of anything."""
    assert TrialFilter.from_query([("in.p", text), ("in.q", ""), ("p", "1")]).within == {"p": condition}


def test_a_form_gives_several(trials: Trials) -> None:
    """Values of one name are put together; two ranges are refused, and so is what nothing can be in."""
    read = TrialFilter.from_query([("in.batch", "16"), ("in.batch", "32,64"), ("state", "failed"), ("state", "pruned")])
    assert read.within == {"batch": (16, 32, 64)}
    assert read.states == (TrialState.FAILED, TrialState.PRUNED)
    for parameters, told in (
        ([("in.lr", "0..1"), ("in.lr", "2")], r"^in\.lr: 0\.\.1 and 2 can't both hold\. Give one range"),
        ([("in.lr", "1e999..")], r"^in\.lr: '1e999' is too large"),
        ([("in.lr", "9" * 5000)], r"^in\.lr: '9+\.\.\. is too large"),
        ([("state", "faild")], r"^state: 'faild' is none\. Did you mean 'failed'\?"),
        ([("cause", "crash")], r"^cause: 'crash' is none\. Did you mean 'crashed'\?"),
    ):
        with pytest.raises(ArgumentError, match=told):
            TrialFilter.from_query(parameters)


@pytest.mark.parametrize(
    ("name", "given", "places"),
    [
        ("flag", (True,), [0]),
        ("flag", (1,), [3]),
        ("flag", ("true",), [4]),
        ("flag", ("null",), [2]),
        ("batch", ("32",), [1]),
        ("batch", (32.0,), [1]),
        ("optimizer", ("1..2", "sgd"), [0, 2]),
        ("batch", Range(low=17), [1, 2]),
        ("flag", Range(low=0), [3]),
    ],
)
def test_choices_that_look_alike(trials: Trials, name: str, given: Any, places: list[int]) -> None:
    """The very value counts, and where there is none, the one that is written alike."""
    chosen = selection.chosen(trials, TrialFilter(within={name: given}))
    settings = trials.settings[:, trials.space.names.index(name)]
    assert sorted(set(settings[chosen])) == places
    assert chosen.sum() == sum((settings == place).sum() for place in places)


@pytest.mark.parametrize(
    ("within", "told"),
    [
        (
            {"optimizer": ("adam",)},
            r"^in\.optimizer: 'adam' is none of its values\. Known: 1\.\.2, adam, weighted, sgd",
        ),
        ({"optimizer": ("sgdd",)}, r"^in\.optimizer: 'sgdd' is none of its values\. Did you mean 'sgd'\?"),
        ({"optimizer": Range(low=1)}, r"^in\.optimizer: its values are no numbers\. Name some of sgd | "),
        ({"momentom": Range()}, r"^in\.momentom: 'momentom' is neither.*Did you mean 'momentum'\?"),
        ({"lr": (True,)}, r"^in\.lr: true is no number"),
        ({"parameter:number": Range()}, r"^in\.parameter:number: 'parameter:number' is neither a parameter"),
    ],
)
def test_what_is_told_of_wrong_conditions(trials: Trials, within: Any, told: str) -> None:
    """Field, value and what is meant instead."""
    with pytest.raises(ArgumentError, match=told):
        selection.chosen(trials, TrialFilter(within=within))


def test_kinds_of_origins() -> None:
    """What an origin begins with, as a word, is its kind; anything else is of another kind."""
    assert {kind: kind_of(kind) for kind in KINDS} == {kind: kind for kind in KINDS}
    assert kind_of("perturbed from trial 7") == "perturbed"
    assert kind_of("child of trials 3 and 7") == "child"
    assert kind_of("warm start: signs, trial 7") == "warm start"
    assert kind_of("bests of all") == kind_of("modelled") == kind_of("") == "other"
