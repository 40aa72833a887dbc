"""Users and their experiments on one controller: shares, quotas, and what waits and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.controller.fakes import Bench, FakeScheduler
from tests.schedulers.bench import wait_until
from tunewell.controller.controller import Controller
from tunewell.controller.disk import DiskCounter
from tunewell.controller.work import Work
from tunewell.home.home import Home
from tunewell.spec.launch import AttemptKey, Ended, Exit, Report, Reported
from tunewell.spec.quota import month_of
from tunewell.spec.states import Cause
from tunewell.store import Store

ONE = {"cpus": 1}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A controller that takes all work that there is, with four slots, and two users."""
    bench = Bench(tmp_path / "home", slots=4)
    bench.work = Work(everything=True)
    bench.crash()
    with bench.store.transaction() as tx:
        tx.add_user("ada", "user")
        tx.add_user("bob", "user")
    yield bench
    bench.controller.leave()
    bench.store.close()


def running(bench: Bench) -> Counter[str]:
    """Return how many trials of each experiment run."""
    return Counter(key.experiment for key in bench.scheduler.alive if isinstance(key, AttemptKey))


def waits(bench: Bench, name: str) -> tuple[Any, ...] | None:
    """Return what is on record about why an experiment waits."""
    found = bench.store.experiment(name).waits_for
    return found and (found["code"], found["what"])


def end_all(bench: Bench, seconds: float = 0.0) -> None:
    """Have all that runs end well, after so long."""
    for key in list(bench.scheduler.alive):
        del bench.scheduler.alive[key]
        bench.scheduler.events.append(Reported(key, Report(1, {"accuracy": 0.5}, 0.0)))
        bench.scheduler.events.append(Ended(key, Exit(duration_seconds=seconds)))


def test_slots_are_shared_between_users(bench: Bench) -> None:
    """A user with three experiments gets no more than one with a single one, nor does who came first."""
    for name in ("ada/1", "ada/2", "ada/3", "bob/1"):
        bench.create(name, max_trials=50, resources=ONE)
    for _ in range(6):
        bench.step(2)
        end_all(bench)
    bench.step(2)
    assert running(bench)["bob/1"] == 2 and len(running(bench)) == 3


def test_weights_of_users_and_experiments_count(bench: Bench) -> None:
    """Shares go by the weights, of users first; a weight that is changed counts from then on."""
    bench.store.set_user("ada", {"weight": 3.0})
    for name in ("ada/1", "ada/2", "bob/1"):
        bench.create(name, max_trials=50, resources=ONE)
    with bench.store.transaction() as tx:
        tx.set_facts("ada/1", {"weight": 2.0})
    bench.step(3)
    end_all(bench)
    bench.step(2)
    assert running(bench) == {"ada/1": 2, "ada/2": 1, "bob/1": 1}
    bench.store.set_user("ada", {"weight": 1.0})
    bench.step(2)
    end_all(bench)
    bench.step(2)
    assert running(bench)["bob/1"] == 2


@pytest.mark.parametrize("quota", [{"running": 1}, {"cpus": 1.5}])
def test_a_quota_holds_until_it_is_raised(bench: Bench, quota: dict[str, float]) -> None:
    """A user never has more at once than the quota lets; the reason is on record, and goes with it."""
    bench.store.set_user("ada", {"quota": quota})
    bench.create("ada/e", max_trials=9, resources=ONE)
    bench.create("bob/e", max_trials=9, max_concurrency=2, resources=ONE)
    bench.step(3)
    assert running(bench) == {"ada/e": 1, "bob/e": 2}
    assert waits(bench, "ada/e") == ("user_quota", next(iter(quota)))
    assert waits(bench, "bob/e") == ("max_concurrency", "")
    bench.store.set_user("ada", {"quota": {}})
    bench.step(3)
    assert running(bench) == {"ada/e": 2, "bob/e": 2}
    assert waits(bench, "ada/e") == ("no_room", "")


def test_experiments_within_a_quota_take_turns(bench: Bench) -> None:
    """Of two experiments of a user who may run one trial at a time, both go on."""
    bench.store.set_user("ada", {"quota": {"running": 1}})
    for name in ("ada/1", "ada/2"):
        bench.create(name, max_trials=20, resources=ONE)
    started: Counter[str] = Counter()
    for _ in range(10):
        bench.step(2)
        assert sum(running(bench).values()) == 1
        started += running(bench)
        end_all(bench)
    assert started["ada/1"] == started["ada/2"] == 5


