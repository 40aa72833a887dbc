"""What the verbs that keep a service in order promise, wherever they are carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import IMPLEMENTATIONS, SPEC, Bench
from tests.service.upkeep.test_garbage import searched
from tunewell.service.service import Service
from tunewell.service.upkeep.files import write_backup
from tunewell.service.upkeep.restoring import restore
from tunewell.spec.errors import SpecError


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        yield bench


def test_backup(bench: Bench, tmp_path: Path, new_database: Callable[[], str]) -> None:
    """What is backed up can be restored, wherever it was asked for; the audit log of a service has it."""
    bench.verbs.create(SPEC)
    told: list[str] = []
    written = write_backup(bench.verbs, tmp_path / "b.tar", told.append)
    assert (tmp_path / "b.tar").stat().st_size == written and told[-1].partition(" of ")[2]
    other = new_database()
    restore(tmp_path / "b.tar", tmp_path / "other", other)
    with Service(tmp_path / "other", other) as restored:
        assert restored.experiment("e").name == "e"
    if not isinstance(bench.verbs, Service):
        assert next(entry.verb for entry in bench.verbs.audit().items) == "backup"


def test_disk(bench: Bench) -> None:
    """What takes up the disk is told; what is said about it counts, under a key once."""
    found = bench.verbs.disk()
    assert 0 < found.taken_bytes == sum(part.size_bytes for part in found.by_kind)
    assert found.budget_bytes is None and not found.reserve_is_set and not found.collections
    assert 0 < found.reserve_bytes <= 1 << 30 and found.free_bytes <= found.total_bytes
    changed = bench.verbs.change_disk({"budget_bytes": "200G", "reserve_bytes": 0}, key="k")
    assert (changed.budget_bytes, changed.reserve_bytes, changed.reserve_is_set) == (200 << 30, 0, True)
    bench.verbs.change_disk({"budget_bytes": None})
    assert bench.verbs.change_disk({"budget_bytes": "200G", "reserve_bytes": 0}, key="k").budget_bytes is None
    assert bench.verbs.disk().reserve_bytes == 0
    assert bench.verbs.change_disk({"budget_bytes": 1}).problem


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"budget_bytes": "much"}, "budget_bytes"),
        ({"budget_bytes": 0}, "budget_bytes"),
        ({"budget_bytes": -5}, "budget_bytes"),
        ({"reserve_bytes": "10 %"}, "reserve_bytes"),
        ({"reserve_bytes": 2**70}, "reserve_bytes"),
        ({"budget": 5}, "budget"),
    ],
)
def test_what_can_not_be_said_about_the_disk(bench: Bench, changes: dict[str, Any], field: str) -> None:
    """It is refused with its name, and nothing is changed."""
    with pytest.raises(SpecError) as caught:
        bench.verbs.change_disk({"reserve_bytes": 7, **changes})
    assert field in str(caught.value)
    assert not bench.verbs.disk().reserve_is_set


def test_garbage(bench: Bench) -> None:
    """What is not needed is told before it is removed; a removal is done once under a key, and told of later."""
    store, home = bench.service.store, bench.service.home
    searched(bench.service)
    found = bench.verbs.garbage()
    assert [(group.kind, group.count) for group in found.groups] == [("checkpoints", 4), ("artifacts", 4)]
    assert all(group.by_programs and group.what and group.why for group in found.groups)
    assert found.size_bytes == sum(group.size_bytes for group in found.groups) > 0
    done = bench.verbs.collect_garbage(key="k")
    assert (done.groups, done.size_bytes, done.by) == (found.groups, found.size_bytes, done.by)
    assert bench.verbs.collect_garbage(key="k") == done
    assert bench.verbs.garbage().groups == () and bench.verbs.collect_garbage().at is None
    assert bench.verbs.disk().collections == (done,)
    assert len(list(home.folder.glob("experiments/e/trials/*/1/checkpoint/weights"))) == 6
    assert store.experiment("e").best_trial == 1
