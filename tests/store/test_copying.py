"""Moving what is on record from one database to another, of either kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, select, update

from tests.postgres import Server
from tests.store.lives import NAME, add, create, report, run, start
from tests.store.notified import CHANNEL, DELIVERY
from tests.store.test_durability import process
from tunewell.spec.errors import ConflictError, DataError, NotFoundError
from tunewell.store import Store, copying, schema
from tunewell.store.copying import Database, move
from tunewell.store.errors import Busy, Moved
from tunewell.store.rows import AllowedHostRow, CodeRow, DataSetRow, HomeRow, ModelRow, ModelVersionRow, UploadRow
from tunewell.store.tables import change, experiment, metadata, trial

TEXT = "größe 数字 \u2028 🎛 'x' \"y\" \\ %s {z}"
PAIRS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")]


@pytest.fixture(params=PAIRS, ids=" to ".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URLs of two databases, the first with rows in it, the second empty."""
    server: Server = request.getfixturevalue("postgres")
    with server.new_database("tables") as one:
        names = zip(request.param, "ab", strict=True)
        urls = [one if kind == "postgresql" else f"sqlite:///{tmp_path / name}.db" for kind, name in names]
        with Store(urls[0]) as store:
            fill(store)
        yield urls[0], urls[1]


def fill(store: Store) -> None:
    """Put something of everything into a store."""
    create(store)
    store.set_home(HomeRow("1" * 32, f"/home/{TEXT}"))
    big = {
        "text": TEXT,
        "escaped": "\0\udc80",
        "big": 2**80,
        "float": 1.0,
        "tiny": 5e-324,
        "n": -0.0,
        "list": [None, True],
    }
    store.create_experiment("größe", {"z": 1, "a": big, "objective": {"goal": "minimize"}}, {}, {"name": TEXT}, 1e-9)
    store.add_notes(NAME, [TEXT, "second"])
    for number in range(1, 8):
        run(store, number, number / 3, seconds=0.1, peak_memory_bytes=2**52 + number, detail=TEXT)
    add(store, 8)
    start(store, 8)
    report(store, 8, 1, (1, float("inf")), (2**62, 0.1))
    with store.transaction() as tx:
        first = tx.add_job("report", NAME, {"text": TEXT}, "ada", None)
        tx.add_job("evaluate", NAME, {}, TEXT, first)
        tx.add_job("check", None, big, "ada", None)
        for key in ("b", "A", "ä", "Z"):
            tx.answer("ada", key, "create", "f", {"answer": TEXT})
        tx.add_user("ada", "user", run_code=True)
        tx.add_token("ada", "token", "cd" * 32, TEXT, 2.0)
        tx.add_audit("ada", "::1", "create", TEXT, "done", big)
        tx.add_use("ada", NAME, 1.5, 2.5)
        tx.add_upload(UploadRow("ef" * 16, "ada", TEXT, 2**62, None, 1.0, None))
        tx.add_dataset(DataSetRow(0, "ada/d", "ada", "team", "ab" * 32, "", 2**62, 1, None, 1.0, None))
        tx.add_code(CodeRow("ab" * 32, "ada", 2**40, 1, 1.0))
        model = ModelRow(0, "ada/m", "ada", "team", 0, 0, 0, 1.0, None)
        tx.publish(model, ModelVersionRow(0, 0, "ab" * 32, 2**40, 2, "ada", TEXT, 1.0, big))
        tx.allow_folder(f"/data/{TEXT}", 1.0)
        tx.allow_host(AllowedHostRow("*.example.org", 443, False, True, 1.0))
        made = tx.add_channel(CHANNEL)
        tx.add_delivery(replace(DELIVERY, channel_id=made))
        tx.create_experiment("ada/e", {"dataset": f"ada/d@{'ab' * 32}"}, {}, {})
        tx.set_disk({"budget_bytes": 2**50})
        tx.add_home_event("disk_low", {"free_bytes": 0})
        tx.add_request(NAME, "stop", key=TEXT)
        tx.add_result(NAME, "model", 1, None, big, "jobs/1/m", "ab" * 32, first)


