"""What is told is delivered at least once, to whom it concerns, whoever hangs, goes, or is killed meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.schedulers.bench import wait_until
from tests.service.notifications import children
from tests.service.notifications.receiving import Receiver, receiving
from tests.store import lives
from tests.store.notified import CHANNEL
from tunewell.service.notifications import deliverer, posting
from tunewell.service.notifications.deliverer import Deliverer, backoff, delivering
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.rights import caller_of
from tunewell.service.service import Service
from tunewell.service.storage.tidying import DELIVERY_SECONDS, tidy
from tunewell.spec.errors import ForbiddenError
from tunewell.spec.notifications import PATIENCE_SECONDS
from tunewell.spec.states import ExperimentState
from tunewell.store import Store
from tunewell.store.rows import AllowedHostRow, DeliveryRow

RUNNING = ExperimentState.RUNNING


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a deliverer to look."""
    monkeypatch.setattr(deliverer, "LOOK_SECONDS", 0.02)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store with users: ada, bob, and an administrator, root."""
    with Store(database) as store:
        with store.transaction() as tx:
            for name, role in (("ada", "user"), ("bob", "user"), ("root", "administrator")):
                tx.add_user(name, role)  # type: ignore[arg-type]
        yield store


@pytest.fixture
def receiver(store: Store) -> Iterator[Receiver]:
    """A receiver of webhooks, which is allowed."""
    with receiving() as receiver:
        with store.transaction() as tx:
            tx.allow_host(AllowedHostRow("127.0.0.1", receiver.port, True, True, 1.0))
        yield receiver


def add(store: Store, target: str = "https://hooks.example.org/", **facts: Any) -> int:
    """Add a channel."""
    with store.transaction() as tx:
        return tx.add_channel(replace(CHANNEL, target=target, secret="whsec_AAAA", **facts))


def end(
    store: Store,
    name: str = "ada/e",
    state: ExperimentState = ExperimentState.COMPLETED,
    rule: str | None = "max_trials",
) -> None:
    """Have a search begin, and end."""
    lives.create(store, name)
    with store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.CREATED, RUNNING)
        tx.set_experiment_state(name, RUNNING, state, stop_rule=rule)


def told(store: Store) -> dict[int, list[str]]:
    """Return of each channel the events that it is told of."""
    return {one.id: [row.event for row in store.deliveries(one.id, 100)] for one in store.channels()}


def only(store: Store, channel: int) -> DeliveryRow:
    """Return the one delivery to a channel."""
    (row,) = store.deliveries(channel, 10)
    return row


def look(store: Store) -> None:
    """Have all sent that is due, and wait for the end of that."""
    one = Deliverer(store, Outgoing())
    one.look()
    for _, thread in list(one._running.values()):
        thread.join()


# Who is told ------------------------------------------------------------------------------------------------


def test_whose_searches(store: Store) -> None:
    """One's own, all that one may see, or those of a project; of what is private, nobody else hears."""
    own, others = add(store), add(store, owner="bob")
    every = add(store, owner="bob", searches="all")
    project = add(store, owner="bob", searches="project", project="p")
    administrator = add(store, owner="root", searches="all")
    end(store, "ada/e")
    assert told(store) == {own: ["ended"], others: [], every: ["ended"], project: [], administrator: ["ended"]}
    lives.create(store, "ada/f")
    with store.transaction() as tx:
        tx.set_facts("ada/f", {"project": "p"})
        tx.set_experiment_state("ada/f", ExperimentState.CREATED, RUNNING)
        tx.set_experiment_state("ada/f", RUNNING, ExperimentState.STOPPED, stop_rule="by_hand")
    assert {id: len(events) for id, events in told(store).items()} == {
        own: 2, others: 0, every: 2, project: 1, administrator: 2,
    }  # fmt: skip
    lives.create(store, "ada/g")
    with store.transaction() as tx:
        tx.set_facts("ada/g", {"visibility": "private", "project": "p"})
        tx.set_experiment_state("ada/g", ExperimentState.CREATED, RUNNING)
        tx.set_experiment_state("ada/g", RUNNING, ExperimentState.COMPLETED, stop_rule="max_trials")
    assert {id: len(events) for id, events in told(store).items()} == {
        own: 3, others: 0, every: 2, project: 1, administrator: 3,
    }  # fmt: skip


def test_which_event(store: Store) -> None:
    """Of an end a channel is told once: as what it wants to hear of most, or not at all."""
    everything = add(store, events=("ended", "target_reached", "failed"))
    plain, reached, failed = add(store), add(store, events=("target_reached",)), add(store, events=("failed",))
    end(store, "ada/e", ExperimentState.TARGET_REACHED, "target")
    end(store, "ada/f", ExperimentState.FAILED, "max_failed_trials")
    end(store, "ada/g", ExperimentState.CONVERGED, "converged")
    assert told(store) == {
        everything: ["ended", "failed", "target_reached"],
        plain: ["ended", "ended", "ended"],
        reached: ["target_reached"],
        failed: ["failed"],
    }


