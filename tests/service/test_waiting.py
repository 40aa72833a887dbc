"""What waits and why, and who uses what: told from what is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewell.home.home import Home
from tunewell.schedulers import hardware
from tunewell.service.service import Service
from tunewell.service.types import Caller
from tunewell.spec.errors import SpecError, SpecErrors
from tunewell.spec.experiment import parse_spec
from tunewell.spec.launch import AttemptKey, Resources
from tunewell.spec.quota import parse_quota
from tunewell.spec.states import ExperimentState
from tunewell.spec.waits import NO_ROOM, Reason

ADA, BOB = (Caller(name=name, role="user", run_code=True) for name in ("ada", "bob"))
SPEC: dict[str, Any] = {
    "command": ["true"],
    "parameters": {"x": [1, 2]},
    "objective": {"metric": "a", "goal": "maximize"},
}
#: A quarter of this machine.
QUARTER = Resources(cpus=hardware.machine().cpus / 4)


@pytest.fixture
def service(tmp_path: Path, database: str) -> Iterator[Service]:
    """A service with two users."""
    with Service(tmp_path, database) as service:
        with service.store.transaction() as tx:
            tx.add_user("ada", "user", run_code=True)
            tx.add_user("bob", "user", run_code=True)
        yield service


def waits(service: Service, name: str, reason: Reason | None, since: float = 1.0, running: int = 0) -> None:
    """Record an experiment that waits, as its controller would, with so many trials that run."""
    space, algorithm = {"x": {"choices": [1, 2]}}, {"name": "random", "max_trials": 9}
    with service.store.transaction() as tx:
        tx.create_experiment(name, {**SPEC, "name": name}, space, algorithm)
        tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
        tx.set_resources(name, QUARTER.to_json())
        for number in range(1, running + 1):
            tx.add_trial(name, number, {"x": 1}, "random", 1.0, None)
            tx.start_attempt(AttemptKey(name, number, 1), host="far")
        if reason is not None:
            tx.set_wait(name, reason.to_json(since))


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a controller had every experiment."""
    monkeypatch.setattr(Home, "is_running", lambda self, name: True)


@pytest.mark.usefixtures("owned")
def test_the_queue_is_in_the_order_of_turns(service: Service) -> None:
    """Whose user has less comes first, and of a user's own whichever has less; those that wait for else come last."""
    waits(service, "ada/first", NO_ROOM, since=1.0, running=2)
    waits(service, "ada/second", NO_ROOM, since=2.0)
    waits(service, "bob/late", NO_ROOM, since=3.0, running=1)
    waits(service, "bob/held", Reason("user_quota", "Enough.", "gpus"))
    waits(service, "bob/busy", None, running=0)
    queue = service.as_caller(ADA).queue()
    assert queue.waiting == 3
    found = [(one.experiment, one.place, one.running, one.waits_for.code) for one in queue.entries]
    assert found == [
        ("bob/late", 1, 1, "no_room"),
        ("ada/second", 2, 0, "no_room"),
        ("ada/first", 3, 2, "no_room"),
        ("bob/held", None, 0, "user_quota"),
    ]
    assert queue.entries[0].waits_for.detail.endswith("Running: 2 trials of ada/first, 1 trial of bob/late.")
    assert queue.entries[-1].waits_for.detail == "Enough. Running: 1 trial of bob/late."
    with service.store.transaction() as tx:
        tx.set_facts("bob/late", {"visibility": "private"})
        job = tx.add_job("report", "ada/second", caller="ada")
        tx.start_job(job, 1, "1" * 32)
    hidden = service.as_caller(ADA).queue()
    assert hidden.waiting == 3 and [one.place for one in hidden.entries] == [2, 3, None]
    told = hidden.entries[0].waits_for.detail
    assert told.endswith("2 trials of ada/first, what others keep private, 1 report job of ada/second.")
    summary = service.as_caller(BOB).experiment("held")
    assert summary.waits_for is not None and (summary.waits_for.code, summary.waits_for.what) == ("user_quota", "gpus")


def test_without_a_controller_that_is_the_reason(service: Service) -> None:
    """What nobody runs says so, whatever its last controller had recorded, unless it waits for another machine."""
    waits(service, "ada/e", NO_ROOM)
    waits(service, "ada/far", Reason("other_host", "It has work running on host far.", "far"))
    waits(service, "ada/rests", None)
    with service.store.transaction() as tx:
        tx.set_experiment_state("ada/rests", ExperimentState.RUNNING, ExperimentState.PAUSED)
        first = tx.add_job("report", "ada/e", caller="ada")
        second = tx.add_job("report", "ada/e", caller="ada", after=first)
    entries = service.as_caller(ADA).queue().entries
    codes = {one.job or one.experiment: one.waits_for.code for one in entries}
    expected = {"ada/e": "no_controller", "ada/far": "other_host", "ada/rests": "paused"}
    assert codes == {**expected, first: "no_controller", second: "after"}
    assert all(one.place is None for one in entries)