def everything(url: str) -> dict[str, list[str]]:
    """Return all rows of all tables but the mark of a move, so that what is not the same differs."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
            if table is not change
        }
    engine.dispose()
    return found


def place_of(url: str) -> str:
    """Return what people call a database."""
    with Store(url) as store:
        return store.place


def moved(source: str, target: str, tell: Callable[[str], None] = lambda line: None) -> int:
    """Move what is in one database to the other."""
    with closing(Database(source, create=False)) as old, closing(Database(target, create=True)) as new:
        return move(old, new, tell)


def test_every_row_is_the_same(pair: tuple[str, str]) -> None:
    """All rows of all tables are equal afterwards, and new ones get new numbers."""
    source, target = pair
    before = everything(source)
    assert all(before.values()), "a table without rows shows nothing"
    assert moved(source, target) == sum(map(len, before.values()))
    assert everything(target) == before == everything(source)
    with Store(target) as store:
        known = {job.id for job in store.jobs()}
        with store.transaction() as tx:
            assert tx.add_job("report", NAME, {}, "ada", None) == max(known) + 1
        create(store, "new")
        assert store.experiment("new").id == 4
        version = store.version()
        add(store, 9)
        assert store.version() == version + 1


def test_the_old_one_is_refused(pair: tuple[str, str]) -> None:
    """Nobody goes on with a database that was moved away: it says where its rows are now."""
    source, target = pair
    with Store(source) as open_before:
        moved(source, target)
        for create_ in (True, False):
            with pytest.raises(DataError, match="this database was moved to ") as caught:
                Store(source, create_)
            assert place_of(target) in str(caught.value)
        with pytest.raises(Moved, match="this database was moved to ") as told:
            add(open_before, 20)
        assert place_of(target) in str(told.value)
    with pytest.raises(DataError, match="this database was moved to"):
        moved(source, target)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_is_not_copied_onto_itself(postgres: Server, tmp_path: Path, kind: str) -> None:
    """Whatever else it is called by, a database is known as the same one; another schema is another one."""
    with postgres.new_database("tables") as one:
        (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
        urls = {
            "sqlite": (f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"),
            "postgresql": (one, make_url(one).set(host="localhost").render_as_string(hide_password=False)),
        }[kind]
        with Store(urls[0]) as store:
            create(store)
        with pytest.raises(ConflictError, match="onto itself"):
            moved(*urls)
        if kind == "postgresql":
            postgres.execute("CREATE SCHEMA other", make_url(one).database or "")
            other = make_url(one).update_query_dict({"options": "-csearch_path=other"})
            assert moved(one, other.render_as_string(hide_password=False))


def test_what_begins_before_the_lock_is_found(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked once more whether something is at work when nothing can begin to be; then nothing is copied."""
    source, target = pair

    def refuse() -> None:
        with Store(source) as other, pytest.raises(Busy):
            other.check_writable()
        raise ConflictError("it is in use")

    monkeypatch.setattr("tunewell.store.dialect.LOCK_SECONDS", 0.05)
    with (
        closing(Database(source, create=False)) as old,
        closing(Database(target, create=True)) as new,
        pytest.raises(ConflictError, match="it is in use"),
    ):
        move(old, new, lambda line: None, refuse)
    assert (is_usable(source), is_usable(target)) == (True, False)


def test_there_and_back(pair: tuple[str, str]) -> None:
    """What was moved away is replaced when its rows come back, with what was added meanwhile."""
    source, target = pair
    moved(source, target)
    with Store(target) as store:
        add(store, 9)
    after = everything(target)
    moved(target, source)
    assert everything(source) == after
    with Store(source) as store:
        add(store, 10)
    with pytest.raises(DataError, match="was moved to"):
        Store(target)
    moved(source, target)
    with Store(target) as store:
        assert [row.number for row in store.trials(NAME)] == list(range(1, 11))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_any_moment(pair: tuple[str, str]) -> None:
    """Wherever a move is ended, one of the two has all rows and can be used; begun again, it comes to its end."""
    source, target = pair
    before = everything(source)
    with process("move", source, target) as child:
        assert child.stdout is not None and child.stdin is not None
        kills = 0
        for line in child.stdout:
            if line.strip() == "done":
                break
            kills += 1
            whole = [url for url in pair if is_usable(url)]
            assert len(whole) <= 1
            if whole == [source]:
                assert everything(source) == before
            elif whole == [target]:
                assert everything(target) == before
            child.stdin.write("\n")
            child.stdin.flush()
    assert kills > 40
    assert (is_usable(source), is_usable(target)) == (False, True)
    assert everything(target) == before


