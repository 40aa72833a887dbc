"""Waiting for a PostgreSQL server that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.postgres import Server
from tests.proxy import Proxy, proxy_before
from tests.schedulers.bench import wait_until
from tests.store.lives import NAME, create
from tunewell.store import Store
from tunewell.store.answering import Way
from tunewell.store.errors import Unreachable


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """A database with an experiment, without anything between it and us."""
    with postgres.new_database("tables") as url:
        with Store(url) as store:
            create(store)
        yield url


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """What can keep answers back."""
    with proxy_before(postgres) as proxy:
        yield proxy


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What the server has said about whether it is at something that has taken long, which is soon, and how often."""
    monkeypatch.setattr("tunewell.store.patience.ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("tunewell.store.patience.CONNECT_SECONDS", 4.0)
    answers: list[bool] = []
    ask = Way._is_at_it
    monkeypatch.setattr(Way, "_is_at_it", lambda self, process: answers.append(ask(self, process)) or answers[-1])
    return answers


def test_a_silent_server_is_waited_for_no_longer_than_patience_lasts(url: str, proxy: Proxy, asked: list[bool]) -> None:
    """Where what is sent arrives and nothing comes back, the connection is cut, and another one is made later."""
    with Store(proxy.url(url)) as store:
        store.experiments()
        proxy.stall()
        with pytest.raises(Unreachable, match="can't be reached"):
            store.experiments()
        proxy.flow()
        assert [row.name for row in store.experiments()] == [NAME]
    assert not any(asked)


def test_a_lost_answer_is_found_out(url: str, proxy: Proxy, asked: list[bool]) -> None:
    """A server that has long done what it was asked for, as it says itself, has its connection cut."""
    with Store(proxy.url(url)) as store:
        store.experiments()
        proxy.hold()
        assert [row.name for row in store.experiments()] == [NAME]
    assert asked == [False]


def test_a_server_that_is_at_it_is_waited_for(url: str, proxy: Proxy, asked: list[bool]) -> None:
    """Where the server says that it is at it, as while it waits for a lock, its answer is waited for."""
    with Store(url) as other, Store(proxy.url(url)) as store, ThreadPoolExecutor(1) as pool:
        with other.transaction() as tx:
            tx.add_notes(NAME, ["first"])
            writing = pool.submit(store.add_notes, NAME, ["second"])
            wait_until(lambda: len(asked) >= 3)
        writing.result(60)
        assert store.experiment(NAME).notes == ("first", "second")
    assert all(asked)


@pytest.mark.parametrize("known", [True, False], ids=["connected", "connecting"])
def test_a_hurry_ends_all_waits(url: str, proxy: Proxy, known: bool) -> None:
    """Who wants to end at once waits no more, neither for an answer nor for a connection."""
    with Store(proxy.url(url)) as store, ThreadPoolExecutor(1) as pool:
        if not known:
            store._engine.dispose()
        proxy.stall()
        reading = pool.submit(store.experiments)
        for _ in range(2):
            store.hurry()
        assert isinstance(reading.exception(60), Unreachable)
        with pytest.raises(Unreachable):
            store.add_notes(NAME, ["late"])
    with Store(url) as later:
        assert later.experiment(NAME).notes == ()
