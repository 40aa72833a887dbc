"""Lengthy requests: they keep nobody waiting but each other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.api.serving import BASE, served
from tests.schedulers.bench import wait_until
from tunewell.api import lanes
from tunewell.api.lanes import PARTS_OF_ONE
from tunewell.service.service import Service
from tunewell.service.types import Checked, TrialFilter


class Gate:
    """What a lengthy request waits at."""

    def __init__(self) -> None:
        """Begin closed."""
        self.open = threading.Event()
        self.arrived: list[str] = []

    def wait(self, service: Service, name: str) -> str:
        """Stand in for `Service.report`."""
        self.arrived.append(service.caller.name)
        assert self.open.wait(60)
        return "<html>"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """What every report waits at."""
    gate = Gate()
    monkeypatch.setattr(Service, "report", lambda service, name: gate.wait(service, name))
    return gate


@contextmanager
def asked(client: httpx2.Client, gate: Gate, *callers: str) -> Iterator[list[Future[httpx2.Response]]]:
    """Have reports asked for at once; they are answered at the end."""
    with ThreadPoolExecutor(len(callers)) as pool:
        try:
            yield [pool.submit(client.get, "/experiments/owner~e/report", headers={"As": caller}) for caller in callers]
        finally:
            gate.open.set()


def test_one_caller_has_two_lengthy_requests_at_once(service: Service, gate: Gate) -> None:
    """All else of a caller, and others, are answered meanwhile; what waits is answered in the end."""
    with served(service) as client:
        with asked(client, gate, *["owner"] * 12) as answers:
            wait_until(lambda: len(gate.arrived) == 2)
            assert client.get("/experiments/e").status_code == 200
            with asked(client, gate, "ada"):
                wait_until(lambda: len(gate.arrived) == 3)
                assert client.get("/me").status_code == 200
                assert gate.arrived == ["owner", "owner", "ada"]
        assert [answer.result().status_code for answer in answers] == [200] * 12
        assert len(gate.arrived) == 13


def test_who_has_too_many_waiting_is_refused(service: Service, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number, lengthy requests of one caller are answered with 429 and when to come again."""
    monkeypatch.setattr(lanes, "MOST_WAITING", 3)
    with served(service) as client, asked(client, gate, *["owner"] * 4) as answers:
        (refused,) = wait_until(lambda: [one.result() for one in answers if one.done()])
        assert (refused.status_code, refused.json()["kind"]) == (429, "too-many")
        assert refused.headers["retry-after"] == "1"


def test_parts_of_an_export_are_lengthy(service: Service, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of what is streamed takes its turn, too, and is all there."""

    def export(service: Service, name: str, format: str, *, filter: TrialFilter) -> Iterator[str]:
        yield "a"
        yield gate.wait(service, name)
        yield "z"

    monkeypatch.setattr(Service, "export", export)
    with served(service) as client, ThreadPoolExecutor(4) as pool:
        try:
            answers = [pool.submit(client.get, "/experiments/e/export") for _ in range(4)]
            wait_until(lambda: len(gate.arrived) == 2)
            assert client.get("/me").status_code == 200 and len(gate.arrived) == 2
        finally:
            gate.open.set()
        assert {answer.result().text for answer in answers} == {"a<html>z"}


def test_slow_senders_keep_nobody_else_from_sending(service: Service) -> None:
    """However many parts of one caller's don't come, those of others do; and so do that caller's own in the end."""
    ids = [service.create_upload("a", 3).id for _ in range(40)]
    with served(service) as client, ExitStack() as stack:
        address = (client.base_url.host, client.base_url.port)
        for id in ids[:39]:
            slow = stack.enter_context(socket.create_connection(address, 60))
            slow.sendall(f"PUT {BASE}/uploads/{id}/parts/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n1".encode())
        other = client.post("/uploads", json={"name": "a", "size": 3}, headers={"As": "ada"}).json()["id"]
        answer = client.put(f"/uploads/{other}/parts/0", content=b"123", headers={"As": "ada"})
        assert answer.json()["received_bytes"] == 3
        stack.close()
        assert client.put(f"/uploads/{ids[39]}/parts/0", content=b"123").json()["received_bytes"] == 3
        wait_until(lambda: sum(service.upload(id).received_bytes for id in ids[:39]) == PARTS_OF_ONE)


def test_measuring_keeps_no_check_waiting(service: Service, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many trainings are to be measured, checks without that, and all else that is lengthy, are answered."""
    check = Service.check
    spec = {
        "name": "new",
        "command": ["sh", "-c", "echo accuracy={x}"],
        "parameters": {"x": {"low": 0.0, "high": 1.0}},
        "objective": {"metric": "accuracy"},
    }

    def measured(service: Service, given: dict[str, Any], *, line: str | None = None, measure: bool = False) -> Checked:
        if measure:
            gate.wait(service, "new")
        return check(service, given, line=line)

    monkeypatch.setattr(Service, "check", measured)
    with served(service) as client, ThreadPoolExecutor(8) as pool:
        try:
            callers = ["owner", "ada"] * 3
            ask = partial(client.post, "/experiments", json=spec)
            checks = [
                pool.submit(ask, params={"dry_run": True, "measure": True}, headers={"As": caller})
                for caller in callers
            ]
            wait_until(lambda: len(gate.arrived) == lanes.MEASURING_THREADS)
            for caller in ("owner", "ada"):
                assert ask(params={"dry_run": True}, headers={"As": caller}, timeout=20).status_code == 200
            assert len(gate.arrived) == lanes.MEASURING_THREADS
        finally:
            gate.open.set()
        assert {answer.result().status_code for answer in checks} == {200}
