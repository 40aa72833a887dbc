"""What only PostgreSQL has: a server, users and rights, standbys, encodings."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Connection, make_url

from tests.postgres import FLEETING, Server, running_server
from tests.store.lives import NAME, add, create, report, start
from tunewell.spec.errors import ArgumentError, DataError, UserError
from tunewell.store import Store, dialect
from tunewell.store.copying import Database
from tunewell.store.errors import Cut, StoreError
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
        ({"password": ""}, "no password supplied", "Check the user and the password: PGPASSWORD and ~/.pgpass"),
        ({"username": "nobody"}, 'authentication failed for user "nobody"', "Check the user"),
        ({"database": "nothing"}, 'database "nothing" does not exist', "Check its name, or have it made"),
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


def test_a_server_that_crashes_forgets_no_report() -> None:
    """Whoever reported is not there to see the crash of a server elsewhere, and would not report again."""
    with running_server({**FLEETING, "wal_writer_delay": "10s"}) as server, server.new_database() as url:
        with Store(url) as store:
            create(store)
            add(store, 1)
            start(store, 1)
            report(store, 1, 1, (1, 0.5))
            server.stop(signal.SIGQUIT)
        server.start()
        with Store(url) as store:
            assert [one.step for one in store.reports(NAME, 1)] == [1]


def test_a_connection_that_is_ended(postgres: Server) -> None:
    """What the server says when it ends a connection is explained like any other error of the connection."""
    explained = explain(psycopg.errors.AdminShutdown("terminating connection"), "place")
    assert str(explained) == "place: the database can't be reached (terminating connection). Try again in a moment."
    explained = explain(errors.TransactionTimeout("terminating connection due to transaction timeout"), "place")
    assert "Raise its transaction_timeout" in str(explained)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.TransactionTimeout, "can't be reached (why)"),
        (errors.IdleInTransactionSessionTimeout, "can't be reached (why)"),
        (errors.QueryCanceled, "the server has cancelled a statement (why). Try again, or raise its statement_timeout"),
        (errors.UndefinedTable, "the server refused (why). Have its administrator see to it"),
        (errors.DataCorrupted, "the server refused (why)"),
        (errors.RaiseException, "the server refused (why)"),
        (errors.IoError, "the server refused (why)"),
        (errors.ObjectNotInPrerequisiteState, "the server refused (why)"),
        (errors.DiskFull, "the server has no room left (why)"),
        (errors.LockNotAvailable, "another process has been writing for too long"),
    ],
)
def test_what_a_server_refuses_is_no_matter_of_what_is_written(error: type[psycopg.Error], told: str) -> None:
    """Whatever a server has to say about itself is tried again, and explained."""
    explained = explain(error("why"), "place")
    assert isinstance(explained, StoreError) and told in str(explained)


@pytest.mark.parametrize("error", [errors.NumericValueOutOfRange, errors.UniqueViolation, errors.ProgramLimitExceeded])
def test_what_cannot_be_written_is_a_matter_of_its_own(error: type[psycopg.Error]) -> None:
    """What is wrong with what was to be written is not taken for an error of the server, which would be waited for."""
    assert explain(error("why"), "place") is None


def test_a_server_that_ends_what_takes_long(postgres: Server, made: str, guest: str) -> None:
    """A writer that the server cuts off for having waited for too long is told that, and may try again."""
    name = make_url(made).database
    postgres.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest", name or "")
    postgres.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO guest", name or "")
    for setting, told in (("statement_timeout", "has cancelled a statement"), ("transaction_timeout", "be reached")):
        postgres.execute(f"ALTER ROLE guest SET {setting} = '50ms'")
        with Store(made) as writer, Store(as_guest(made)) as waiting:
            with writer.transaction() as tx:
                tx.add_notes(NAME, ["in the way"])
                with pytest.raises(StoreError, match=told):
                    waiting.add_notes(NAME, ["late"])
            waiting.add_notes(NAME, ["written"])
        postgres.execute(f"ALTER ROLE guest RESET {setting}")


def test_a_table_that_is_gone_for_a_while(postgres: Server, made: str) -> None:
    """What fails while the server's administrator is at the tables is tried again, and fails no experiment."""
    name = make_url(made).database or ""
    with Store(made) as store:
        postgres.execute("ALTER TABLE event RENAME TO gone", name)
        with pytest.raises(StoreError, match=r'the server refused \(relation "event" does not exist\)'):
            create(store, "other")
        postgres.execute("ALTER TABLE gone RENAME TO event", name)
        create(store, "other")


