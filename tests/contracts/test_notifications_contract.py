"""What the verbs on notifications promise, wherever they are carried out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import IMPLEMENTATIONS, SPEC, Bench
from tests.service.notifications.receiving import Receiver, receiving, taking_mail
from tunewell.service.notifications import channels
from tunewell.service.notifications.deliverer import Deliverer
from tunewell.service.notifications.mail import MailServer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.types import Caller
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, SpecError, UserError

ADA = Caller(name="ada", role="user")
BOB = Caller(name="bob", role="user")


@pytest.fixture(params=IMPLEMENTATIONS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Iterator[Bench]:
    """One implementation after the other, on an empty home."""
    with IMPLEMENTATIONS[request.param](tmp_path, database) as bench:
        with bench.service.store.transaction() as tx:
            for caller in (ADA, BOB):
                tx.add_user(caller.name, caller.role)
        yield bench


@pytest.fixture
def verbs(bench: Bench) -> Verbs:
    """The verbs of an administrator."""
    return bench.verbs


@pytest.fixture
def receiver(verbs: Verbs) -> Iterator[Receiver]:
    """A receiver of webhooks, which is allowed."""
    with receiving() as receiver:
        verbs.allow_host("127.0.0.1", port=receiver.port, plain_http=True, private=True)
        yield receiver


def deliver(bench: Bench, receiver: Receiver, number: int) -> None:
    """Have all that is due sent, until so much has been received."""
    deliverer = Deliverer(bench.service.store, bench.service.outgoing)
    deliverer.look()
    for _, thread in list(deliverer._running.values()):
        thread.join()
    assert len(receiver.received) == number


def test_the_life_of_a_webhook(verbs: Verbs, receiver: Receiver) -> None:
    """It is added, its secret is told once, it is changed, tested, and removed; a key has each done once."""
    new = verbs.add_channel(receiver.url("/secret-part"), label="robot", events=["ended", "failed"])
    assert new.secret is not None and re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", new.secret)
    one = new.channel
    assert verbs.channels() == (one,) == (verbs.channel(one.id),)
    assert (one.target, one.events, one.problem) == (f"http://127.0.0.1:{receiver.port}/…", ("ended", "failed"), "")
    for _ in range(2):
        changed = verbs.change_channel(one.id, {"events": ["target_reached"], "active": False}, key="c")
    assert (changed.events, changed.active, changed.label) == (("target_reached",), False, "robot")
    with pytest.raises(ConflictError):
        verbs.test_channel(one.id)
    verbs.change_channel(one.id, {"active": True})
    sent = verbs.test_channel(one.id)
    assert (sent.state, sent.status, sent.attempts, sent.error) == ("delivered", 204, 1, "")
    assert verbs.deliveries(one.id).items == (sent,) and verbs.channel(one.id).latest == sent
    assert receiver.received[0].headers["webhook-id"] == sent.message
    assert "secret-part" not in "".join(answer.model_dump_json() for answer in (*verbs.channels(), sent))
    for _ in range(2):
        verbs.remove_channel(one.id, key="r")
    assert verbs.channels() == ()
    for call in (lambda: verbs.channel(one.id), lambda: verbs.deliveries(one.id), lambda: verbs.test_channel(one.id)):
        with pytest.raises(NotFoundError):
            call()


def test_the_end_of_a_search(bench: Bench, verbs: Verbs, receiver: Receiver) -> None:
    """Its owner's channel is told, once, and again as the same message when that is asked for."""
    id = verbs.add_channel(receiver.url()).channel.id
    verbs.create(SPEC)
    bench.add(1, value=0.5)
    bench.end()
    (waits,) = verbs.deliveries(id).items
    assert (waits.state, waits.event, waits.search, waits.attempts) == ("waiting", "ended", "e", 0)
    with pytest.raises(ConflictError):
        verbs.redeliver(id, waits.id)
    deliver(bench, receiver, 1)
    deliver(bench, receiver, 1)
    (done,) = verbs.deliveries(id).items
    assert (done.state, done.message, done.next_at) == ("delivered", waits.message, None)
    for _ in range(2):
        assert verbs.redeliver(id, done.id, key="again").state == "waiting"
    deliver(bench, receiver, 2)
    assert [one.headers["webhook-id"] for one in receiver.received] == [done.message] * 2


