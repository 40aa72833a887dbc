"""Logs over HTTP."""

from __future__ import annotations

import base64

import pytest
from fastapi.testclient import TestClient

from tests.api.serving import add_trial, client_of, end_trial, served
from tunewell.service.service import Service
from tunewell.spec.states import TrialState

LOG = "/experiments/e/trials/1/log"
JSON = {"Accept": "application/json"}
TEXT = b"0123456789"


@pytest.fixture
def printed(service: Service) -> TestClient:
    """An app with a trial that runs and has printed ten bytes."""
    (add_trial(service, 1, TrialState.RUNNING) / "output.log").write_bytes(TEXT)
    return client_of(service)


@pytest.mark.parametrize(
    ("asked", "told", "content"),
    [
        ("bytes=0-3", "bytes 0-3/10", b"0123"),
        ("bytes=4-", "bytes 4-9/10", b"456789"),
        ("bytes=-3", "bytes 7-9/10", b"789"),
        ("bytes=-30", "bytes 0-9/10", TEXT),
        ("bytes=8-100", "bytes 8-9/10", b"89"),
    ],
)
def test_a_range(printed: TestClient, asked: str, told: str, content: bytes) -> None:
    """A part that there is comes alone."""
    answer = printed.get(LOG, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-range"], answer.content) == (206, told, content)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end(printed: TestClient, asked: str) -> None:
    """There is nothing of it yet, and how much there is, is told."""
    answer = printed.get(LOG, headers={"Range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
    assert answer.json()["field"] == "Range"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,3-4", "bytes=a-b", ""])
def test_a_range_that_is_none(printed: TestClient, asked: str) -> None:
    """It is as if it had not been asked for."""
    answer = printed.get(LOG, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["accept-ranges"] == "bytes"


def test_text_and_json(printed: TestClient) -> None:
    """As text it is all there is from a place on, whatever it holds; as JSON a part with what surrounds it."""
    answer = printed.get(LOG, params={"offset": 6})
    assert answer.content == b"6789" and answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"]
    part = printed.get(LOG, params={"offset": 2, "limit": 3}, headers=JSON).json()
    assert base64.b64decode(part["data"]) == b"234"
    assert (part["next"], part["size_bytes"], part["ended"], part["exists"]) == (5, 10, False, True)
    assert printed.get(LOG, params={"offset": 99}).content == b""


def test_a_long_log_is_whole(service: Service) -> None:
    """It comes in parts that fit together."""
    text = b"".join(b"%d\n" % number for number in range(60_000))
    (add_trial(service, 1, TrialState.SUCCEEDED, 0.5) / "output.log").write_bytes(text)
    api = client_of(service)
    assert api.get(LOG).content == text == api.get(LOG, params={"follow": True}).content
    assert api.get(LOG, headers={"Range": "bytes=10-300000"}).content == text[10:300_001]


def test_no_log(service: Service) -> None:
    """What has not been printed is empty; what was not started has none."""
    add_trial(service, 1, TrialState.RUNNING)
    add_trial(service, 2, TrialState.WAITING)
    api = client_of(service)
    assert api.get(LOG).content == b"" and api.get(LOG, headers=JSON).json()["exists"] is False
    assert api.get(LOG, params={"attempt": 2}).status_code == 404
    assert api.get("/experiments/e/trials/2/log", params={"follow": True}).status_code == 404


def test_a_log_is_followed_to_its_end(service: Service) -> None:
    """What is printed comes as it is printed, from the place that was asked for, until the trial has ended."""
    log = add_trial(service, 1, TrialState.RUNNING) / "output.log"
    log.write_bytes(TEXT)
    with (
        served(service) as client,
        client.stream("GET", LOG, params={"follow": True, "offset": 5}) as answer,
        log.open("ab", buffering=0) as file,
    ):
        parts = answer.iter_bytes()
        assert next(parts) == b"56789"
        file.write(b"more")
        assert next(parts) == b"more"
        file.write(b"last")
        end_trial(service, 1, TrialState.SUCCEEDED, 0.5)
        assert b"".join(parts) == b"last"


def test_a_server_that_ends_lets_go(service: Service) -> None:
    """Whoever follows a log, or changes, does not keep it from ending."""
    (add_trial(service, 1, TrialState.RUNNING) / "output.log").write_bytes(TEXT)
    with served(service) as client:
        log = client.send(client.build_request("GET", LOG, params={"follow": True}), stream=True)
        assert next(log.iter_bytes()) == TEXT
        for address in ("/events", "/experiments/e/events"):
            stream = client.send(client.build_request("GET", address), stream=True)
            assert next(stream.iter_bytes())