def test_a_password_that_is_not_escaped(empty: str) -> None:
    """A URL in which the password's end can't be told is refused, and no part of the password is shown."""
    with pytest.raises(ArgumentError, match=r"more than one '@'.*write @ as %40") as caught:
        Store(f"postgresql://me:pass@{SECRET}@127.0.0.1/db")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "postgresql://me:SECRET@one:5432,two:5432/db",
            "it is no database URL. Write several hosts like postgresql://",
        ),
        ("postgresql://me:SECRET@one:five/db", "it is no database URL. Write it like"),
        ("postgresql://me:SECRET@one", "its URL names no database. Write it like"),
        ("postgresql://me:SECRET@one/", "its URL names no database. Write it like"),
        ("postgresql://me@one/db?pasword=SECRET", "its URL has an option 'pasword', which there is not. Did you mean"),
        ("postgresql://me@one/db?sslmod=require", "an option 'sslmod', which there is not. Did you mean 'sslmode'?"),
        ("postgresql://me@one/db?zzzzz=SECRET", "an option 'zzzzz', which there is not. Leave it out."),
        ("mysql://me:SECRET@one/db", "'mysql' is no kind of database that can be used. Write it like"),
    ],
)
def test_mistakes_in_urls(url: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a URL is told with what to write instead, at once, and no secret in it is shown."""
    monkeypatch.delenv("PGDATABASE", raising=False)
    with pytest.raises(ArgumentError) as caught:
        Store(url.replace("SECRET", SECRET), create=False)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def test_what_a_url_may_leave_to_others(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of database is written in any case; the database's name may come from where libpq takes it."""
    Store(made.replace("postgresql://", "POSTGRESQL://"), create=False).close()
    bare = make_url(made)
    monkeypatch.setenv("PGDATABASE", str(bare.database))
    Store(bare.set(database="").render_as_string(hide_password=False), create=False).close()


def test_no_right_to_make_tables(empty: str, guest: str) -> None:
    """Who may not make tables is told so; nothing is made."""
    told = complaint(as_guest(empty))
    assert "a right is missing (permission denied for schema public). To look, a role needs GRANT USAGE" in told


def test_no_right_to_write(postgres: Server, made: str, guest: str) -> None:
    """Who may only read reads, and is told so when he writes; who may not even read is told that."""
    assert "a right is missing (permission denied for table tunewell_version)" in complaint(as_guest(made))
    postgres.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest", str(make_url(made).database))
    with Store(as_guest(made), create=False) as store:
        assert [row.name for row in store.experiments()] == [NAME]
        with pytest.raises(DataError, match=r"a right is missing \(permission denied for table change\)"):
            create(store, "other")


def test_no_right_to_connect(postgres: Server, made: str, guest: str) -> None:
    """Who may not connect is told which right is missing."""
    postgres.execute(f"REVOKE CONNECT ON DATABASE {make_url(made).database} FROM PUBLIC")
    assert re.search(
        r"a right is missing \(permission denied for database .*\)\. .*GRANT CONNECT", complaint(as_guest(made))
    )


def test_no_right_to_the_schema(postgres: Server, made: str, guest: str) -> None:
    """Who may not use the schema is told so, whether he wants to read or to write."""
    postgres.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC", make_url(made).database or "")
    for create_ in (True, False):
        told = complaint(as_guest(made), create_)
        assert "a right is missing (there is no schema that this role may use). To look, a role needs GRANT" in told


@pytest.mark.parametrize("times", [1, 2])
def test_a_connection_that_is_cut_at_once(
    postgres: Server, made: str, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Who opens a database and is cut off tries once more, and no more than that."""
    name, check = make_url(made).database, dialect.PostgreSQL.check
    checks: list[object] = []

    def cut_off(self: dialect.PostgreSQL, connection: Connection) -> None:
        checks.append(self)
        if len(checks) <= times:
            postgres.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
        check(self, connection)

    monkeypatch.setattr(dialect.PostgreSQL, "check", cut_off)
    for open_ in (Store, Database):
        checks.clear()
        if times == 1:
            open_(made, False).close()
        else:
            with pytest.raises(Cut):
                open_(made, False)
        assert len(checks) == 2


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
