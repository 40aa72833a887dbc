"""Charts are drawn from all trials, once for each state of an experiment, and read the curves of a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.service.searches import Step, create, take
from tests.service.test_lists import asked_statements
from tunewell.reports import charts
from tunewell.reports.table import SearchView
from tunewell.service import drawing
from tunewell.service.drawing import LEAST_SECONDS, TIME_SHARE, Drawings
from tunewell.service.search_view import CURVES, OF_CHOSEN, search_view
from tunewell.service.table import Tables
from tunewell.service.types import Range, TrialFilter
from tunewell.spec.errors import ArgumentError, NotFoundError
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.store import Store

NAME = "e"
SUCCEEDED = TrialState.SUCCEEDED
ENDED = Step("live", 0, SUCCEEDED, 0.25)
GOOD = TrialFilter(within={"value": Range(low=0.5)})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the experiment `e`, which has two trials."""
    with Store(f"sqlite:///{tmp_path / 'tunewell.db'}") as store:
        create(store, NAME)
        for value in (0.25, 0.75):
            take(store, NAME, Step("live", 0, SUCCEEDED, value))
        yield store


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the charts that were drawn, instead of which there are names."""
    names: list[str] = []

    def draw(name: str, view: SearchView) -> charts.Chart:
        names.append(name)
        return charts.Chart(f"{name} {len(names)}", "", svg=None)

    monkeypatch.setattr(drawing, "_DRAWN", {name: partial(draw, name) for name in drawing._DRAWN})
    return names


@pytest.fixture
def ask(store: Store, drawn: list[str]) -> Callable[..., str]:
    """What returns the title of a chart."""
    drawings = Drawings(store, Tables(store))

    def ask(chart: Any = "history", wanted: TrialFilter | None = None) -> str:
        return drawings.draw(NAME, chart, (), wanted or TrialFilter()).title

    return ask


def test_charts_are_drawn_once(store: Store, ask: Callable[..., str], drawn: list[str]) -> None:
    """The same chart of the same trials with the same selection is the one that was drawn before."""
    titles = [ask(), ask("outcomes"), ask(wanted=GOOD)]
    assert [ask(), ask("outcomes"), ask(wanted=GOOD)] == titles
    assert drawn == ["history", "outcomes", "history"]
    take(store, NAME, ENDED)
    assert ask() == ask() != titles[0]


def test_reports_change_curves_alone(store: Store, ask: Callable[..., str], drawn: list[str]) -> None:
    """What a running trial reports makes new learning curves, and leaves all else as it is; a new target does not."""
    take(store, NAME, Step("add", 0, SUCCEEDED, None))
    take(store, NAME, Step("start", 3, SUCCEEDED, None))
    history, curves = ask(), ask("learning-curves")
    with store.transaction() as tx:
        tx.add_reports(AttemptKey(NAME, 3, 1), [Report(1, {"loss": 0.5}, 0.0)])
    assert (ask(), ask("learning-curves") != curves) == (history, True)
    with store.transaction() as tx:
        tx.set_spec(NAME, {**store.experiment(NAME).spec, "max_trials": 50})
    assert ask() != history


def test_the_timeline_goes_on_with_time(store: Store, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """While a trial runs, the timeline is drawn again every few seconds, and more seldom the longer it all takes."""
    now = 1000.0
    monkeypatch.setattr(drawing.time, "time", lambda: now)
    with store.transaction() as tx:
        tx.set_experiment_state(NAME, ExperimentState.CREATED, ExperimentState.RUNNING, now=now)
    still = ask("timeline")
    now += 3600
    assert ask("timeline") == still  # nothing runs
    take(store, NAME, Step("add", 0, SUCCEEDED, None))
    take(store, NAME, Step("start", 3, SUCCEEDED, None))
    first = ask("timeline")
    now += 0.1
    assert ask("timeline") == first
    now += 100 * LEAST_SECONDS * TIME_SHARE + 80
    assert ask("timeline") != first
    assert ask("history") == ask("history")


def test_a_chart_that_there_is_not(store: Store) -> None:
    """It is told, with the one that may be meant; so are parameters that there are not, or that it is not about."""
    drawings = Drawings(store, Tables(store))
    with pytest.raises(NotFoundError, match=r"There is no chart 'histery'\. Did you mean 'history'"):
        drawings.draw(NAME, "histery", (), TrialFilter())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"^of: this chart is about 1 parameter, not 0"):
        drawings.draw(NAME, "slice", (), TrialFilter())
    with pytest.raises(NotFoundError, match=r"There is no parameter 'y'"):
        drawings.draw(NAME, "slice", ("y",), TrialFilter())


# What they are drawn from ---------------------------------------------------------------------------------


def view(store: Store, wanted: TrialFilter | None = None, **how: Any) -> Any:
    """Return what charts of the experiment are drawn from."""
    return search_view(store, store.experiment(NAME), Tables(store).of(NAME), wanted or TrialFilter(), **how)


def test_what_charts_are_drawn_from(store: Store) -> None:
    """Metric, budget, the best trials and the chosen ones are told; best are those that the store ranks first."""
    for value, final in ((0.5, SUCCEEDED), (None, TrialState.FAILED), (0.9, TrialState.PRUNED), (0.75, SUCCEEDED)):
        take(store, NAME, Step("live", 0, final, value))
    for number in (7, 8):
        take(store, NAME, Step("live", number, SUCCEEDED, 1e9))
    found = view(store)
    assert (found.metric, found.max_trials, found.target, found.chosen) == ("loss", 100, None, None)
    assert list(found.top) == [row.number for row in store.top(NAME)]
    assert found.default_trial == 6
    chosen = view(store, GOOD)
    assert chosen.table.numbers[chosen.chosen].tolist() == [2, 3, 5, 6, 7, 8]
    with pytest.raises(ArgumentError, match=r"^in\.nothing: "):
        view(store, TrialFilter(within={"nothing": Range()}))


def test_the_curves_of_a_few(store: Store) -> None:
    """Of many trials a sample is read with one question, with the best and the chosen ones; new ones change little."""
    trials = 2 * CURVES
    with store.transaction() as tx:
        for number in range(3, trials + 1):
            tx.add_trial(NAME, number, {}, "random", 1.0, None, 1.0)
            tx.start_attempt(AttemptKey(NAME, number, 1))
            tx.add_reports(AttemptKey(NAME, number, 1), [Report(1, {"loss": number / 2}, 0.0)])
    with asked_statements() as asked:
        curves = view(store, with_curves=True).curves
    assert len([statement for statement in asked if "report" in statement]) == 1
    assert CURVES - 2 <= len(curves) <= CURVES + 5
    assert max(curves) > 0.9 * trials and min(curves) < 0.1 * trials
    few, many = (TrialFilter(within={"number": Range(high=high)}) for high in (20, trials - 10))
    assert view(store, few, with_curves=True).curves.keys() >= set(range(3, 21))
    shown = [number > trials - 10 for number in view(store, many, with_curves=True).curves]
    assert sum(shown) == 10 and CURVES - 2 <= len(shown) <= CURVES
    half = TrialFilter(within={"number": Range(high=CURVES)})
    shown = [number <= CURVES for number in view(store, half, with_curves=True).curves]
    assert OF_CHOSEN - 2 <= sum(shown) <= OF_CHOSEN + 2
    with store.transaction() as tx:
        tx.add_trial(NAME, trials + 1, {}, "random", 1.0, None, 1.0)
        tx.start_attempt(AttemptKey(NAME, trials + 1, 1))
    assert len(view(store, with_curves=True).curves.keys() ^ curves.keys()) <= 2