def is_usable(url: str) -> bool:
    """Whether a database can be opened, and has rows."""
    try:
        with Store(url, create=False) as store:
            return bool(store.experiments())
    except (DataError, NotFoundError):
        return False


def test_writers_wait_and_lose_nothing(pair: tuple[str, str]) -> None:
    """What is written to the old database while it is copied is refused, never lost."""
    source, target = pair
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunewell.store.dialect.LOCK_SECONDS", 0.05)
        with Store(source) as store:  # its connections wait no longer than that

            def write(line: str) -> None:
                if line.startswith("trial: ") and "copied" in line:
                    with pytest.raises(ConflictError):
                        add(store, 20)

            moved(source, target, write)
    with Store(target) as store:
        assert [row.number for row in store.trials(NAME)] == list(range(1, 9))


def test_rows_come_in_batches(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are, so many at most are held at once; how far it is, is told."""
    monkeypatch.setattr(copying, "BATCH", 3)
    told: list[str] = []
    moved(*pair, told.append)
    assert [line for line in told if line.startswith("trial: ")] == [
        *(f"trial: {number} of 8 copied" for number in (3, 6, 8)),
        *(f"trial: {number} compared" for number in (3, 6, 8)),
    ]


def test_a_target_with_rows_is_refused(pair: tuple[str, str]) -> None:
    """Nothing is mixed, and nothing is overwritten."""
    source, target = pair
    with Store(target) as store:
        create(store, "mine")
    before = everything(source), everything(target)
    with pytest.raises(ConflictError, match=r"there is something in this database already\. Name an empty one"):
        moved(source, target)
    assert (everything(source), everything(target)) == before
    with pytest.raises(ConflictError, match="onto itself"):
        moved(source, source)


def test_a_difference_undoes_all(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that does not come out as it went in ends the move, and leaves both databases as they were."""
    source, target = pair
    Store(target).close()
    before, copy = everything(source), copying._copy

    def spoil(table: object, reading: object, writing: copying.Connection, *rest: object) -> int:
        done = copy(table, reading, writing, *rest)  # type: ignore[arg-type]
        if table is trial:
            writing.execute(update(trial).where(trial.c.number == 5).values(value=5.0))
        return done

    monkeypatch.setattr(copying, "_copy", spoil)
    with pytest.raises(DataError, match="rows of 'trial' were not the same"):
        moved(source, target)
    assert everything(source) == before
    assert not any(everything(target).values())
    monkeypatch.undo()
    moved(source, target)
    assert everything(target) == before


def test_another_version_is_refused(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is of another version is not upgraded on the way; what is no database of ours is told as such."""
    source, target = pair
    monkeypatch.setattr(schema, "HEAD", "0002")
    with pytest.raises(DataError, match="its tables are at 0001, this version of Tunewell copies 0002 alone"):
        Database(source, create=False)
    monkeypatch.setattr(schema, "HEAD", "0000")
    monkeypatch.setattr(schema, "known_versions", lambda: frozenset({"0000"}))
    with pytest.raises(DataError, match=r"newer version of Tunewell .* at 0001, .* up to 0000.* Upgrade Tunewell"):
        Database(source, create=False)
    monkeypatch.undo()
    if target.startswith("sqlite"):
        with pytest.raises(NotFoundError, match="there is no such database"):
            Database(target, create=False)


def test_what_the_target_cannot_hold_is_told(tmp_path: Path, postgres: Server) -> None:
    """A row that PostgreSQL refuses is named by its table, and nothing is copied."""
    source = f"sqlite:///{tmp_path / 'a.db'}"
    with Store(source) as store, postgres.new_database("tables") as target:
        create(store)
        with store._engine.connect() as connection:
            connection.execute(update(experiment).values(detail="a\0b"))
            connection.commit()
        with pytest.raises(DataError, match=r"a row of 'experiment' can't be written there \(.*NUL"):
            moved(source, target)
        assert not any(everything(target).values())
        add(store, 1)
