"""The proxy breaks connections to PostgreSQL as tests want them broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.postgres import Server, running_server
from tests.proxy import Proxy, proxy_before
from tests.schedulers.bench import wait_until


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """URL of a new database with a table `seen` of numbers."""
    with postgres.new_database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE seen (number INTEGER)")
        yield url


@pytest.fixture
def proxy(postgres: Server) -> Iterator[Proxy]:
    """A proxy before the server."""
    with proxy_before(postgres) as proxy:
        yield proxy


def seen(database: str) -> list[int]:
    """Return what is in the table."""
    with psycopg.connect(database) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM seen ORDER BY number").fetchall()]


def note(connection: psycopg.Connection, number: int) -> None:
    """Add a number to the table, in a transaction."""
    connection.execute("INSERT INTO seen VALUES (%s)", [number])
    connection.commit()


def test_what_is_not_broken_goes_through(proxy: Proxy, database: str) -> None:
    """A proxy that was told nothing changes nothing, and ends with its connections."""
    with psycopg.connect(proxy.url(database)) as connection:
        note(connection, 1)
        (text,) = connection.execute("SELECT repeat('x', 1000000)").fetchone() or ("",)
        assert len(text) == 1000000
        assert proxy.connections == 1
    wait_until(lambda: proxy.connections == 0)
    assert seen(database) == [1]


def test_cut(proxy: Proxy, database: str) -> None:
    """A cut connection is lost with its transaction; a new one can be made at once."""
    with psycopg.connect(proxy.url(database)) as connection:
        connection.execute("INSERT INTO seen VALUES (1)")
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    with psycopg.connect(proxy.url(database)) as connection:
        note(connection, 2)
    assert seen(database) == [2]


def test_refuse(proxy: Proxy, database: str) -> None:
    """No connection lives, and none is made, until they are accepted again."""
    with psycopg.connect(proxy.url(database)) as connection:
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError):
            note(connection, 1)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(proxy.url(database))
    proxy.accept()
    with psycopg.connect(proxy.url(database)) as connection:
        note(connection, 2)
    assert seen(database) == [2]


def test_stall(proxy: Proxy, database: str) -> None:
    """What is sent during a stall arrives when it ends, and so does its answer."""
    with psycopg.connect(proxy.url(database)) as connection:
        note(connection, 1)
        proxy.stall()
        sender = threading.Thread(target=note, args=(connection, 2))
        sender.start()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(proxy.url(database), connect_timeout=2)
        assert sender.is_alive() and seen(database) == [1]
        proxy.flow()
        sender.join(60)
    assert seen(database) == [1, 2]


def test_a_stalled_connection_can_be_cut(proxy: Proxy, database: str) -> None:
    """What was held back when a stalled connection is cut never arrives."""
    with psycopg.connect(proxy.url(database)) as connection:
        proxy.stall()
        errors: list[Exception] = []

        def send() -> None:
            try:
                note(connection, 1)
            except psycopg.OperationalError as error:
                errors.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        proxy.cut()
        sender.join(60)
        proxy.flow()
    assert len(errors) == 1
    assert seen(database) == []


def test_switch(proxy: Proxy, database: str) -> None:
    """New connections go to the other server, and those to the former one are cut."""
    with running_server() as other, other.new_database() as theirs:
        with psycopg.connect(proxy.url(database)) as connection:
            proxy.switch(other)
            with pytest.raises(psycopg.OperationalError):
                note(connection, 1)
        with psycopg.connect(proxy.url(theirs)) as connection:
            (port,) = connection.execute("SELECT inet_server_port()").fetchone() or (0,)
    assert port == other.port
    assert seen(database) == []


def test_a_server_that_is_down(proxy: Proxy, database: str) -> None:
    """Behind the proxy a server that ends takes its connections along, and none are made while it is down."""
    del database
    with running_server() as other, other.new_database() as url:
        proxy.switch(other)
        with psycopg.connect(proxy.url(url)) as connection:
            other.stop()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(proxy.url(url))
        other.start()
        with psycopg.connect(proxy.url(url)) as connection:
            connection.execute("SELECT 1")


@pytest.mark.parametrize("prepared", [False, True])
def test_lost_answer(proxy: Proxy, database: str, prepared: bool) -> None:
    """A commit whose answer is lost is done, and its connection gone; others are not touched."""
    with psycopg.connect(proxy.url(database)) as connection, psycopg.connect(proxy.url(database)) as other:
        proxy.lose_answer()
        connection.execute("INSERT INTO seen VALUES (1)", prepare=prepared)
        connection.execute("SELECT 'COMMIT'")
        assert proxy.commits == 0
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        note(other, 2)
    assert proxy.commits == 1
    assert seen(database) == [1, 2]


def test_lost_answer_of_a_certain_transaction(proxy: Proxy, database: str) -> None:
    """Only the transaction that is meant is watched for; one that is undone is none."""
    with psycopg.connect(proxy.url(database)) as connection:
        proxy.lose_answer(about=b"seen")
        connection.execute("INSERT INTO seen VALUES (1)")
        connection.rollback()
        connection.execute("SELECT 1")
        connection.commit()
        with pytest.raises(psycopg.OperationalError):
            note(connection, 2)
    assert seen(database) == [2]


def test_act_at_commit(proxy: Proxy, database: str) -> None:
    """What is to be done at a commit is done when others see it and its client does not know yet."""
    found: list[list[int]] = []
    with psycopg.connect(proxy.url(database)) as connection:
        proxy.at_commit(lambda: found.append(seen(database)))
        note(connection, 1)
        note(connection, 2)
    assert found == [[1]]