def test_who_hears_nothing(store: Store) -> None:
    """Channels that are off, gone, or not confirmed, and users who are shut out. What was imported is no end."""
    off, open_, gone = add(store, active=False), add(store, confirmed_at=None), add(store)
    with store.transaction() as tx:
        tx.remove_channel(gone)
    shut_out = add(store, owner="bob", searches="all")
    store.set_user("bob", {"disabled_at": 1.0})
    unknown = add(store, owner="carl", searches="all")
    end(store)
    assert told(store) == {off: [], open_: [], shut_out: [], unknown: []}
    assert store.deliveries(gone, 10) == []
    listening = add(store)
    end(store, "ada/imported", rule=None)
    assert told(store)[listening] == []


def test_an_end_is_told_in_its_transaction(store: Store) -> None:
    """What is undone is told nobody; figures are those of the end, also of what the same transaction did."""
    channel = add(store)
    lives.create(store, "ada/e")
    with store.transaction() as tx:
        tx.set_experiment_state("ada/e", ExperimentState.CREATED, RUNNING)
    lives.add(store, 1, name="ada/e")
    lives.start(store, 1, name="ada/e")
    with pytest.raises(RuntimeError), store.transaction() as tx:
        tx.set_experiment_state("ada/e", RUNNING, ExperimentState.COMPLETED, stop_rule="max_trials")
        raise RuntimeError
    assert told(store) == {channel: []}
    with store.transaction() as tx:
        tx.set_experiment_state("ada/e", RUNNING, ExperimentState.COMPLETED, stop_rule="max_trials")
        tx.let_go_on("ada/e")
    assert told(store) == {channel: []}, "it goes on"
    with store.transaction() as tx:
        tx.set_experiment_state("ada/e", RUNNING, ExperimentState.COMPLETED, stop_rule="max_trials", now=9.0)
        tx.finish_trial(lives.AttemptKey("ada/e", 1, 1), lives.AttemptEnd(lives.TrialState.SUCCEEDED, value=0.5))
    facts = only(store, channel).facts
    assert facts["trials"]["succeeded"] == 1 and facts["best"] == {"trial": 1, "value": 0.5}
    assert (facts["search"], facts["state"], facts["stop_rule"]) == ("ada/e", "completed", "max_trials")


def test_a_full_disk(store: Store) -> None:
    """Administrators who want to hear of it are told."""
    add(store, events=("disk_low",))
    add(store, owner="root")
    wanted, local = (add(store, owner=name, events=("disk_low",)) for name in ("root", "owner"))
    with store.transaction() as tx:
        assert tx.notify("disk_low", {"free_bytes": 1, "reserve_bytes": 2}) == 2
    assert {id for id, events in told(store).items() if events == ["disk_low"]} == {wanted, local}
    assert only(store, wanted).facts == {"free_bytes": 1, "reserve_bytes": 2}


# Delivering -------------------------------------------------------------------------------------------------


def test_one_who_hangs_delays_no_other(store: Store, receiver: Receiver) -> None:
    """While one receiver gives no answer, all others are told; so is he, one thing at a time."""
    slow, quick = add(store, receiver.url("/slow")), add(store, receiver.url("/quick"), owner="bob", searches="all")
    receiver.hanging.add("/slow")
    with delivering(store, Outgoing()):
        for name in ("ada/e", "ada/f", "ada/g"):
            end(store, name)
        wait_until(lambda: len(receiver.at("/quick")) == 3)
        assert len(receiver.at("/slow")) == 1 and only_waits(store, slow)
        receiver.go_on.set()
        wait_until(lambda: all(row.state == "delivered" for row in store.deliveries(slow, 10)))
    assert len(receiver.at("/slow")) == 3
    assert all(row.state == "delivered" for row in store.deliveries(quick, 10))


def only_waits(store: Store, channel: int) -> bool:
    """Whether nothing was delivered to a channel."""
    return all(row.state == "waiting" for row in store.deliveries(channel, 10))


def test_tries_again_as_the_same_message(store: Store, receiver: Receiver) -> None:
    """A receiver that fails is told again, later and later, by the same id; what is wrong is on record."""
    channel = add(store, receiver.url("/x"))
    receiver.answers["/x"] = (500, {})
    end(store)
    look(store)
    row = only(store, channel)
    assert (row.state, row.status, row.error, row.attempts) == ("waiting", 500, "127.0.0.1 answers 500.", 1)
    assert row.next_at is not None and 8 <= row.next_at - time.time() <= 12.1
    look(store)
    assert len(receiver.received) == 1, "it is not time yet"
    make_due(store, row.id)
    del receiver.answers["/x"]
    look(store)
    assert (only(store, channel).state, only(store, channel).attempts, only(store, channel).error) == (
        "delivered",
        2,
        "",
    )
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == row.message
    assert json.loads(first.body) == json.loads(second.body)


