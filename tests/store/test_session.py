"""Owning things by a connection to PostgreSQL, and hearing of changes there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import make_url

from tests.postgres import Server
from tests.schedulers.bench import wait_until
from tests.store.lives import NAME, create
from tunewell.spec.errors import ConflictError
from tunewell.store import Store
from tunewell.store.errors import StoreError
from tunewell.store.session import _HOLDER, Lease, Owned, Session


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """A database on a server."""
    with postgres.new_database("tables") as url:
        yield url


@pytest.fixture
def stores(url: str) -> Iterator[tuple[Store, Store]]:
    """One database as two processes see it, with the experiment NAME in it."""
    with Store(url) as first, Store(url) as second:
        create(first)
        yield first, second


def session(store: Store) -> Session:
    """Return what proves the ownership of a store's process."""
    assert store.session is not None
    return store.session


def own(stack: ExitStack, store: Store, kind: Owned = "experiment", number: int = 1) -> Lease | str:
    """Own something until the stack is closed; return who has it, if it can't be had."""
    return stack.enter_context(session(store).own(kind, number, 0.0))


def cut(server: Server, url: str) -> None:
    """End all connections to a database."""
    name = make_url(url).database
    server.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")


def write(store: Store) -> None:
    """Write something, for as long as it takes."""

    def written() -> bool:
        try:
            store.add_notes(NAME, ["written"])
        except StoreError:
            return False
        return True

    wait_until(written)


def test_one_owner(stores: tuple[Store, Store]) -> None:
    """What one process owns, another one gets only after it; each is told who has it."""
    first, second = stores
    with ExitStack() as stack:
        assert isinstance(own(stack, first), Lease)
        assert str(own(stack, second)).startswith(f"{os.getpid()} on ")
        assert isinstance(own(stack, first), str), "a process is one owner"
        assert isinstance(own(stack, second, "job"), Lease)
        assert isinstance(own(stack, second, number=2), Lease)
        assert (first.owned("experiment"), first.owned("job")) == ({1, 2}, {1})
    assert first.owned("experiment") == first.owned("job") == frozenset()
    with ExitStack() as stack:
        assert isinstance(own(stack, second), Lease)


def test_the_same_number_in_another_database(postgres: Server, url: str, stores: tuple[Store, Store]) -> None:
    """Who has something is looked for in this database alone."""
    first, second = stores
    with postgres.new_database("tables") as elsewhere, Store(elsewhere) as other, ExitStack() as stack:
        own(stack, first)
        own(stack, other)
        values = {"kind": session(second)._class("experiment"), "number": 1}
        assert len(session(second)._read(_HOLDER, values)) == 1


def test_an_owner_without_a_name(stores: tuple[Store, Store]) -> None:
    """Of a process whose name the server does not tell, the role is told."""
    first, second = stores
    with ExitStack() as stack:
        own(stack, first)
        with session(first).connection() as connection:
            connection.exec_driver_sql("SET application_name = ''")
            connection.commit()
        assert "of the server, for the role tunewell" in str(own(stack, second))


def test_many_serve(stores: tuple[Store, Store]) -> None:
    """Any number of processes serve; it is seen as long as one does."""
    first, second = stores
    with ExitStack() as stack:
        assert isinstance(own(stack, first, "serve", 0), Lease)
        with ExitStack() as inner:
            assert isinstance(own(inner, second, "serve", 0), Lease)
        assert second.owned("serve")
    assert not second.owned("serve")


def test_schemas_are_apart(postgres: Server, url: str) -> None:
    """Two stores in one database, each in a schema of its own, own what is theirs."""
    name = make_url(url).database
    assert name is not None
    postgres.execute("CREATE SCHEMA other", name)
    other = make_url(url).update_query_dict({"options": "-csearch_path=other"}).render_as_string(hide_password=False)
    with Store(url) as first, Store(other) as second, ExitStack() as stack:
        assert isinstance(own(stack, first), Lease)
        assert isinstance(own(stack, second), Lease)


def test_a_cut_connection_comes_back_with_its_locks(postgres: Server, url: str, stores: tuple[Store, Store]) -> None:
    """Whoever is cut off goes on as the owner if nobody else has taken what was his."""
    first, second = stores
    with ExitStack() as stack:
        lease = own(stack, first)
        cut(postgres, url)
        write(first)
        assert isinstance(lease, Lease) and lease.held
        assert isinstance(own(stack, second), str)


