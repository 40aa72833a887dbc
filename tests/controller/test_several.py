"""Several controllers on one store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.controller.fakes import Bench, FakeScheduler
from tests.schedulers.bench import wait_until
from tunewell.controller.controller import Controller
from tunewell.controller.work import Work
from tunewell.home.home import Home
from tunewell.spec.errors import UserError
from tunewell.store import Store


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Iterator[Bench]:
    """A controller that takes all work that there is, with two slots."""
    bench = Bench(tmp_path / "home", database=database)
    bench.work = Work(everything=True)
    bench.crash()
    yield bench
    bench.controller.leave()
    bench.store.close()


@pytest.fixture
def another(bench: Bench, database: str) -> Iterator[Callable[..., Controller]]:
    """Makes controllers as in another process, on another machine."""
    stores: list[Store] = []
    controllers: list[Controller] = []

    def make(host: str = "there", lost_hosts: frozenset[str] = frozenset()) -> Controller:
        scheduler = FakeScheduler()
        scheduler.host = host
        stores.append(Store(database))
        surroundings = replace(
            bench.surroundings, store=stores[-1], home=Home(bench.home.folder, stores[-1]), lost_hosts=lost_hosts
        )
        controllers.append(Controller(surroundings, Work(everything=True), scheduler))
        return controllers[-1]

    yield make
    for controller in controllers:
        controller.leave()
    for store in stores:
        store.close()


def is_shared(bench: Bench) -> bool:
    """Whether controllers on other machines may use the database."""
    return bench.store.session is not None


def test_work_is_shared(bench: Bench, another: Callable[..., Controller]) -> None:
    """What one controller has, no other takes; on a server each gets some of what waits."""
    for name in "abcd":
        bench.create(name, max_trials=1)
    other = another()
    for _ in range(4):
        bench.step()
        other.step(timeout=0)
    mine, theirs = set(bench.controller._experiments), set(other._experiments)
    assert mine | theirs == set("abcd") and not mine & theirs
    assert not is_shared(bench) or (mine and theirs)


def test_running_work_is_taken_over_where_it_runs(bench: Bench, another: Callable[..., Controller]) -> None:
    """Trials on a machine that has no controller any more wait for one there, or for word that it is gone."""
    bench.create(max_trials=5)
    bench.step(2)
    assert bench.scheduler.alive
    bench.controller.leave()
    other = another()
    other.step(timeout=0)
    if not is_shared(bench):  # all who open the file are on one machine
        assert set(other._experiments) == {"e"}
        return
    assert not other._experiments
    recorded = bench.store.experiment("e").waits_for
    assert recorded is not None and (recorded["code"], recorded["what"]) == ("other_host", "fake")
    told = r"experiment 'e' has work running on host fake. Start a controller there, or say"
    with pytest.raises(UserError, match=told):
        other.take_experiment("e")
    assert "has work running on host fake" in str(other.refused["e"])
    assert bench.store.experiment("e").term == 1, "nothing was touched"
    informed = another(lost_hosts=frozenset({"fake"}))
    informed.step(timeout=0)
    assert set(informed._experiments) == {"e"} and bench.store.experiment("e").waits_for is None
    informed.leave()
    wait_until(lambda: another(host="fake").step(timeout=0) or bench.store.experiment("e").term == 3)
