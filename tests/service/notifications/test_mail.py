"""Mails: to whom, how, and what stands in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.notifications.receiving import client_context, taking_mail
from tunewell.service.notifications.mail import Mail, MailServer, Refused, checked_address, send
from tunewell.spec.errors import ArgumentError, SpecError

MAIL = Mail("ada@example.org", "Search größe\r\nBcc: eve@example.org", "text", "<p>text</p>", "msg_1")


def server(port: int, host: str = "localhost", user: str = "", password: str = "") -> MailServer:
    """Return a mail server on this machine."""
    return MailServer(host, port, False, user, password, "tunewell@example.org")


def test_a_mail() -> None:
    """It has one recipient, whatever stands in its subject, and says that no person wrote it; its id is stable."""
    with taking_mail() as box:
        for _ in range(2):
            assert send(server(box.port), MAIL) == 250
        assert box.recipients == ["ada@example.org"] * 2
        mail = box.mails[0]
        assert (mail["To"], mail["From"], mail["Bcc"]) == ("ada@example.org", "tunewell@example.org", None)
        assert mail["Subject"] == "Search größe Bcc: eve@example.org"
        assert mail["Auto-Submitted"] == "auto-generated" and mail["Date"]
        assert {one["Message-ID"] for one in box.mails} == {"<msg_1@example.org>"}
        body = mail.get_body(("plain",))
        assert body is not None and body.get_content().strip() == "text"
        page = mail.get_body(("html",))
        assert page is not None and page.get_content().strip() == "<p>text</p>"


def test_tls_and_a_password() -> None:
    """TLS comes first, and verifies the name; then the password goes."""
    with taking_mail(offers_tls=True, login=("me", "sesame")) as box:
        assert send(server(box.port, user="me", password="sesame"), MAIL, client_context()) == 250
        assert box.done == ["tls", "login"]
    with taking_mail(offers_tls=True, login=("me", "sesame")) as box:
        with pytest.raises(Refused, match="certificate"):
            send(server(box.port, user="me", password="sesame"), MAIL)
        assert "login" not in box.done and box.mails == []
    with taking_mail(login=("me", "sesame")) as box, pytest.raises(Refused, match="user name or password") as refused:
        send(server(box.port, user="me", password="wrong-word"), MAIL)
    assert "wrong-word" not in str(refused.value)


def test_no_tls_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server elsewhere that offers none is sent nothing."""
    monkeypatch.setattr("tunewell.service.notifications.mail._LOOPBACK", ())
    with taking_mail(login=("me", "sesame")) as box:
        with pytest.raises(Refused, match="offers no TLS"):
            send(server(box.port, user="me", password="sesame"), MAIL)
        assert box.done == [] == box.mails


@pytest.mark.parametrize(("answer", "for_good"), [("550 no such user", True), ("451 try later", False)])
def test_a_recipient_who_is_refused(answer: str, for_good: bool) -> None:
    """What the server says is told, and whether another try makes sense."""
    with taking_mail() as box:
        box.refused["ada@example.org"] = answer
        with pytest.raises(Refused, match=answer[4:]) as refused:
            send(server(box.port), MAIL)
    assert (refused.value.status, refused.value.for_good) == (int(answer[:3]), for_good)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ada", "ada@", "@example.org", "ada@example", "a b@example.org", "ada@example.org, eve@example.org"),
        *(
            "ada@example.org\n",
            "ada@example.org\r\nBcc: x@y.org",
            "<ada@example.org>",
            '"a"@example.org',
            "ä@example.org",
        ),
        *("ada@exämple.org", "ada@example.org>", "a..b@example.org", "ada@-a.org", 250 * "a" + "@example.org"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    """One plain address is one; nothing else is."""
    with pytest.raises(SpecError):
        checked_address(text)
    assert checked_address("ada.l+tunewell@mail.example.org")


def test_how_a_server_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a URL without a password; that is in the environment or in a file, and nowhere else."""
    monkeypatch.setenv("TUNEWELL_SMTP_PASSWORD", "sesame")
    sender = "tunewell@example.org"
    named = MailServer.named("smtp://me%40example.org@mail.example.org", sender, None)
    assert named == MailServer("mail.example.org", 587, False, "me@example.org", "sesame", sender)
    (tmp_path / "password").write_text("other\n")
    tls = MailServer.named("smtps://mail.example.org", sender, tmp_path / "password")
    assert tls == MailServer("mail.example.org", 465, True, "", "other", sender)
    assert "sesame" not in repr(named) and MailServer.named("", "", None) is None
    for url, by in (
        ("smtp://me:sesame@mail.example.org", sender),
        *(("mail.example.org", sender), ("http://mail.example.org", sender), ("smtp://", sender)),
        *(("smtp://mail.example.org:x", sender), ("smtp://mail.example.org", ""), ("", sender)),
        ("smtp://mail.example.org", "no address"),
    ):
        with pytest.raises(ArgumentError) as refused:
            MailServer.named(url, by, None)
        assert "sesame" not in str(refused.value) + str(refused.value.to_json())
    with pytest.raises(ArgumentError, match="can't be read"):
        MailServer.named("smtp://mail.example.org", sender, tmp_path / "nothing")