def test_a_month_is_counted_and_ends(bench: Bench) -> None:
    """What attempts use is on record by month and experiment; when it is used up, the next month brings more."""
    bench.store.set_user("ada", {"quota": {"cpu_hours": 1}})
    bench.create("ada/e", max_trials=9, max_concurrency=1, max_duration="2000h", resources={"cpus": 2})
    bench.step(2)
    end_all(bench, seconds=900)
    bench.step(2)
    assert running(bench), "half of it is left"
    end_all(bench, seconds=900)
    bench.step(3)
    (used,) = bench.store.usage(month_of(bench.now))
    row = bench.store.experiment("ada/e")
    assert (used.owner, used.cpu_seconds, used.gpu_seconds) == ("ada", 3600, 0)
    assert (row.cpu_seconds, row.gpu_seconds) == (3600, 0)
    assert not running(bench) and waits(bench, "ada/e") == ("monthly_quota", "cpu_hours")
    bench.now += 31 * 24 * 3600
    bench.step(3)
    assert running(bench) and waits(bench, "ada/e") != ("monthly_quota", "cpu_hours")


def test_what_is_lost_is_counted_too(bench: Bench) -> None:
    """An attempt that is lost has used what it used."""
    bench.create("ada/e", max_trials=1, resources=ONE)
    bench.step(2)
    (key,) = bench.scheduler.alive
    bench.scheduler.alive.clear()
    bench.scheduler.events.append(Ended(key, Exit(Cause.NODE_LOST, duration_seconds=7.0)))
    bench.step(2)
    assert [row.cpu_seconds for row in bench.store.usage(month_of(bench.now))] == [7.0]


def test_a_wrong_quota_on_record_holds_nothing_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A quota that can't be read counts as none, and is told."""
    bench.store.set_user("ada", {"quota": {"moons": 1}})
    bench.create("ada/e", max_trials=9, resources=ONE)
    bench.step(2)
    assert running(bench) == {"ada/e": 4}
    assert caplog.text.count("the quota of ada counts for nothing (quota.moons: there is no such field") == 1


def test_a_full_part_of_the_disk_holds_a_user_up(bench: Bench) -> None:
    """What experiments take up is counted beside the loop; who has filled the part that may be filled, waits."""
    bench.store.set_user("ada", {"quota": {"disk_bytes": 10_000}})
    bench.create("ada/e", max_trials=9, resources=ONE)
    folder = bench.home.folder / "experiments" / "@ada" / "e"
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(bytes(20_000))
    bench.controller._allowances._disk._next = 0.0
    wait_until(lambda: bench.step() or bench.store.user("ada").disk_bytes >= 20_000)
    bench.step(2)
    end_all(bench)
    bench.step(2)
    assert not running(bench) and waits(bench, "ada/e") == ("disk", "disk_bytes")


def test_the_disk_is_not_counted_all_the_time() -> None:
    """A count begins at once, and no other one soon after it."""
    asked: list[str] = []
    counter = DiskCounter(lambda user: asked.append(user) or 5)  # type: ignore[func-returns-value]
    found: dict[str, int] = {}
    wait_until(lambda: bool(found.update(counter.counted(["ada"])) or found))
    for _ in range(3):
        assert counter.counted(["ada"]) == {}
    assert found == {"ada": 5} and asked == ["ada"]


def test_the_reason_goes_when_it_no_longer_holds(bench: Bench) -> None:
    """Once an experiment has ended, or is paused, no reason that its controller gave is on record."""
    bench.create("ada/1", max_trials=4, resources=ONE)
    bench.create("ada/2", max_trials=4, resources=ONE)
    bench.step(3)
    assert waits(bench, "ada/1") == waits(bench, "ada/2") == ("no_room", "")
    bench.store.request("ada/1", "pause")
    bench.step(2)
    assert waits(bench, "ada/1") is None
    for _ in range(3):
        end_all(bench)
        bench.step(2)
    assert bench.store.experiment("ada/2").state.final and waits(bench, "ada/2") is None


def test_quotas_count_what_runs_elsewhere(tmp_path: Path, database: str) -> None:
    """What a user has running on other machines, under other controllers, counts."""
    bench = Bench(tmp_path / "home", slots=4, database=database)
    bench.work = Work(everything=True)
    bench.crash()
    with bench.store.transaction() as tx:
        tx.add_user("ada", "user")
        tx.set_user("ada", {"quota": {"running": 2}})
    bench.create("ada/1", max_trials=9, resources=ONE)
    bench.step(3)
    assert running(bench) == {"ada/1": 2}
    with Store(database) as store:
        scheduler = FakeScheduler(4)
        scheduler.host = "there"
        surroundings = replace(bench.surroundings, store=store, home=Home(bench.home.folder, store))
        other = Controller(surroundings, Work(everything=True), scheduler)
        bench.create("ada/2", max_trials=9, resources=ONE)

        def step() -> None:
            bench.now += 1.0
            other.step(timeout=0)

        wait_until(lambda: bool(step() or waits(bench, "ada/2")))
        assert waits(bench, "ada/2") == ("user_quota", "running") and not scheduler.alive
        bench.store.set_user("ada", {"quota": {"running": 3}})
        wait_until(lambda: bool(step() or scheduler.alive))
        assert len(scheduler.alive) == 1
        other.leave()
    bench.controller.leave()
    bench.store.close()