def test_pages_of_deliveries(verbs: Verbs, receiver: Receiver) -> None:
    """The latest come first, a page at a time."""
    id = verbs.add_channel(receiver.url()).channel.id
    sent = [verbs.test_channel(id) for _ in range(3)]
    first = verbs.deliveries(id, limit=2)
    assert first.items == (sent[2], sent[1])
    assert verbs.deliveries(id, cursor=first.next).items == (sent[0],)
    with pytest.raises(SpecError):
        verbs.deliveries(id, cursor="nothing")


def test_channels_are_private(bench: Bench, verbs: Verbs, receiver: Receiver) -> None:
    """Others learn nothing of a channel; administrators see that it is there, and may remove it, and nothing more."""
    ada, bob = bench.as_caller(ADA), bench.as_caller(BOB)
    one = ada.add_channel(receiver.url("/of-ada")).channel
    sent = ada.test_channel(one.id)
    calls: dict[str, Any] = {
        "channel": lambda its: its.channel(one.id),
        "deliveries": lambda its: its.deliveries(one.id),
        "change": lambda its: its.change_channel(one.id, {"label": "x"}),
        "test": lambda its: its.test_channel(one.id),
        "confirm": lambda its: its.confirm_channel(one.id, "1"),
        "redeliver": lambda its: its.redeliver(one.id, sent.id),
        "remove": lambda its: its.remove_channel(one.id),
    }
    for name, call in calls.items():
        with pytest.raises(NotFoundError):
            call(bob)
        if name in ("change", "test", "confirm", "redeliver"):
            with pytest.raises(ForbiddenError):
                call(verbs)
    assert bob.channels() == () == verbs.channels()
    with pytest.raises(ForbiddenError):
        bob.channels(everyone=True)
    assert verbs.channels(everyone=True) == ada.channels() and verbs.deliveries(one.id).items == (sent,)
    other = bob.add_channel(receiver.url()).channel
    with pytest.raises(NotFoundError):
        bob.redeliver(other.id, sent.id)
    verbs.remove_channel(one.id)
    assert ada.channels() == ()


#: Arguments of `add_channel` that are wrong, and in which field.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"target": "ftp://hooks.example.org/"}, "target"),
    ({"target": "https://me:secret-word@hooks.example.org/"}, "target"),
    ({"target": "https://2130706433/"}, "target"),
    ({"target": "https://0x7f.0.0.1/"}, "target"),
    ({"events": []}, "events"),
    ({"events": ["sunrise"]}, "events"),
    ({"events": ["disk_low"]}, "events"),
    ({"searches": "project"}, "project"),
    ({"project": "p"}, "project"),
    ({"label": "a\nb"}, "label"),
    ({"kind": "pigeon"}, "kind"),
    ({"body": "xml"}, "body"),
    ({"kind": "mail", "target": "ada@example.org\r\nBcc: eve@example.org"}, "target"),
    ({"kind": "mail", "target": "nobody"}, "target"),
]


def test_what_is_refused(bench: Bench, verbs: Verbs) -> None:
    """One clear error names the field; nothing is added, and the URL, which may be secret, is in no error."""
    verbs.allow_host("hooks.example.org")
    ada = bench.as_caller(ADA)
    for given, field in REFUSED:
        with pytest.raises(UserError) as refused:
            ada.add_channel(**{"target": "https://hooks.example.org/", **given})
        assert any(part.field.startswith(field) for part in refused.value.parts), (given, refused.value.to_json())
        assert "secret-word" not in str(refused.value) + str(refused.value.to_json())
    assert ada.channels() == ()


#: Changes that are wrong.
CHANGES: list[dict[str, Any]] = [{"events": None}, {"events": [["ended"]]}, {"colour": 1}, {"active": 1}, {"label": 1}]


def test_changes_that_are_refused(verbs: Verbs, receiver: Receiver) -> None:
    """They are told, and change nothing."""
    one = verbs.add_channel(receiver.url()).channel
    for changes in CHANGES:
        with pytest.raises(UserError):
            verbs.change_channel(one.id, changes)
    assert verbs.channel(one.id) == one


