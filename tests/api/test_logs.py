"""Logs over HTTP."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.api.serving import QUICK, add_trial, client_of, end_trial, served
from tests.schedulers.bench import wait_until
from tunewell.api import lanes
from tunewell.service import attempt_files
from tunewell.service.service import Service
from tunewell.service.types import LogPart
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


def test_many_followers_of_a_log_cost_one_look(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who have come equally far are served by one look at the log; nobody misses anything."""
    log = add_trial(service, 1, TrialState.RUNNING) / "output.log"
    log.write_bytes(TEXT)
    looks: list[int] = []
    read_log = attempt_files.read_log

    def counted(path: Path, offset: int, limit: int, ended: bool) -> LogPart:
        looks.append(offset)
        return read_log(path, offset, limit, ended)

    monkeypatch.setattr(attempt_files, "read_log", counted)
    followed = f"{LOG}?follow=true".replace("/e/", "/owner~e/")
    with served(service) as client, ExitStack() as stack:
        followers = [
            stack.enter_context(client.stream("GET", followed, headers={"As": who})).iter_bytes()
            for who in ["owner"] * 10 + ["ada"] * 10
        ]
        assert {next(parts) for parts in followers} == {TEXT}
        so_far = looks.count(10)
        wait_until(lambda: looks.count(10) > so_far + 3)
        with log.open("ab") as file:
            file.write(b"more")
        end_trial(service, 1, TrialState.SUCCEEDED, 0.5)
        assert {b"".join(parts) for parts in followers} == {b"more"}
    assert looks.count(14) < 5


def test_who_follows_too_many_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of logs, or streams, of one caller there is 429, until one of them has ended."""
    monkeypatch.setattr(lanes, "LOGS_OF_ONE", 2)
    monkeypatch.setattr(lanes, "STREAMS_OF_ONE", 2)
    add_trial(service, 1, TrialState.RUNNING)
    for path in (f"{LOG}?follow=true", "/events", "/experiments/e/events"):
        with served(service) as client, ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(client.stream("GET", path))
            refused = client.get(path)
            assert (refused.status_code, refused.json()["kind"]) == (429, "too-many")
            with client.stream("GET", path.replace("/e/", "/owner~e/"), headers={"As": "ada"}) as other:
                assert other.status_code == 200
            stack.close()

            def is_let_in(client: httpx2.Client = client, path: str = path) -> bool:
                with client.stream("GET", path) as answer:
                    return answer.status_code == 200

            wait_until(is_let_in)


def test_a_followed_log_ends_after_a_time(service: Service) -> None:
    """Its reader goes on from where it has ended."""
    (add_trial(service, 1, TrialState.RUNNING) / "output.log").write_bytes(TEXT)
    with served(service, replace(QUICK, stream_seconds=0.5)) as client:
        assert client.get(LOG, params={"follow": True}).content == TEXT


def test_who_sees_a_log_no_more_follows_it_no_more(service: Service) -> None:
    """A log ends for those who may not read it any longer, and goes on for others."""
    (add_trial(service, 1, TrialState.RUNNING) / "output.log").write_bytes(TEXT)
    theirs = f"{LOG}?follow=true".replace("/e/", "/owner~e/")
    with (
        served(service, replace(QUICK, proof_seconds=0.1)) as client,
        client.stream("GET", theirs, headers={"As": "eve"}) as other,
        client.stream("GET", LOG, params={"follow": True}) as own,
    ):
        parts, own_parts = other.iter_bytes(), own.iter_bytes()
        assert next(parts) == next(own_parts) == TEXT
        service.update("e", {"visibility": "private"})
        assert list(parts) == []
        end_trial(service, 1, TrialState.SUCCEEDED, 0.5)
        assert list(own_parts) == []
