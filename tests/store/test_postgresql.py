"""What only PostgreSQL has: a server, users and rights, standbys, encodings."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from tests.postgres import Server
from tests.store.lives import NAME, create
from tunewell.spec.errors import ArgumentError, DataError, UserError
from tunewell.store import Store, dialect
from tunewell.store.postgresql_errors import explain

SECRET = "open-sesame"


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    """URL of a database without tables."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture
def made(postgres: Server) -> Iterator[str]:
    """URL of a database with tables and an experiment."""
    with postgres.new_database("tables") as url:
        with Store(url) as store:
            create(store)
        yield url


@pytest.fixture
def guest(postgres: Server) -> Iterator[str]:
    """A user who may connect, and nothing else."""
    postgres.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
    yield "guest"
    for (database,) in postgres.execute("SELECT datname FROM pg_database WHERE datallowconn"):
        postgres.execute("DROP OWNED BY guest", str(database))
    postgres.execute("DROP ROLE guest")


def as_guest(url: str) -> str:
    """Return the URL for the guest."""
    return make_url(url).set(username="guest", password=SECRET).render_as_string(hide_password=False)


def complaint(url: str, create: bool = True) -> str:
    """Return what is told of a database that can't be opened: one line without a password."""
    with pytest.raises(UserError) as caught:
        Store(url, create)
    told = str(caught.value)
    assert "\n" not in told and SECRET not in told + repr(caught.value)
    return told


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        ({"port": 1}, "Connection refused", "Check the URL, and that the server runs"),
        ({"host": "nowhere.invalid"}, "failed to resolve host 'nowhere.invalid'", "Check the URL"),
        (
            {"password": SECRET},
            'password authentication failed for user "tunewell"',
            "Check the user",
        ),
        ({"password": ""}, "no password supplied", "Check the user, and the password in TUNEWELL_DATABASE or"),
        ({"username": "nobody"}, 'authentication failed for user "nobody"', "Check the user"),
        ({"database": "nothing"}, 'database "nothing" does not exist', "Check its name, or have it made"),
        ({"query": {"pasword": SECRET}}, 'invalid connection option "pasword"', "Check the options in the URL"),
        ({"query": {"service": "none"}}, "service", "Check ~/.pg_service.conf"),
        ({"query": {"sslmode": "require"}}, "does not support SSL", "Check `sslmode`"),
        ({"query": {"options": f"-c nothing={SECRET}"}}, 'unrecognized .* "nothing"', "Check the options in the URL"),
    ],
)
def test_a_database_that_cannot_be_reached(
    postgres: Server, empty: str, change: dict[str, object], reason: str, remedy: str
) -> None:
    """Why it can't be reached is told in a line, with what to do about it."""
    url = make_url(empty).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]
    assert re.search(rf"^postgresql://.*: the database can't be reached \(.*{reason}.*\)\. {remedy}", complaint(url))


def test_a_connection_that_is_ended(postgres: Server) -> None:
    """What the server says when it ends a connection is explained like any other error of the connection."""
    explained = explain(psycopg.errors.AdminShutdown("terminating connection"), "place")
    assert str(explained).startswith("place: the database can't be reached (terminating connection).")


def test_a_password_that_is_not_escaped(empty: str) -> None:
    """A URL in which the password's end can't be told is refused, and no part of the password is shown."""
    with pytest.raises(ArgumentError, match=r"more than one '@'.*write @ as %40") as caught:
        Store(f"postgresql://me:pass@{SECRET}@127.0.0.1/db")
    assert SECRET not in str(caught.value)


def test_no_right_to_make_tables(empty: str, guest: str) -> None:
    """Who may not make tables is told so; nothing is made."""
    told = complaint(as_guest(empty))
    assert "a right is missing (permission denied for schema public). Ask the database's owner" in told


def test_no_right_to_write(postgres: Server, made: str, guest: str) -> None:
    """Who may only read reads, and is told so when he writes; who may not even read is told that."""
    assert "a right is missing (permission denied for table tunewell_version)" in complaint(as_guest(made))
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest", str(make_url(made).database))
    with Store(as_guest(made), create=False) as store:
        assert [row.name for row in store.experiments()] == [NAME]
        with pytest.raises(DataError, match=r"a right is missing \(permission denied for table change\)"):
            create(store, "other")


def test_a_standby(made: str, empty: str) -> None:
    """Where nothing can be written, reading works, and writing names the remedy."""
    read_only = "?options=-c%20default_transaction_read_only%3Don"
    with Store(made + read_only) as store:
        assert [row.name for row in store.experiments()] == [NAME]
        with pytest.raises(DataError, match=r"it is a standby, or read-only \(.*\)\. Name the primary server"):
            create(store, "other")
    assert "it is a standby, or read-only" in complaint(empty + read_only)


def test_an_old_server(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is older than what was tested is refused, with both versions."""
    monkeypatch.setattr(dialect, "OLDEST_SERVER", 999)
    assert re.search(r"the server is PostgreSQL \d\d\. Use PostgreSQL 999 or newer", complaint(empty))


def test_an_encoding_that_cannot_hold_every_text(postgres: Server) -> None:
    """A database that is not in UTF-8 is refused."""
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    try:
        url = postgres.url("latin").render_as_string(hide_password=False)
        assert "the database's encoding is LATIN1, which can't hold every text. Make another one" in complaint(url)
    finally:
        postgres.execute("DROP DATABASE latin")


def test_the_encoding_of_the_client_is_ours(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are sent in UTF-8, whatever the environment says."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Store(made) as store:
        create(store, "数字")
        assert store.find_experiment("数字") is not None


def test_nothing_is_made_where_there_is_nothing_to_read(postgres: Server, empty: str) -> None:
    """A database that is to be read and has no tables is an error, and has none afterwards."""
    assert "there is nothing of Tunewell in this database yet" in complaint(empty, create=False)
    tables = "SELECT 1 FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.execute(tables, str(make_url(empty).database)) == []
