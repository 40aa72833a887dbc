"""A POST goes where it was checked to go, and comes back in time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.service.notifications.receiving import Receiver, client_context, receiving
from tunewell.service.notifications import posting
from tunewell.service.notifications.hosts import parse_url
from tunewell.service.notifications.posting import Unsent, post
from tunewell.service.notifications.signing import new_secret, signed


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver without TLS."""
    with receiving() as receiver:
        yield receiver


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names resolved to these, one after the other, the last one for ever; return what is asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **named: Any) -> Any:
        if host.replace(".", "").isdecimal() or ":" in host:
            return real(host, port, *arguments, **named)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [one for address in found for one in real(address, port, *arguments, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def connecting(monkeypatch: pytest.MonkeyPatch, port: int) -> list[str]:
    """Have all connections lead to a port of this machine; return the addresses that they were for."""
    asked: list[str] = []
    real = socket.create_connection

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address[0])
        return real(("127.0.0.1", port), timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    return asked


def test_what_is_sent(receiver: Receiver) -> None:
    """A body of its type, with a host, and headers of ours."""
    answer = post(parse_url(receiver.url("/a?b=c")), True, b"{}", {"Content-Type": "application/json"})
    assert (answer.status, answer.rest_seconds, answer.location) == (204, None, "")
    (got,) = receiver.received
    assert (got.path, got.body, got.headers["host"]) == ("/a?b=c", b"{}", f"127.0.0.1:{receiver.port}")


def test_private_addresses(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to one, if only beside another, is sent nothing, unless that is permitted."""
    asked = connecting(monkeypatch, receiver.port)
    for found in (["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]):
        resolving(monkeypatch, found)
        with pytest.raises(Unsent, match="not of the public internet"):
            post(parse_url("http://hooks.example.org/"), False, b"", {})
        monkeypatch.undo()
        asked = connecting(monkeypatch, receiver.port)
    assert asked == [] == receiver.received


def test_a_name_that_leads_elsewhere_the_second_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked: a name is resolved once an attempt."""
    asked = resolving(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    connected = connecting(monkeypatch, receiver.port)
    place = parse_url("http://hooks.example.org/")
    assert post(place, False, b"", {}).status == 204
    assert (asked, connected) == (["hooks.example.org"], ["8.8.8.8"])
    with pytest.raises(Unsent, match=r"leads to 127\.0\.0\.1"):
        post(place, False, b"", {})
    assert connected == ["8.8.8.8"] and len(receiver.received) == 1


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """Where a redirect leads is told, and nothing is sent there."""
    receiver.answers["/old"] = (307, {"Location": receiver.url("/inside")})
    answer = post(parse_url(receiver.url("/old")), True, b"", {})
    assert (answer.status, answer.location) == (307, receiver.url("/inside"))
    assert receiver.at("/inside") == []


def test_proxies_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says, the connection is a direct one."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(parse_url(receiver.url()), True, b"", {}).status == 204


def test_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """It verifies the name of the URL, although the connection goes to an address."""
    with receiving(tls=True) as receiver:
        resolving(monkeypatch, ["8.8.8.8"])
        connecting(monkeypatch, receiver.port)
        good, other = "https://receiver.example.org/", "https://other.example.org/"
        assert post(parse_url(good), False, b"", {}, client_context()).status == 204
        assert receiver.received[0].headers["host"] == "receiver.example.org"
        with pytest.raises(Unsent, match="no certificate that is trusted"):
            post(parse_url(other), False, b"", {}, client_context())
        with pytest.raises(Unsent, match="no certificate that is trusted"):
            post(parse_url(good), False, b"", {})
        assert len(receiver.received) == 1


def test_one_who_hangs(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver who does not answer is waited for for so long."""
    monkeypatch.setattr(posting, "ATTEMPT_SECONDS", 0.3)
    receiver.hanging.add("/")
    began = time.monotonic()
    with pytest.raises(Unsent, match=r"has not answered within 0\.3 s"):
        post(parse_url(receiver.url()), True, b"", {})
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("content", [b"HTTP/1.1 200 OK\r\n", b""], ids=["in its head", "in its body"])
def test_one_who_trickles(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A receiver who sends a byte now and then, for ever, is cut."""
    monkeypatch.setattr(posting, "ATTEMPT_SECONDS", 0.5)
    head = content or b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

    def trickle() -> None:
        client, _ = place.accept()
        with client:
            client.sendall(head)
            try:
                while True:
                    client.sendall(b"a")
                    time.sleep(0.05)
            except OSError:
                return

    with closing(socket.create_server(("127.0.0.1", 0))) as place:
        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        url = f"http://127.0.0.1:{place.getsockname()[1]}/"
        try:
            status = post(parse_url(url), True, b"", {}).status
        except Unsent:
            status = None
        assert time.monotonic() - began < 10 and (status is None or not content)
        thread.join()


def test_a_long_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    """What is more than a little of it is left."""
    receiver.answers["/"] = (200, {"Content-Length": str(10**12)})
    assert post(parse_url(receiver.url()), True, b"", {}).status == 200


def test_what_can_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is told in plain words."""
    with closing(socket.create_server(("127.0.0.1", 0))) as place:
        port = place.getsockname()[1]
    with pytest.raises(Unsent, match="refuses the connection"):
        post(parse_url(f"http://127.0.0.1:{port}/"), True, b"", {})
    with pytest.raises(Unsent, match="no name server knows"):
        post(parse_url("http://nothing.invalid/"), True, b"", {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("0", 0), ("99999999999", 86400), ("-1", None), ("soon", None), ("", None), ("1e9", None)],
)
def test_how_long_a_receiver_wants_to_be_left_alone(receiver: Receiver, text: str, seconds: float | None) -> None:
    """`Retry-After` in seconds, within bounds."""
    receiver.answers["/"] = (429, {"Retry-After": text})
    assert post(parse_url(receiver.url()), True, b"", {}).rest_seconds == seconds


def test_a_date_until_which_to_wait(receiver: Receiver) -> None:
    """`Retry-After` may be a date."""
    receiver.answers["/"] = (503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    rest = post(parse_url(receiver.url()), True, b"", {}).rest_seconds
    assert rest is not None and 3500 < rest < 3700


def test_signatures() -> None:
    """They are those of "Standard Webhooks": computed here from its words, and its own example."""
    secret, body = new_secret(), b'{"type":"ended"}'
    headers = signed(secret, "msg_1", 1700000000, body)
    key = base64.b64decode(secret.split("_", 1)[1])
    assert len(key) == 32 and secret.startswith("whsec_") and new_secret() != secret
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(signature) == hmac.new(key, content, hashlib.sha256).digest()
    example = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert example["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