def test_a_cluster_that_can_not_be_reached_is_the_reason(service: Service) -> None:
    """A controller that can't take a search over for want of its cluster says so; without one, nobody runs it."""
    waits(service, "ada/e", Reason("no_cluster", "The Ray cluster at head:1 can't be used: nothing answers there."))

    def code() -> str:
        (entry,) = service.as_caller(ADA).queue().entries
        return entry.waits_for.code

    with service.home.serve():
        assert code() == "no_cluster"
    assert code() == "no_controller"


def test_who_uses_what(service: Service) -> None:
    """What runs is told by machine; who it is of, to those alone who may see it."""
    waits(service, "ada/e", None, running=2)
    waits(service, "bob/e", None, running=1)
    with service.store.transaction() as tx:
        tx.set_facts("bob/e", {"visibility": "private"})
    used = service.as_caller(ADA).resources().elsewhere["far"]
    found = Counter((one.owner, one.experiment) for one in used)
    assert found == {("ada", "ada/e"): 2, (None, None): 1}
    assert sum(one.cpus for one in used) == pytest.approx(3 * QUARTER.cpus)
    own = service.as_caller(BOB).resources().elsewhere["far"]
    assert {one.owner for one in own} == {"ada", "bob"}


def test_users_learn_what_they_use(service: Service) -> None:
    """What runs and was used up in this month is told in the words of a quota; what is others' does not count."""
    waits(service, "ada/e", None, running=2)
    waits(service, "bob/e", None, running=1)
    with service.store.transaction() as tx:
        tx.add_use("ada", "ada/e", 3600.0, 1800.0)
        tx.add_use("ada", "ada/e", 9.0, 9.0, now=0.0)
        tx.set_user("ada", {"disk_bytes": 7})
    used = service.as_caller(ADA).me().used
    assert used == {
        "running": 2,
        "cpus": 2 * QUARTER.cpus,
        "gpus": 2 * QUARTER.gpus,
        "disk_bytes": 7,
        "cpu_hours": 1.0,
        "gpu_hours": 0.5,
    }


def test_the_use_of_a_search_is_told(service: Service) -> None:
    """What an experiment's attempts have used is part of it, and of its user's month."""
    waits(service, "ada/e", None)
    with service.store.transaction() as tx:
        tx.add_use("ada", "ada/e", 12.0, 3.0, now=0.0)
        tx.add_use("ada", "ada/e", 1.0, 0.0, now=0.0)
        tx.add_use("ada", None, 5.0, 0.0, now=40 * 24 * 3600.0)
    use = service.as_caller(ADA).experiment("e").use
    assert (use.cpu_seconds, use.gpu_seconds) == (13.0, 3.0)
    (january,), (february,) = service.store.usage("1970-01"), service.store.usage("1970-02")
    assert (january.cpu_seconds, january.gpu_seconds, february.cpu_seconds) == (13.0, 3.0, 5.0)


def test_what_people_say_may_change(service: Service) -> None:
    """It makes no other search, in the same spec; what was changed by hand stays while the spec says what it said."""

    def said() -> tuple[str, tuple[str, ...], str]:
        one = service.experiment("e")
        return one.project, one.tags, one.description

    spec = {**SPEC, "name": "e", "max_gpus": 2}
    service.create({**spec, "project": "birds", "tags": ["a"], "description": "first"})
    assert said() == ("birds", ("a",), "first")
    with service.home.lock("e"):  # it runs, and goes on with that
        again = service.create({**spec, "project": "signs", "tags": ["b"]}, new="if-ended")
    assert (again.name, again.kind) == ("e", "continued") and said() == ("signs", ("b",), "")
    service.update("e", {"project": "by hand", "tags": []})
    service.create({**spec, "max_gpus": 4, "project": "signs", "tags": ["b"], "description": "last"})
    assert said() == ("by hand", (), "last")


def test_more_gpus_a_trial_than_the_search_may_have() -> None:
    """A search that could never start a trial is refused."""
    with pytest.raises(SpecError, match=r"max_gpus: 1 for the search, and each trial takes 2\. Give 2 or more"):
        parse_spec({**SPEC, "name": "e", "max_gpus": 1, "resources": {"gpus": 2}})


def test_quotas_are_checked() -> None:
    """A quota is made of known limits; what is wrong names the limit and the remedy."""
    quota = parse_quota({"running": 4, "disk_bytes": "2G", "gpu_hours": 1.5, "cpus": None})
    assert quota.to_json() == {"running": 4, "disk_bytes": 2 << 30, "gpu_hours": 1.5}
    for wrong, told in [
        ([], "quota: "),
        ({"gpu": 1}, "quota.gpu: there is no such field. Did you mean 'gpus'"),
        ({"gpus": -1}, "quota.gpus: -1 is below 0"),
        ({"cpu_hours": "many"}, "quota.cpu_hours: 'many' is a text"),
    ]:
        with pytest.raises(SpecError, match=told):
            parse_quota(wrong)
    with pytest.raises(SpecErrors):
        parse_quota({"gpus": 0.5, "cpus": "x"})
