"""What is on record of uploads, data sets and code, in every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy.pool import QueuePool

from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.store import Store
from tunewell.store.errors import Busy
from tunewell.store.queries.visible import EVERYBODY
from tunewell.store.rows import CodeRow, DataSetRow, UploadRow

UPLOAD = UploadRow("1" * 32, "ada", "größe.zip", 2**40, None, 1.5, None)
DATASET = DataSetRow(0, "ada/d", "ada", "team", "a" * 64, "", 2**40, 3, None, 1.5, None)
SPEC = {"dataset": f"ada/d@{'a' * 64}"}


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store of each kind."""
    with Store(database) as store:
        yield store


def add(store: Store, *rows: DataSetRow) -> None:
    """Add data sets."""
    with store.transaction() as tx:
        for row in rows:
            tx.add_dataset(row)


def named(store: Store, name: str) -> DataSetRow:
    """Return a data set that is there."""
    row = store.find_dataset(name)
    assert row is not None
    return row


def test_uploads(store: Store) -> None:
    """An upload is found by its id, and by its owner, until it is forgotten."""
    with store.transaction() as tx:
        tx.add_upload(UPLOAD)
        tx.add_upload(replace(UPLOAD, id="2" * 32, owner="bob", created_at=1.0))
    assert store.find_upload(UPLOAD.id) == UPLOAD and store.find_upload("3" * 32) is None
    assert [row.owner for row in store.uploads()] == ["bob", "ada"] and store.uploads("ada") == [UPLOAD]
    with store.transaction() as tx:
        tx.finish_upload(UPLOAD.id, "f" * 64, 2.0)
    assert store.find_upload(UPLOAD.id) == replace(UPLOAD, sha256="f" * 64, finished_at=2.0)
    with store.transaction() as tx:
        assert tx.remove_upload(UPLOAD.id) and not tx.remove_upload(UPLOAD.id)
        with pytest.raises(NotFoundError):
            tx.finish_upload(UPLOAD.id, "f" * 64)


def test_data_sets(store: Store) -> None:
    """A list holds those that its reader sees; a name is taken, even by one in the bin."""
    hidden = replace(DATASET, name="bob/p", owner="bob", visibility="private", sha256="b" * 64)
    add(store, DATASET, hidden)
    assert named(store, "ada/d") == replace(DATASET, id=named(store, "ada/d").id)
    assert [row.name for row in store.datasets(10)] == ["bob/p", "ada/d"]
    assert [row.name for row in store.datasets(10, seen_by="ada")] == ["ada/d"]
    assert [row.name for row in store.datasets(10, seen_by="bob", search="P")] == ["bob/p"]
    assert [row.name for row in store.datasets(1)] == ["bob/p"]
    assert [row.name for row in store.datasets(10, before=store.datasets(1)[0].id)] == ["ada/d"]
    assert [row.name for row in store.datasets(10, where={"sha256": "b" * 64, "folder": ""})] == ["bob/p"]
    with store.transaction() as tx:
        tx.set_dataset(named(store, "ada/d").id, {"deleted_at": 3.0, "job": 7})
    assert named(store, "ada/d").job == 7
    assert store.datasets(10, deleted=True, seen_by="bob") == [] != store.datasets(10, deleted=True, seen_by="ada")
    with pytest.raises(ConflictError):
        add(store, DATASET)
    assert store.find_dataset("nobody/x") is None


def test_an_experiment_uses_a_data_set(store: Store) -> None:
    """It is bound to the one that its spec was resolved with, which then can't be forgotten."""
    add(store, DATASET)
    id = named(store, "ada/d").id
    store.create_experiment("ada/e", SPEC, {}, {})
    assert store.experiment("ada/e").dataset_id == id and store.dataset_users(id) == ["ada/e"]
    with store.transaction() as tx:
        assert not tx.remove_dataset(id)
        tx.set_dataset(id, {"deleted_at": 3.0})
    for spec in (SPEC, {"dataset": f"ada/d@{'c' * 64}"}):
        with pytest.raises(ConflictError, match="was deleted in the meantime"):
            store.create_experiment("ada/f", spec, {}, {})
    assert store.find_experiment("ada/f") is None


def test_what_is_stored(store: Store) -> None:
    """A content is there while a data set is of it; uploads, data sets and code count, folders don't."""
    elsewhere = replace(DATASET, name="ada/folder", folder="/data", sha256="c" * 64)
    add(store, DATASET, elsewhere)
    code = CodeRow("d" * 64, "ada", 10, 1, 1.0)
    with store.transaction() as tx:
        tx.add_upload(UPLOAD)
        tx.add_code(code)
        tx.add_code(replace(code, created_at=5.0))
        tx.add_code(replace(code, owner="bob", created_at=0.5))
        assert tx.has_content("a" * 64) and not tx.has_content("c" * 64)
    assert store.contents() == {"a" * 64}
    assert store.find_code("d" * 64, "ada") == code and store.find_code("d" * 64, "eve") is None
    assert store.find_code("d" * 64) == replace(code, owner="bob", created_at=0.5)
    assert store.stored_bytes("ada") == 2 * 2**40 + 10 and store.stored_bytes("eve") == 0
    with store.transaction() as tx:
        assert tx.remove_dataset(named(store, "ada/d").id)
        assert not tx.has_content("a" * 64)


def test_folders(store: Store) -> None:
    """Allowed twice is allowed once."""
    with store.transaction() as tx:
        for folder in ("/b", "/a", "/b"):
            tx.allow_folder(folder)
    assert store.allowed_folders() == ["/a", "/b"]
    with store.transaction() as tx:
        assert tx.withdraw_folder("/a") and not tx.withdraw_folder("/a")
    assert store.allowed_folders() == ["/b"]


def test_administrators_see_all(store: Store) -> None:
    """Whoever sees everything sees private data sets, those in the bin, and code of others."""
    hidden = replace(DATASET, name="bob/p", owner="bob", visibility="private", sha256="b" * 64)
    add(store, DATASET, hidden)
    with store.transaction() as tx:
        tx.set_dataset(named(store, "ada/d").id, {"deleted_at": 2.0})
        tx.add_code(CodeRow("d" * 64, "ada", 5, 1, 1.0))
    assert [row.name for row in store.datasets(10, seen_by=EVERYBODY)] == ["bob/p"]
    assert [row.name for row in store.datasets(10, seen_by=EVERYBODY, deleted=True)] == ["ada/d"]
    assert store.find_code("d" * 64, EVERYBODY) is not None


def test_a_thread_that_gets_no_connection_is_told_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While others have all connections of the process, a read is refused as one of a busy database."""
    pool = store._engine.pool
    assert isinstance(pool, QueuePool)
    monkeypatch.setattr(pool, "_timeout", 0.01)
    with ExitStack() as stack:
        for _ in range(store._dialect.connections):
            stack.callback(store._engine.connect().close)
        with pytest.raises(Busy, match="all connections of this process"):
            store.uploads()
        with pytest.raises(Busy), store.transaction():
            pass
    assert store.uploads() == []
