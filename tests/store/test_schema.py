"""Opening databases: new, old, newer, foreign, damaged, out of reach."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.pool import Pool

from tests.conftest import DATABASES
from tests.postgres import Server
from tests.store import writers
from tests.store.lives import NAME, add, create, report, run, start
from tests.store.test_durability import process
from tunewell.spec.errors import DataError, NotFoundError, SpecError
from tunewell.spec.states import TrialState
from tunewell.store import Store, schema
from tunewell.store.dialect import dialect_of

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    how = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("experiment", recreate=how) as table:
        table.add_column(sa.Column("shelf", sa.Text))
    op.execute({statement!r})
"""


@pytest.fixture(params=DATABASES)
def new_bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What makes databases of each kind, without tables, and gives their URLs."""
    if request.param == "sqlite":
        numbers = itertools.count(1)
        yield lambda: f"sqlite:///{tmp_path / f'home-{next(numbers)}' / 'tunewell.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(server.new_database())


@pytest.fixture
def bare(new_bare: Callable[[], str]) -> str:
    """URL of a database of each kind, without tables."""
    return new_bare()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """File of a database that is not there yet, in a folder that is not there yet."""
    return tmp_path / "home" / "tunewell.db"


def open_store(path: Path) -> Store:
    """Open the store in a file."""
    return Store(f"sqlite:///{path}")


def release_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str = "SELECT 1") -> None:
    """Let there be a newer version with a further migration that ends with `statement`."""
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.SCRIPTS, scripts)
    (scripts / "versions" / "0002_shelf.py").write_text(NEXT.format(statement=statement))
    monkeypatch.setattr(schema, "SCRIPTS", scripts)
    monkeypatch.setattr(schema, "HEAD", "0002")


def ask(url: str, query: str) -> list[Any]:
    """Return what a query finds in a database; do what it says."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            cursor = connection.exec_driver_sql(query)
            found = list(cursor) if cursor.returns_rows else []
            connection.commit()
    finally:
        engine.dispose()
    return found


def upgrade(url: str) -> str | None:
    """Upgrade a database of which somebody else has a backup."""
    dialect = dialect_of(url, create=False)
    engine = dialect.engine()
    try:
        return schema.bring_up_to_date(engine, dialect, create=False, backed_up=True)
    finally:
        engine.dispose()


def migrate(url: str) -> None:
    """Make the tables of a new database as migrations do, one after the other."""
    engine = dialect_of(url, create=True).engine()
    try:
        with engine.connect() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(schema.SCRIPTS))
            command.upgrade(config, schema.HEAD)
            connection.commit()
    finally:
        engine.dispose()


