"""The page about notifications: what it shows, and what it has done."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from tests.console.markup import parse
from tests.console.serving import ACTS, SENDS, browser
from tests.service.notifications.receiving import receiving, taking_mail
from tunewell.service.notifications.mail import MailServer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.service import Service

PLACE = "/settings/notifications"


def test_what_is_there(searches: Service) -> None:
    """Each channel with its last delivery and what is in its way; of others administrators see that they are there."""
    text = parse(browser(searches, "owner").get(PLACE).text).text
    for words in (
        "https://hooks.example.org/…",
        "hooks.slack.com is not allowed: nothing is sent there.",
        "Nothing but a code is sent here until the address is confirmed with it.",
        "Nothing is sent here: it was switched off.",
        "Of others",
        "hooks.lan:8080",
    ):
        assert words in text
    assert "services/x" not in text
    ada = parse(browser(searches, "ada").get(PLACE).text).text
    assert "a@example.org" not in ada and "Of others" not in ada and "Withdraw" not in ada
    viewer = parse(browser(searches, "vic").get(PLACE).text).text
    assert "Add notifications" not in viewer and "have no notifications" in viewer
    assert browser(searches, "vic").get(f"{PLACE}/1").status_code == 404
    assert "hostile" in browser(searches, "owner").get(f"{PLACE}/1").text


def test_a_webhook(service: Service, administrator: TestClient) -> None:
    """What is wrong stands at the field, with what was typed; then the secret is shown once, and a test is sent."""
    with receiving() as receiver:
        form = {"kind": "json", "target": receiver.url("/x"), "events": ["ended", "failed"], "label": "robot"}
        refused = administrator.post(PLACE, data=form, headers=SENDS)
        assert refused.status_code == 403
        page = parse(refused.text)
        assert "is not allowed: nothing is sent there." in page.text and "under “Allowed hosts”" in page.text
        assert receiver.url("/x") in refused.text and 'aria-invalid="true"' in refused.text
        entry = {"host": "127.0.0.1", "port": str(receiver.port), "plain_http": "true", "private": "true"}
        assert administrator.post(f"{PLACE}/hosts/allow", data=entry, headers=ACTS).status_code == 200
        added = administrator.post(PLACE, data=form, headers=SENDS)
        assert added.status_code == 200 and re.search(r"whsec_[A-Za-z0-9+/]{43}=", added.text)
        assert "whsec_" not in administrator.get(PLACE).text
        (channel,) = service.channels()
        assert (channel.label, channel.events, channel.body) == ("robot", ("ended", "failed"), "json")
        said = administrator.post(f"{PLACE}/{channel.id}/test", headers=ACTS).json()
        assert said == {"said": "The test message was delivered."} and len(receiver.at("/x")) == 1
        receiver.answers["/x"] = (500, {})
        said = administrator.post(f"{PLACE}/{channel.id}/test", headers=ACTS).json()
        assert said == {"said": "Not delivered: 127.0.0.1 answers 500."}
        (latest, _) = service.deliveries(channel.id).items
        answer = administrator.post(f"{PLACE}/{channel.id}/deliveries/{latest.id}/redeliver", headers=SENDS)
        assert answer.headers["location"] == f"{PLACE}/{channel.id}"
        change = {"events": ["target_reached"], "searches": "all", "project": "left over", "label": ""}
        assert administrator.post(f"{PLACE}/{channel.id}/change", data=change, headers=ACTS).status_code == 200
        off = administrator.post(f"{PLACE}/{channel.id}/off", headers=ACTS).json()
        assert off["undo"]["address"] == f"{PLACE}/{channel.id}/on"
        changed = service.channel(channel.id)
        assert (changed.events, changed.searches, changed.project) == (("target_reached",), "all", "")
        assert not changed.active
        administrator.post(off["undo"]["address"], headers=ACTS)
        assert service.channel(channel.id).active
        gone = {"host": "127.0.0.1", "port": str(receiver.port)}
        administrator.post(f"{PLACE}/hosts/withdraw", data=gone, headers=ACTS)
        assert service.allowed_hosts() == ()
        administrator.post(f"{PLACE}/{channel.id}/remove", headers=ACTS)
        assert service.channels() == ()


def test_an_address(service: Service, administrator: TestClient) -> None:
    """It is confirmed on the page with the code that it was sent."""
    with taking_mail() as box:
        form = {"kind": "mail", "target": "ada@example.org", "events": ["ended"]}
        assert "This service sends no mail." in administrator.post(PLACE, data=form, headers=SENDS).text
        service.outgoing = Outgoing(MailServer("127.0.0.1", box.port, False, "", "", "tunewell@example.org"))
        assert "A code is on its way to ada@example.org" in administrator.post(PLACE, data=form, headers=SENDS).text
        (channel,) = service.channels()
        said = administrator.post(f"{PLACE}/{channel.id}/test", headers=ACTS).json()
        assert said == {"said": "Another code is sent."}
        body = box.mails[0].get_body(("plain",))
        found = re.search(r"Code: (\d+)", body.get_content()) if body is not None else None
        assert found is not None
        wrong = administrator.post(f"{PLACE}/{channel.id}/confirm", data={"code": "1"}, headers=ACTS)
        assert (wrong.status_code, wrong.json()["field"]) == (422, "code")
        administrator.post(f"{PLACE}/{channel.id}/confirm", data={"code": found[1]}, headers=ACTS)
        assert service.channel(channel.id).confirmed


def test_a_form_that_no_page_has(administrator: TestClient) -> None:
    """Whatever is sent, what is wrong is told."""
    for form in (
        {},
        {"kind": "pigeon", "target": "x"},
        {"kind": "json", "target": "https://a.org", "searches": "none"},
    ):
        answer = administrator.post(PLACE, data=form, headers=SENDS)
        assert answer.status_code in (403, 422) and 'class="error' in answer.text


@pytest.mark.parametrize(
    ("host", "port", "allowed"),
    [
        ("hooks.lan:8443", "443", ("hooks.lan", 8443)),
        ("hooks.lan:8443", "8443", ("hooks.lan", 8443)),
        (" https://hooks.slack.com/services/T0/B0/X ", "443", ("hooks.slack.com", 443)),
        ("[2001:db8::7]:8443", "443", ("2001:db8::7", 8443)),
        ("hooks.lan", "8443", ("hooks.lan", 8443)),
    ],
)
def test_a_host_is_understood_as_it_is_pasted(
    administrator: TestClient, service: Service, host: str, port: str, allowed: tuple[str, int]
) -> None:
    """With its port, or as the whole URL."""
    answer = administrator.post(f"{PLACE}/hosts/allow", data={"host": host, "port": port}, headers=ACTS)
    assert answer.status_code == 200, answer.text
    assert [(one.host, one.port) for one in service.allowed_hosts()] == [allowed]


def test_two_ports_are_refused(administrator: TestClient, service: Service) -> None:
    """Which of them is meant, nobody can know."""
    answer = administrator.post(f"{PLACE}/hosts/allow", data={"host": "a.org:1", "port": "2"}, headers=ACTS)
    assert answer.status_code == 422 and "Write the port once" in answer.text and not service.allowed_hosts()