def make_due(store: Store, id: int, **facts: Any) -> None:
    """Let it be time for a delivery."""
    with store.transaction() as tx:
        claim = uuid.uuid4().hex
        assert tx.claim_delivery(id, claim, 1.0, now=time.time() + 10 * PATIENCE_SECONDS)
        tx.end_attempt(id, claim, {"state": "waiting", "next_at": 1.0, "attempts": 1, **facts})


def test_it_ends_after_a_day(store: Store, receiver: Receiver) -> None:
    """What could not be delivered until then has failed, for all to see."""
    channel = add(store, receiver.url("/x"))
    receiver.answers["/x"] = (500, {})
    end(store)
    make_due(store, only(store, channel).id, expires_at=time.time() - 1)
    look(store)
    row = only(store, channel)
    assert (row.state, row.next_at, row.error) == ("failed", None, "127.0.0.1 answers 500.")


def test_waits_grow() -> None:
    """They grow to hours, and differ by a fifth; all together they are a day."""
    middle: Callable[[], float] = lambda: 0.5  # noqa: E731 - a draw
    waits = [backoff(attempts, middle) for attempts in range(1, 14)]
    assert waits[:4] == [10, 30, 90, 270] and max(waits) == 4 * 3600
    assert waits == sorted(waits) and sum(waits) > PATIENCE_SECONDS
    assert (backoff(1, lambda: 0.0), backoff(1, lambda: 1.0)) == (8, 12)
    assert backoff(10**9, middle) == 4 * 3600


def test_one_who_is_gone(store: Store, receiver: Receiver) -> None:
    """A receiver that answers 410 is told nothing any more, and its channel says why."""
    channel = add(store, receiver.url("/x"))
    receiver.answers["/x"] = (410, {})
    end(store, "ada/e")
    end(store, "ada/f")
    look(store)
    row = store.find_channel(channel)
    assert row is not None and not row.active and "410" in row.reason
    assert [one.state for one in store.deliveries(channel, 10)] == ["failed", "failed"]
    end(store, "ada/g")
    look(store)
    assert len(receiver.received) == 1


def test_one_who_wants_to_be_left_alone(store: Store, receiver: Receiver) -> None:
    """After a 429 with `Retry-After` nothing is sent there before, not even what comes later."""
    channel = add(store, receiver.url("/x"))
    receiver.answers["/x"] = (429, {"Retry-After": "3600"})
    end(store, "ada/e")
    look(store)
    row, known = only(store, channel), store.find_channel(channel)
    assert row.next_at is not None and 3590 < row.next_at - time.time() < 3610
    assert known is not None and known.resting_until is not None and 3590 < known.resting_until - time.time() < 3610
    end(store, "ada/f")
    look(store)
    assert len(receiver.received) == 1
    with store.transaction() as tx:
        tx.set_channel(channel, {"resting_until": None})
    look(store)
    assert len(receiver.received) == 2


def test_a_redirect(store: Store, receiver: Receiver) -> None:
    """It is a failure, which says so, and where it leads."""
    channel = add(store, receiver.url("/x"))
    receiver.answers["/x"] = (302, {"Location": "http://169.254.169.254/"})
    end(store)
    look(store)
    assert only(store, channel).error.startswith(
        "127.0.0.1 leads to another address (http://169.254.169.254/), which is not followed."
    )


def test_a_host_that_is_allowed_no_longer(store: Store, receiver: Receiver) -> None:
    """Nothing is sent to it; once it is allowed again, what waits is."""
    channel = add(store, receiver.url("/x"))
    end(store)
    with store.transaction() as tx:
        tx.withdraw_host("127.0.0.1", receiver.port)
    look(store)
    assert receiver.received == [] and "is not allowed" in only(store, channel).error
    assert only(store, channel).state == "waiting"


def test_a_search_that_has_become_private(store: Store, receiver: Receiver) -> None:
    """Others are not sent what waits for them then; its owner and administrators are."""
    ada, bob, root = (
        add(store, receiver.url(f"/{owner}"), owner=owner, searches="all") for owner in ("ada", "bob", "root")
    )
    end(store)
    with store.transaction() as tx:
        tx.set_facts("ada/e", {"visibility": "private"})
    look(store)
    assert [only(store, channel).state for channel in (ada, bob, root)] == ["delivered", "failed", "delivered"]
    assert "not to be seen" in only(store, bob).error and not receiver.at("/bob")


