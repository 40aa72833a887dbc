"""What survives the death of processes, and how processes get on with each other."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from tests.store import writers
from tests.store.lives import NAME, add, create, report, start
from tunewell.spec.errors import ConflictError, DataError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    """URL of a SQLite database that is not there yet, for what only files have."""
    return f"sqlite:///{tmp_path / 'tunewell.db'}"


@contextmanager
def process(what: str, *urls: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of `writers` in a process of its own; it doesn't outlive the block."""
    command = [sys.executable, writers.__file__, what, *urls]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        try:
            yield child
        finally:
            child.kill()


def check_ledger(store: Store, name: str) -> int:
    """Assert that all trials but the last succeeded with all that belongs to it; return the last one's number."""
    trials = list(store.iterate_trials(name))
    assert [row.number for row in trials] == list(range(1, len(trials) + 1))
    *ended, last = trials
    assert (last.state, last.value, store.reports(name, last.number)) == (TrialState.RUNNING, None, [])
    assert all(row.state is TrialState.SUCCEEDED and row.value == row.number / 2 for row in ended)
    assert store.curves(name, "loss") == {row.number: {1: row.number / 2} for row in ended}
    told = [(entry.kind, entry.number) for entry in store.history(name)]
    expected = [("suggested", 1)]
    for row in ended:
        expected += [("ended", row.number), ("suggested", row.number + 1)]
    assert told == expected
    return last.number


def test_killed_between_transactions(database: str) -> None:
    """Whatever was acknowledged before a SIGKILL at any moment is there afterwards, and nothing is half there."""
    for acknowledged in (1, 7):
        with process("write", database) as child:
            assert child.stdout is not None
            number = [int(child.stdout.readline()) for _ in range(acknowledged)][-1]
        with Store(database) as store:
            assert check_ledger(store, "steps") > number


def test_killed_between_statements(database: str) -> None:
    """A process killed before any statement of a transaction leaves all of it undone."""
    with process("die", database) as child:
        assert child.wait(timeout=60) == 0
    with Store(database) as store:
        last = {row.name: check_ledger(store, row.name) for row in store.experiments()}
    survivor = f"dies-at-{len(last)}"
    assert len(last) > 5
    assert {name for name, number in last.items() if number == 2} == {survivor}


def test_two_processes_write_at_once(database: str) -> None:
    """Writers wait for each other: none fails, none loses anything."""
    with Store(database) as store, process("write", database) as child:
        assert child.stdout is not None
        child.stdout.readline()
        writers.begin(store, "mine")
        for number in range(1, 41):
            writers.step(store, "mine", number)
        theirs = int(child.stdout.readline())
        child.kill()
        child.wait()
        assert check_ledger(store, "mine") == 41
        assert check_ledger(store, "steps") > theirs


def test_waits_for_a_lock_but_not_for_ever(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is held for too long is told as such, and changes nothing; when it is free, writing goes on."""
    monkeypatch.setattr("tunewell.store.dialect.LOCK_SECONDS", 0.05)
    with Store(database) as store, Store(database) as other:
        create(store)
        with other.transaction() as tx:
            tx.add_notes(NAME, ["written meanwhile"])
            with pytest.raises(ConflictError, match=r": another process has been writing .*for too long"):
                add(store, 1)
        add(store, 1)
        assert [row.number for row in store.trials(NAME)] == [1]


def test_threads_write_in_turn(database: str) -> None:
    """Threads of one process that write at once wait for each other."""
    with Store(database) as store:
        names = ["a", "b", "c"]

        def write(name: str) -> None:
            writers.begin(store, name)
            for number in range(1, 11):
                writers.step(store, name, number)

        threads = [threading.Thread(target=write, args=[name]) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [check_ledger(store, name) for name in names] == [11, 11, 11]


def test_what_waits_for_the_disk(database: str) -> None:
    """Transitions are written with full durability; in a file, a transaction of reports and elapsed time is cheaper."""
    levels: list[str] = []

    def note_level(connection: Connection) -> None:
        query = "PRAGMA synchronous" if connection.dialect.name == "sqlite" else "SHOW synchronous_commit"
        driver: Any = connection.connection.driver_connection
        levels.append(str(driver.execute(query).fetchone()[0]))

    with Store(database) as store:
        create(store)
        add(store, 1)
        event.listen(Engine, "commit", note_level)
        try:
            start(store, 1)
            report(store, 1, 1, (1, 0.5))
            with store.transaction() as tx:
                tx.add_elapsed(NAME, 1.0)
            with store.transaction() as tx:
                tx.add_elapsed(NAME, 1.0)
                tx.lose_attempt(AttemptKey(NAME, 1, 1), AttemptEnd(cause=Cause.KILLED))
        finally:
            event.remove(Engine, "commit", note_level)
    full, cheap = ("2", "1") if database.startswith("sqlite") else ("on", "on")
    assert levels == [full, cheap, cheap, full]


def test_the_log_is_written_ahead(url: str) -> None:
    """SQLite's readers and its writer don't wait for each other."""
    with Store(url), closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_was_moved_away_is_not_written_to(url: str, tmp_path: Path) -> None:
    """A database file that is gone under an open store is told at the next write; put back, it is written on."""
    path, aside = tmp_path / "tunewell.db", tmp_path / "aside.db"
    with Store(url) as store:
        create(store)
        path.rename(aside)
        with pytest.raises(DataError, match=r"tunewell\.db: the database file was removed or replaced"):
            add(store, 1)
        aside.rename(path)
        add(store, 1)
        assert [row.number for row in store.trials(NAME)] == [1]


def test_a_file_that_was_replaced_is_not_written_to(url: str, tmp_path: Path) -> None:
    """An open store writes neither to the file that it had nor to the one that took its place."""
    path, other = tmp_path / "tunewell.db", tmp_path / "other.db"
    Store(f"sqlite:///{other}").close()
    with Store(url) as store:
        create(store)
        other.replace(path)
        content = path.read_bytes()
        with pytest.raises(DataError, match=r"tunewell\.db: the database file was removed or replaced"):
            add(store, 1)
        assert path.read_bytes() == content


def test_no_empty_database_is_made_where_one_was_removed(url: str, tmp_path: Path) -> None:
    """A new connection of an open store finds the same file as the first one, or says that it is gone."""
    path = tmp_path / "tunewell.db"
    with Store(url) as store, ThreadPoolExecutor() as pool:
        create(store)
        path.unlink()
        with store._engine.connect(), pytest.raises(DataError, match="was removed or replaced"):
            pool.submit(store.experiments).result()
    assert not path.exists()