def test_an_idle_owner_comes_back_by_itself(postgres: Server, url: str, stores: tuple[Store, Store]) -> None:
    """Who has nothing to write is the owner again before long."""
    first, second = stores
    with ExitStack() as stack:
        lease = own(stack, first)
        cut(postgres, url)
        wait_until(lambda: 1 in second.owned("experiment"))
        assert isinstance(lease, Lease) and lease.held


def test_what_is_lost_can_be_let_go_of(postgres: Server, url: str, stores: tuple[Store, Store]) -> None:
    """Whoever finds out that it is cut off, and then lets go, does so without an error."""
    first, second = stores
    with ExitStack() as stack:
        own(stack, first)
        with session(first)._writing:  # it does not come back by itself
            connection = session(first)._connection
            assert connection is not None
            connection.exec_driver_sql("SELECT 1")
            cut(postgres, url)
            with pytest.raises(StoreError):
                connection.exec_driver_sql("SELECT 1")
    with ExitStack() as stack:
        assert isinstance(own(stack, second), Lease)


def test_what_others_have_taken_is_lost(postgres: Server, url: str, stores: tuple[Store, Store]) -> None:
    """Whoever comes back too late is told so, and keeps the rest."""
    first, second = stores
    with ExitStack() as stack:
        lost, kept = own(stack, first, number=1), own(stack, first, number=2)
        with session(first)._writing:  # it can't come back meanwhile
            cut(postgres, url)
            wait_until(lambda: isinstance(own(stack, second, number=1), Lease))
        write(first)
        assert isinstance(lost, Lease) and not lost.held
        assert isinstance(kept, Lease) and kept.held
        assert second.owned("experiment") == {1, 2}


def test_an_owner_that_falls_silent_is_none(stores: tuple[Store, Store]) -> None:
    """The server ends the connection of a process that is stopped, and another one can be the owner."""
    first, second = stores
    with ExitStack() as stack:
        own(stack, first)
        with session(first)._writing:  # it says nothing
            wait_until(lambda: isinstance(own(stack, second), Lease))


def test_an_owner_with_nothing_to_do_stays_one(url: str, stores: tuple[Store, Store]) -> None:
    """The server hears from an owner that writes nothing, for longer than it would wait for one that is silent."""
    first, second = stores
    with ExitStack() as stack:
        lease = own(stack, first)
        over = threading.Event()
        over.wait(8.0)  # what is tested is that time goes by
        assert isinstance(lease, Lease) and lease.held
        assert isinstance(own(stack, second), str)


def test_news(stores: tuple[Store, Store]) -> None:
    """Whoever asks is told at once of what others have written, and now and then anyway."""
    first, second = stores
    assert first.nudged() and second.nudged()
    wait_until(lambda: not second.nudged())
    version = second.version()
    first.add_notes(NAME, ["news"])
    wait_until(second.nudged)
    assert second.version() > version


def test_a_file_needs_no_news(tmp_path: os.PathLike[str]) -> None:
    """A database in a file is looked at each time."""
    with Store(f"sqlite:///{tmp_path}/tunewell.db") as store:
        assert store.nudged() and store.nudged()
        assert store.session is None and store.owned("experiment") == frozenset()


def test_a_transaction_that_could_not_begin_leaves_nothing(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner whose transaction had to wait for too long, or was given up, writes the next one."""
    first, second = stores
    with ExitStack() as stack:
        own(stack, first)
        with session(first).connection() as connection:
            connection.exec_driver_sql("SET lock_timeout = '50ms'")
        with second.transaction() as tx:
            tx.add_notes(NAME, ["in the way"])
            with pytest.raises(ConflictError), first.transaction() as late:
                late.add_notes(NAME, ["late"])
        with pytest.raises(RuntimeError), first.transaction() as given_up:
            given_up.take_over(NAME)
            raise RuntimeError
        first.add_notes(NAME, ["written"])
        assert first.experiment(NAME).notes == ("in the way", "written")
        assert first.experiment(NAME).term == 0
