"""What is promised of machines, of who uses them, and of what was used, wherever verbs are carried out."""

from __future__ import annotations

import socket
import time

import pytest

from tests.contracts.test_verbs_contract import SPEC, SUCCEEDED, Bench, bench
from tunewell.service.types import Caller
from tunewell.spec.errors import SpecError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.quota import month_of
from tunewell.spec.states import ExperimentState
from tunewell.store.rows import AttemptEnd

__all__ = ["bench"]  # a fixture

ADA = Caller(name="ada", role="user", run_code=True, local=True)
BEN = Caller(name="ben", role="user", local=True)
ROOT = Caller(name="root", role="administrator", local=True)


@pytest.fixture
def people(bench: Bench) -> Bench:
    """Verbs, and users: ada and ben, and root, an administrator."""
    with bench.service.store.transaction() as tx:
        for caller in (ADA, BEN, ROOT):
            tx.add_user(caller.name, caller.role, run_code=True)
    return bench


def begun(bench: Bench, name: str, *, hidden: bool = False, weight: float = 1.0) -> None:
    """Record a search of ada's, trial 1 of which runs here, on two cores."""
    bench.as_caller(ADA).create({**SPEC, "name": name, "visibility": "private" if hidden else "team"})
    bench.as_caller(ADA).update(name, {"weight": weight})
    full = f"ada/{name}"
    with bench.service.store.transaction() as tx:
        tx.set_resources(full, {"cpus": 2, "gpus": 0, "memory_bytes": 1 << 20})
        tx.set_experiment_state(full, ExperimentState.CREATED, ExperimentState.RUNNING)
        tx.add_trial(full, 1, {"x": 0.5}, "random", 1.0, None, 1.0)
        tx.start_attempt(AttemptKey(full, 1, 1), "identity", 2.0, host=socket.gethostname())


def test_what_runs_is_told_attempt_by_attempt(people: Bench) -> None:
    """Whose it is, what it takes, since when; of what somebody may not see, only what it takes."""
    begun(people, "shared")
    begun(people, "hidden", hidden=True)
    (node,) = people.as_caller(ADA).resources().nodes
    hidden, shared = node.used
    assert (shared.owner, shared.experiment, shared.trial, shared.job) == ("ada", "ada/shared", 1, None)
    assert (shared.cpus, shared.gpus, shared.memory_bytes, shared.devices) == (2, 0, 1 << 20, ())
    assert shared.since is not None and shared.since.timestamp() == 2.0
    assert hidden.experiment == "ada/hidden"
    (node,) = people.as_caller(BEN).resources().nodes
    hidden, told = node.used
    assert told == shared
    assert (hidden.owner, hidden.experiment, hidden.trial, hidden.since, hidden.cpus) == (None, None, None, None, 2)


def test_the_queue_tells_weights(people: Bench) -> None:
    """That of a search; a job has none."""
    begun(people, "e", weight=3)
    job = people.as_caller(ADA).probe("e").id
    entries = people.as_caller(ADA).queue().entries
    assert {one.job: one.weight for one in entries} == {None: 3.0, job: None}


def test_what_was_used_in_a_month(people: Bench) -> None:
    """This month's hours with what is used now, beside the quota; of other months the hours alone."""
    begun(people, "e")
    people.verbs.change_user("ada", {"quota": {"cpu_hours": 10, "disk_bytes": "1G"}})
    with people.service.store.transaction() as tx:
        end = AttemptEnd(SUCCEEDED, value=0.5, now=time.time(), seconds=1800.0)
        tx.finish_trial(AttemptKey("ada/e", 1, 1), end)
        tx.add_use("ada", "ada/e", 3600.0, 0.0)
    begun(people, "f")
    (one,) = people.as_caller(ADA).usage().items
    assert (one.user, one.month) == ("ada", month_of(time.time()))
    assert one.quota == {"cpu_hours": 10, "disk_bytes": 1 << 30}
    assert one.used == people.as_caller(ADA).me().used
    assert (one.used["cpu_hours"], one.used["running"], one.used["cpus"]) == (1.0, 1, 2)
    (before,) = people.as_caller(ADA).usage(month="2026-03").items
    assert (before.month, before.used) == ("2026-03", {"cpu_hours": 0.0, "gpu_hours": 0.0})


def test_administrators_see_what_everybody_uses(people: Bench) -> None:
    """By name, in pages; others see themselves, and whoever has no account sees nothing."""
    assert [one.user for one in people.as_caller(ROOT).usage().items] == ["ada", "ben", "owner", "root"]
    page = people.as_caller(ROOT).usage(limit=2)
    assert [one.user for one in page.items] == ["ada", "ben"]
    assert [one.user for one in people.as_caller(ROOT).usage(limit=2, cursor=page.next).items] == ["owner", "root"]
    assert [one.user for one in people.as_caller(BEN).usage().items] == ["ben"]


@pytest.mark.parametrize("month", ["2026-13", "2026", "march", "2026-3", ""])
def test_no_month(people: Bench, month: str) -> None:
    """What is none is refused, with how to write one."""
    with pytest.raises(SpecError, match="Write it as 2026-03") as caught:
        people.verbs.usage(month=month)
    assert caught.value.field == "month"
