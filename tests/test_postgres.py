"""The servers of tests crash, come back and stand in for each other without losing what was committed."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psycopg
import pytest

from tests.postgres import Server, running_server
from tests.schedulers.bench import wait_until


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, with a table of numbers."""
    with running_server() as server:
        server.execute("CREATE TABLE seen (number INTEGER)")
        yield server


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_a_server_starts_again(server: Server, how: signal.Signals) -> None:
    """However a server ended, it has after its next start what was committed before."""
    server.execute("INSERT INTO seen VALUES (1)")
    server.stop(how)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        server.execute("SELECT 1")
    server.start()
    assert server.execute("SELECT number FROM seen") == [(1,)]


def test_a_standby_takes_over(server: Server) -> None:
    """A standby has all that was committed when its primary crashes, and can be written once it is promoted."""
    with server.standby() as standby:
        for number in range(20):
            server.execute(f"INSERT INTO seen VALUES ({number})")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.execute("INSERT INTO seen VALUES (20)")
        server.stop(signal.SIGQUIT)
        standby.promote()
        standby.execute("INSERT INTO seen VALUES (20)")
        assert standby.execute("SELECT count(*) FROM seen") == [(21,)]


def test_a_server_goes_on_without_its_standby(server: Server) -> None:
    """When a standby is gone, its primary waits for it no more."""
    with server.standby():
        pass
    server.execute("INSERT INTO seen VALUES (1)")


def test_ended_clients(postgres: Server) -> None:
    """The connections to a database are known, and can be ended one by one."""
    with postgres.new_database() as url, psycopg.connect(url) as first, psycopg.connect(url) as other:
        database = first.info.dbname
        assert postgres.clients(database) == sorted([first.info.backend_pid, other.info.backend_pid])
        postgres.end_client(first.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            first.execute("SELECT 1")
        wait_until(lambda: postgres.clients(database) == [other.info.backend_pid])