def test_what_was_told_of_a_search_that_is_private_now(tmp_path: Path, database: str) -> None:
    """Its name is on no list of others any more, and it is not sent again."""
    with Service(tmp_path / "home", database) as service:
        for name in ("ada", "bob"):
            service.add_user(name)
        channel = add(service.store, owner="bob", searches="all")
        end(service.store)
        delivery = only(service.store, channel)
        with service.store.transaction() as tx:
            tx.claim_delivery(delivery.id, "c", 10.0**10, 1.0)
            tx.end_attempt(delivery.id, "c", {"state": "delivered", "next_at": None, "ended_at": 2.0})
        bob = service.as_caller(caller_of(service.store, "bob"))
        assert bob.deliveries(channel).items[0].search == "ada/e"
        with service.store.transaction() as tx:
            tx.set_facts("ada/e", {"visibility": "private"})
        assert bob.deliveries(channel).items[0].search is None
        with pytest.raises(ForbiddenError, match="not to be seen"):
            bob.redeliver(channel, delivery.id)


def test_what_waits_for_a_channel_that_is_off(store: Store, receiver: Receiver) -> None:
    """It is given up, and says so."""
    channel = add(store, receiver.url("/x"))
    end(store)
    with store.transaction() as tx:
        tx.set_channel(channel, {"active": False, "reason": ""})
    look(store)
    assert receiver.received == []
    assert (only(store, channel).state, only(store, channel).error) == ("failed", "The channel was deactivated.")


def test_several_deliverers(store: Store, database: str, receiver: Receiver) -> None:
    """What one has begun with, no other begins with."""
    receiver.hanging.add("/x")
    channel = add(store, receiver.url("/x"))
    with Store(database) as other, delivering(store, Outgoing()), delivering(other, Outgoing()):
        for number in range(4):
            end(store, f"ada/e{number}")
        wait_until(lambda: receiver.received)
        receiver.go_on.set()
        wait_until(lambda: all(row.state == "delivered" for row in store.deliveries(channel, 10)))
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert len(ids) == 4 == len(set(ids))


def test_a_deliverer_that_is_killed(store: Store, database: str, receiver: Receiver) -> None:
    """Killed between sending and recording, it leaves what another sends again, as the same message."""
    receiver.hanging.add("/x")
    channel = add(store, receiver.url("/x"))
    end(store)
    command = [sys.executable, children.__file__, database]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        try:
            wait_until(lambda: receiver.received)
        finally:
            child.kill()
    row = only(store, channel)
    assert (row.state, row.attempts) == ("waiting", 1) and row.claimed_until is not None
    receiver.go_on.set()
    wait_until(lambda: look(store) or only(store, channel).state == "delivered")
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == row.message
    assert only(store, channel).attempts == 2


def test_a_bug_in_sending_is_a_failed_attempt(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and tried again, like everything else."""

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    channel = add(store, receiver.url("/x"))
    end(store)
    monkeypatch.setattr(posting, "post", fail)
    look(store)
    assert only(store, channel).state == "waiting" and "an error of the service itself" in only(store, channel).error
    assert "ZeroDivisionError" in caplog.text


def test_old_deliveries_go(tmp_path: Path, database: str) -> None:
    """After 30 days, with channels that were removed; what still waits does not."""
    with Service(tmp_path / "home", database) as service:
        store, now = service.store, time.time()
        with store.transaction() as tx:
            tx.add_user("ada", "user")
        kept, gone = add(store), add(store)
        end(store)
        with store.transaction() as tx:
            tx.remove_channel(gone, now=now - DELIVERY_SECONDS - 1)
        old = now + DELIVERY_SECONDS + 10
        tidy(service._place, now=old - 20)
        assert len(store.deliveries(gone, 10)) == 1
        tidy(service._place, now=old)
        assert store.deliveries(gone, 10) == [] and len(store.deliveries(kept, 10)) == 1


def test_a_user_who_is_shut_out(tmp_path: Path, database: str) -> None:
    """Nothing is sent to their channels any more."""
    with Service(tmp_path / "home", database) as service:
        service.add_user("ada")
        channel = add(service.store)
        end(service.store)
        service.change_user("ada", {"disabled": True})
        row = service.store.find_channel(channel)
        assert row is not None and (row.active, row.reason) == (False, "Its owner was shut out.")
        assert only(service.store, channel).state == "failed"


def test_a_claim_outlives_an_attempt() -> None:
    """Else two could send the same at once; looking up a name may take a minute."""
    assert deliverer.CLAIM_SECONDS >= 4 * posting.ATTEMPT_SECONDS + 60