def described(url: str) -> list[set[Any]]:
    """Return tables, columns, constraints and indexes of a database, and the rows that it has from the beginning."""
    of_sqlite = ["SELECT type, name, tbl_name, sql FROM sqlite_master"]
    of_postgresql = [
        "SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length, is_nullable, "
        "column_default FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    ]
    rows = ["SELECT * FROM change", f"SELECT * FROM {schema.VERSION_TABLE}"]
    queries = of_sqlite if url.startswith("sqlite") else of_postgresql

    def plain(value: Any) -> Any:
        return " ".join(value.split()) if isinstance(value, str) else value

    return [{tuple(map(plain, row)) for row in ask(url, query)} for query in (*queries, *rows)]


def read(path: Path, query: str) -> list[Any]:
    """Read a file without the store."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


class TestMigrations:
    def test_the_newest_is_the_head(self) -> None:
        """The version that the store compares with is that of the newest migration."""
        config = Config()
        config.set_main_option("script_location", str(schema.SCRIPTS))
        assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]

    def test_what_is_made_at_once_is_what_migrations_make(self, new_bare: Callable[[], str]) -> None:
        """A new database is in all as if it had been made by the first version, and upgraded ever since."""
        new, old = new_bare(), new_bare()
        Store(new).close()
        migrate(old)
        assert described(new) == described(old)

    def test_upgrade_keeps_the_data_and_a_backup(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An older database is upgraded when it is opened, with all that is in it, and copied beside itself before."""
        with open_store(path) as store:
            create(store)
            run(store, 1, 0.5)
            add(store, 2)
            start(store, 2)
            report(store, 2, 1, (1, 0.25))
            trials = store.trials(NAME)
        release_next(tmp_path, monkeypatch)
        with open_store(path) as store:
            assert store.trials(NAME) == trials
            assert store.curves(NAME, "loss") == {2: {1: 0.25}}
            add(store, 3)
        assert read(path, "SELECT shelf FROM experiment") == [(None,)]
        assert read(path, "PRAGMA foreign_key_check") == []
        backup = path.with_name("tunewell.db.backup-0001")
        assert read(backup, "SELECT count(*) FROM trial") == [(2,)]
        assert read(backup, "SELECT version_num FROM tunewell_version") == [("0001",)]
        assert sorted(file.name for file in path.parent.iterdir()) == ["tunewell.db", backup.name]

    def test_new_database_has_no_backup(self, path: Path) -> None:
        """Making a database copies nothing."""
        open_store(path).close()
        assert [file.name for file in path.parent.iterdir()] == ["tunewell.db"]

    def test_without_a_backup_of_ours_an_upgrade_has_to_be_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Server
    ) -> None:
        """On a server, what holds rows is upgraded only by who says that there is a backup; what is empty, at once."""
        with postgres.new_database("tables") as url, postgres.new_database("tables") as empty:
            with Store(url) as store:
                create(store)
                run(store, 1, 0.5)
                trials = store.trials(NAME)
            release_next(tmp_path, monkeypatch)
            told = r"must be upgraded \(its tables are at 0001, this version needs 0002\).* Make one \(pg_dump\)"
            for _ in range(2):
                with pytest.raises(DataError, match=told) as caught:
                    Store(url)
                assert caught.value.kind == "backup-needed"
            assert ask(url, "SELECT version_num FROM tunewell_version") == [("0001",)]
            assert upgrade(url) == "0001"
            assert upgrade(url) == "0002"
            with Store(url) as store:
                assert store.trials(NAME) == trials
                add(store, 2)
            Store(empty).close()
            assert ask(empty, "SELECT version_num FROM tunewell_version") == [("0002",)]

    def test_failed_upgrade_leaves_all_as_it_was(
        self, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An upgrade that fails half-way is undone, and the older version goes on with the database."""
        with Store(database) as store:
            create(store)
        with monkeypatch.context() as newer:
            release_next(tmp_path, newer, "SELECT nonsense")
            with pytest.raises(Exception, match="nonsense"):
                upgrade(database)
        with pytest.raises(Exception, match="shelf"):
            ask(database, "SELECT shelf FROM experiment")
        with Store(database) as store:
            add(store, 1)

    def test_newer_database_is_refused(self, bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A database of a newer version is left alone; the error names both versions and the remedy."""
        with monkeypatch.context() as newer:
            release_next(tmp_path, newer)
            Store(bare).close()
        for open_ in (Store, upgrade):
            with pytest.raises(DataError, match=r": .* newer version .* 0002, .* 0001.* Upgrade Tunewell"):
                open_(bare)
        assert ask(bare, "SELECT version_num FROM tunewell_version") == [("0002",)]

    def test_a_version_that_never_was_is_refused(self, bare: str) -> None:
        """Tables that no version has written are not called those of a newer one."""
        Store(bare).close()
        ask(bare, "UPDATE tunewell_version SET version_num = '0000'")
        for open_ in (Store, upgrade):
            with pytest.raises(DataError, match=r"no version of Tunewell has written this database .* at '0000'"):
                open_(bare)

    @pytest.mark.parametrize("table", ["tunewell_version", "change"])
    def test_a_damaged_database_is_refused(self, bare: str, table: str) -> None:
        """Where a table is empty that never is, that is told."""
        Store(bare).close()
        ask(bare, f"DELETE FROM {table}")
        with pytest.raises(DataError, match=f"the database is damaged: its table '{table}' is empty. Put a backup"):
            Store(bare)

    def test_database_of_another_program_is_refused(self, bare: str) -> None:
        """Tables are never made among another program's."""
        (Path(bare.removeprefix("sqlite:///")).parent if bare.startswith("sqlite") else Path("/")).mkdir(exist_ok=True)
        ask(bare, "CREATE TABLE alembic_version (version_num VARCHAR(9))")
        for open_ in (Store, upgrade):
            with pytest.raises(DataError, match=r"tables of another program \(alembic_version"):
                open_(bare)
        with pytest.raises(Exception, match="experiment"):
            ask(bare, "SELECT * FROM experiment")

    def test_processes_open_a_new_home_at_once(self, bare: str) -> None:
        """Several processes that find no database, or one without tables, make one together."""
        with process("open", bare) as one, process("open", bare) as two, process("open", bare) as three:
            together = (one, two, three)
            for child in together:
                assert child.stdout is not None
                child.stdout.readline()
            for child in together:
                assert child.stdin is not None
                child.stdin.write("\n")
                child.stdin.flush()
            assert [child.wait(timeout=60) for child in together] == [0, 0, 0]
        with Store(bare) as store:
            assert {row.name for row in store.experiments()} == {f"by-{child.pid}" for child in together}

    def test_an_older_database_is_upgraded_once(
        self, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of several that find an older database, one upgrades it, and the others wait for that."""
        with Store(database) as store:
            create(store)
        release_next(tmp_path, monkeypatch)
        with ThreadPoolExecutor(4) as pool:
            assert sorted(map(str, pool.map(upgrade, [database] * 4))) == ["0001", "0002", "0002", "0002"]
        with Store(database) as store:
            add(store, 1)

    def test_only_an_older_database_is_opened_with_alembic(self, path: Path) -> None:
        """Opening what is new, or needs no migration, does not even import the tool for it."""
        script = (
            "import sys; from tunewell.store import Store\n"
            "for _ in range(2): Store(sys.argv[1]).close()\n"
            "print('alembic' in sys.modules)"
        )
        command = [sys.executable, "-c", script, f"sqlite:///{path}"]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


class TestTrouble:
    @pytest.mark.parametrize(
        "url",
        [
            "nonsense",
            "mysql://host/db",
            "sqlite://",
            "sqlite:///:memory:",
            "",
            "postgresql://h:x/d",
            "postgresql://h?port=x",
        ],
    )
    def test_url_that_is_none(self, url: str) -> None:
        """A URL that can't be used is refused with an example of a right one."""
        with pytest.raises(SpecError, match=r"database: .*Write it like sqlite:////folder/tunewell\.db"):
            Store(url)

    def test_missing_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the driver for PostgreSQL the error says how to install it."""
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(SpecError, match=r"driver .* not installed.*: pip install 'tunewell\[postgresql\]'$"):
            Store("postgresql://host/db")

    def test_password_is_not_told(self) -> None:
        """An error message about a database that can't be reached or used does not contain the password."""
        pytest.importorskip("psycopg", reason="the driver for PostgreSQL is not installed")
        with pytest.raises(DataError, match="can't be reached") as caught:
            Store("postgresql://user:geheim@127.0.0.1:1/db")
        assert "geheim" not in str(caught.value)

    @pytest.mark.parametrize("damage", ["header", "pages", "cut"])
    def test_damaged_file(self, path: Path, damage: str) -> None:
        """A damaged database is told as such, with its path and a remedy, not as a traceback of the driver."""
        with open_store(path) as store:
            create(store)
        content = path.read_bytes()
        broken = {
            "header": b"\x00" * 100 + content[100:],
            "pages": content[:4096] + b"\xff" * (len(content) - 4096),
            "cut": content[:6000],
        }
        path.write_bytes(broken[damage])
        with pytest.raises(DataError, match=r"tunewell\.db: .*(damaged|no SQLite).*Put a backup in its place"):  # noqa: SIM117
            with open_store(path) as store:
                store.experiments()

    def test_folder_under_a_file(self, tmp_path: Path) -> None:
        """A folder that can't be made is named, with the remedy."""
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match=r"file/home: the folder .* can't be made \(.*Choose another folder"):
            open_store(tmp_path / "file" / "home" / "tunewell.db")

    @pytest.fixture
    def locked_folder(self) -> Iterator[Path]:
        """A folder, outside of those that only its owner may enter, in which nothing may be made."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        shutil.rmtree(folder)

    def test_read_only_folder(self, locked_folder: Path) -> None:
        """In a read-only folder no database is made; the error names the path and the remedy."""
        names = ["new.db", "sub/new.db"]
        with process("unprivileged", *(f"sqlite:///{locked_folder / name}" for name in names)) as child:
            told, _ = child.communicate(timeout=60)
        for name, error in zip(names, told.splitlines(), strict=True):
            assert error.startswith(f"StoreError {(locked_folder / name).parent}")
            assert error.endswith("Choose another folder for the home.")

    @pytest.mark.parametrize("state", ["closed", "being written", "left by a kill"])
    def test_reading_without_permission_to_write(self, locked_folder: Path, state: str) -> None:
        """Who may only read a database reads all of it, leaves no trace, and is told so when he writes."""
        path = locked_folder / "present.db"
        locked_folder.chmod(0o755)
        store = open_store(path)
        create(store)
        if state == "closed":
            store.close()
        elif state == "left by a kill":
            shutil.copytree(locked_folder, locked_folder / "copy")
            path = locked_folder / "copy" / "present.db"
        files = sorted(path.parent.glob("present.db*"))
        for file in files:
            file.chmod(0o444)
        path.parent.chmod(0o555)
        locked_folder.chmod(0o555)
        with process("read", f"sqlite:///{path}") as child:
            told, _ = child.communicate(timeout=60)
        store.close()
        names, error = told.splitlines()
        assert names == NAME
        assert error.startswith(f"StoreError {path}: the database can't be written (read-only).")
        assert len(files) == (1 if state == "closed" else 3)
        if state != "being written":
            assert sorted(path.parent.glob("present.db*")) == files
        locked_folder.chmod(0o755)
        path.parent.chmod(0o755)

    def test_nothing_is_made_where_there_is_nothing_to_read(self, path: Path) -> None:
        """A database that is to be read and is not there is an error, and is still not there afterwards."""
        with pytest.raises(NotFoundError, match=r"tunewell\.db: there is no such database"):
            Store(f"sqlite:///{path}", create=False)
        assert not path.parent.exists()

    def test_full_disk(self, path: Path) -> None:
        """When the disk is full the error says so, nothing is half written, and with space writing goes on."""
        with open_store(path) as store:
            create(store)
            writers.begin(store, "steps")

        def limit(connection: sqlite3.Connection, _: object) -> None:
            pages = path.stat().st_size // 4096
            connection.execute(f"PRAGMA max_page_count={pages + 2}")

        event.listen(Pool, "connect", limit)
        try:
            with open_store(path) as store:
                with pytest.raises(DataError, match=r"tunewell\.db: the disk is full. Free some space"):
                    for number in range(1, 1000):
                        writers.step(store, "steps", number)
                written = store.counts("steps")
        finally:
            event.remove(Pool, "connect", limit)
        with open_store(path) as store:
            assert store.counts("steps") == written
            assert written[TrialState.RUNNING] == 1
            writers.step(store, "steps", sum(written.values()))