def test_nothing_goes_where_it_is_not_allowed(bench: Bench, verbs: Verbs) -> None:
    """Hosts are on a list that administrators keep; an entry counts for one port, and for https unless it says so."""
    ada = bench.as_caller(ADA)
    for call in (lambda: ada.allow_host("hooks.example.org"), lambda: ada.withdraw_host("hooks.example.org")):
        with pytest.raises(ForbiddenError):
            call()
    with pytest.raises(ForbiddenError) as refused:
        ada.add_channel("https://hooks.example.org/x")
    assert (refused.value.kind, refused.value.facts) == ("host-not-allowed", {"host": "hooks.example.org"})
    for _ in range(2):
        entry = verbs.allow_host("*.Example.org", key="a")
    assert (entry.host, entry.port, entry.plain_http, entry.private) == ("*.example.org", 443, False, False)
    assert ada.allowed_hosts() == (entry,)
    id = ada.add_channel("https://hooks.example.org/x").channel.id
    for url in ("https://example.org/", "https://hooks.example.org:8443/", "http://hooks.example.org/"):
        with pytest.raises(ForbiddenError):
            ada.add_channel(url)
    verbs.allow_host("example.org", port=80, plain_http=True)
    ada.add_channel("http://example.org/")
    verbs.withdraw_host("*.example.org", key="w")
    verbs.withdraw_host("*.example.org", key="w")
    assert "not allowed" in ada.channel(id).problem
    sent = ada.test_channel(id)
    assert sent.state == "failed" and "is not allowed" in sent.error
    with pytest.raises(NotFoundError):
        verbs.withdraw_host("*.example.org")
    for host in ("*", "*.org", "a b", "0x7f000001", "127.1", "https://example.org", ""):
        with pytest.raises(SpecError):
            verbs.allow_host(host)


def test_an_address_is_confirmed_first(bench: Bench) -> None:
    """Nothing but a code goes to it before; wrong codes are few, and so are codes."""
    with taking_mail() as box:
        server = MailServer("127.0.0.1", box.port, False, "", "", "tunewell@example.org")
        bench.service.outgoing = Outgoing(server)
        mine = bench.as_caller(ADA)
        new = mine.add_channel("ada@example.org", kind="mail")
        assert new.secret is None and not new.channel.confirmed and new.channel.target == "ada@example.org"
        id = new.channel.id
        sent = mine.test_channel(id)
        assert (sent.event, sent.state) == ("confirmation", "delivered")
        with pytest.raises(ConflictError, match="A code is not sent again"):
            mine.redeliver(id, sent.id)
        code = re.search(r"Code: (\d{8})", box.mails[0].get_body(("plain",)).get_content())
        assert code is not None and box.recipients == ["ada@example.org"]
        with pytest.raises(SpecError):
            mine.confirm_channel(id, "12")
        assert mine.confirm_channel(id, code[1]).confirmed
        assert mine.test_channel(id).event == "test"
        assert box.mails[1]["Message-ID"] == f"<{mine.deliveries(id).items[0].message}@example.org>"
        again = mine.add_channel("ada@example.org", kind="mail").channel
        for _ in range(channels.MOST_WRONG_CODES):
            with pytest.raises(SpecError):
                mine.confirm_channel(again.id, "12")
        with pytest.raises(ConflictError, match="too many wrong codes"):
            mine.confirm_channel(again.id, "12")
        with pytest.raises(ConflictError, match="too many codes sent"):
            mine.test_channel(again.id)
        with pytest.raises(ConflictError, match="too many codes sent"):
            bench.as_caller(BOB).add_channel("ada@example.org", kind="mail")


def test_channels_are_few(bench: Bench, verbs: Verbs, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user has so many, and tests them so often."""
    monkeypatch.setattr(channels, "MOST_CHANNELS", 2)
    monkeypatch.setattr(channels, "MOST_TESTS", 2)
    id = verbs.add_channel(receiver.url()).channel.id
    verbs.add_channel(receiver.url())
    with pytest.raises(ConflictError, match="which is the most"):
        verbs.add_channel(receiver.url())
    for _ in range(2):
        verbs.test_channel(id)
    with pytest.raises(ConflictError, match="within an hour"):
        verbs.test_channel(id)
