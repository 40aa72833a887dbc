"""What is started while there is little room on the disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.controller.fakes import Bench, FakeTask
from tests.schedulers.bench import wait_until
from tests.store.notified import CHANNEL
from tunewell.controller.disk import BudgetKeeper, DiskWatch, Low
from tunewell.home.disk import DiskUse, reserve_of
from tunewell.spec.states import TrialState

GIB = 1 << 30


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many bytes are free, of 100 GiB."""
    free = [50 * GIB]
    monkeypatch.setattr("tunewell.controller.disk.disk_use", lambda folder: DiskUse(100 * GIB, free[0]))
    yield free


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Bench:
    """A search of three trials on a scheduler whose trials have folders."""
    bench = Bench(tmp_path / "home", database=database)
    bench.scheduler.needs_folder = True
    bench.create(max_trials=3, max_attempts=2)
    return bench


def test_so_much_is_kept_free() -> None:
    """A GiB, or less on a small disk; or what was said."""
    assert reserve_of(DiskUse(100 * GIB, 0), None) == GIB
    assert reserve_of(DiskUse(10 * GIB, 0), None) == int(0.02 * 10 * GIB)
    assert reserve_of(DiskUse(100 * GIB, 0), 5) == 5 and reserve_of(DiskUse(100 * GIB, 0), 0) == 0


def test_nothing_starts_while_it_is_low(bench: Bench, disk: list[int]) -> None:
    """It is told why, once on record as an event; it all goes on by itself when there is a little more than enough."""
    disk[0] = int(0.7 * GIB)
    with bench.store.transaction() as tx:
        channel = tx.add_channel(replace(CHANNEL, owner="owner", events=("disk_low",)))
    bench.add()
    bench.step(20)
    assert not bench.scheduler.started
    wait = bench.store.experiment("e").waits_for
    assert wait is not None and wait["code"] == "disk"
    assert wait["detail"] == "It waits for room on the disk: 717 MiB free, 1 GiB is kept free."
    assert "717 MiB free" in bench.controller.problem
    (event,) = bench.store.home_events(["disk_low"], 10)
    assert event.data == {"free_bytes": disk[0], "reserve_bytes": GIB}
    (told,) = bench.store.deliveries(channel, 10)
    assert (told.event, told.facts) == ("disk_low", event.data)
    disk[0] = int(1.05 * GIB)
    bench.step(20)
    assert not bench.scheduler.started
    disk[0] = 2 * GIB
    bench.step(20)
    assert bench.scheduler.started and not bench.controller.problem
    assert bench.store.experiment("e").waits_for is None or bench.store.experiment("e").waits_for["code"] != "disk"
    disk[0] = 0
    bench.step(20)
    assert len(bench.store.home_events(["disk_low"], 10)) == 2


def test_of_several_controllers_one_tells(bench: Bench, disk: list[int]) -> None:
    """What another one has told is not told again, by one that was just started neither, until there was room."""
    disk[0] = int(0.7 * GIB)
    with bench.store.transaction() as tx:
        assert tx.set_disk_low(1.0) and not tx.set_disk_low(2.0)
    bench.add()
    bench.step(20)
    wait = bench.store.experiment("e").waits_for
    assert wait is not None and wait["code"] == "disk"
    assert not bench.store.home_events(["disk_low"], 10)
    disk[0] = 2 * GIB
    bench.step(20)
    assert bench.store.disk().low_at is None
    disk[0] = 0
    bench.step(20)
    assert len(bench.store.home_events(["disk_low"], 10)) == 1


def test_what_was_said_counts_at_once(bench: Bench, disk: list[int]) -> None:
    """A reserve that an administrator sets is kept from then on, without a start."""
    with bench.store.transaction() as tx:
        tx.set_disk({"reserve_bytes": 60 * GIB})
    bench.add()
    bench.step(20)
    assert not bench.scheduler.started
    with bench.store.transaction() as tx:
        tx.set_disk({"reserve_bytes": 0})
    bench.step(20)
    assert bench.scheduler.started


@pytest.mark.parametrize("resumable", [True, False])
def test_trials_are_let_go_of_where_it_is_very_low(
    bench: Bench, disk: list[int], monkeypatch: pytest.MonkeyPatch, resumable: bool
) -> None:
    """What can go on from a checkpoint ends for now, and loses no attempt by that; all else runs to its end."""
    monkeypatch.setattr(FakeTask, "resumable", lambda self, spec: resumable, raising=False)
    bench.add()
    bench.step(2)
    for _ in range(4):  # more often than there are attempts
        assert bench.store.counts("e")[TrialState.RUNNING] == 2
        disk[0] = int(0.4 * GIB)
        bench.step(20)
        assert bench.store.counts("e")[TrialState.RUNNING] == (0 if resumable else 2)
        disk[0] = 2 * GIB
        bench.step(20)
    assert bench.store.trial("e", 1).attempt == (5 if resumable else 1)
    assert bench.store.counts("e")[TrialState.FAILED] == 0


def test_a_disk_that_tells_nothing_keeps_nobody(tmp_path: Path) -> None:
    """Where it can't be found out what is free, all goes on."""

    def refuse(folder: Path) -> DiskUse:
        raise OSError

    assert DiskWatch(tmp_path, lambda: 0.0, refuse).look() is None
    assert DiskWatch(tmp_path, lambda: 0.0, lambda folder: DiskUse(0, 0)).look() is None
    assert DiskWatch(tmp_path, lambda: 0.0, lambda folder: DiskUse(100 * GIB, 0)).look() == Low(0, GIB)


def test_a_home_is_kept_within_its_budget() -> None:
    """It is looked after beside; while it stays above its budget, that is why nothing starts."""
    left, asked = [30], threading.Event()

    def keep(budget: int) -> int:
        asked.set()
        return left[0]

    keeper = BudgetKeeper(keep)
    assert keeper.look(None) is None and not asked.is_set()
    keeper.look(20)
    wait_until(lambda: keeper.look(20) is not None)
    reason = keeper.look(20)
    assert reason is not None and reason.detail == "It waits for room in the home: 30 B taken up, 20 B is its budget."
    assert keeper.look(40) is None and keeper.look(None) is None


def test_a_budget_that_is_not_kept_holds_all_up(bench: Bench, disk: list[int]) -> None:
    """Nothing starts while the home takes up more than it may and nothing more can go."""
    bench.waits = False
    with bench.store.transaction() as tx:
        tx.set_disk({"budget_bytes": 100})
    left = [200]
    bench.controller._disk_room._budget_keeper = BudgetKeeper(lambda budget: left[0])
    bench.add()

    def waits_for() -> str:
        bench.step()
        return str((bench.store.experiment("e").waits_for or {}).get("what", ""))

    wait_until(lambda: waits_for() == "budget")
    with bench.store.transaction() as tx:
        tx.set_disk({"budget_bytes": 300})
    wait_until(lambda: bench.step() or bool(bench.scheduler.started))
