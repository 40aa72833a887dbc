"""Users, what they prove themselves by, and the audit log, on either database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.store.store import Store


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """A store in which ada is a user."""
    with Store(database) as store:
        with store.transaction() as tx:
            tx.add_user("ada", "user", now=1.0)
        yield store


def test_users(store: Store) -> None:
    """A user is added once, found by name, and changed."""
    row = store.user("ada")
    assert (row.role, row.run_code, row.weight, row.quota, row.created_at) == ("user", False, 1.0, {}, 1.0)
    with pytest.raises(ConflictError, match="'ada' exists already"), store.transaction() as tx:
        tx.add_user("ada", "viewer")
    with store.transaction() as tx:
        tx.set_user("ada", {"role": "viewer", "quota": {"trials": 2}, "disabled_at": 2.0})
        tx.add_user("ben", "administrator", run_code=True)
    row = store.user("ada")
    assert (row.role, row.quota, row.disabled_at) == ("viewer", {"trials": 2}, 2.0)
    assert [one.name for one in store.users()] == ["ada", "ben"]
    with pytest.raises(NotFoundError, match="no user 'eve'"):
        store.user("eve")
    with pytest.raises(NotFoundError, match="no user 'eve'"), store.transaction() as tx:
        tx.set_user("eve", {"role": "viewer"})


def test_tokens(store: Store) -> None:
    """A token is found by its checksum, is used for the last time once, and those of a user are revoked together."""
    with store.transaction() as tx:
        first = tx.add_token("ada", "token", "a" * 64, "laptop", expires_at=9.0, now=1.0)
        link = tx.add_token("ada", "link", "b" * 64, now=1.0)
    found = store.find_token("a" * 64)
    assert found is not None
    assert (found.id, found.owner, found.kind, found.label, found.expires_at) == (first, "ada", "token", "laptop", 9.0)
    assert store.find_token("c" * 64) is None
    for expected in (True, False):
        with store.transaction() as tx:
            assert tx.use_token(link, revoke=True, now=3.0) is expected
    used = store.find_token("b" * 64)
    assert used is not None
    assert (used.used_at, used.revoked_at) == (3.0, 3.0)
    assert [one.id for one in store.tokens("ada", now=2.0)] == [first]
    assert store.tokens("ada", now=9.0) == []
    with store.transaction() as tx:
        assert tx.revoke_tokens("ada") == 1
    assert store.tokens("ada") == []


def test_the_audit_log_is_read_in_pages(store: Store) -> None:
    """The latest entries come first; those of one caller can be had alone."""
    with store.transaction() as tx:
        for number in range(5):
            tx.add_audit("ada" if number % 2 else "", "127.0.0.1", "stop", str(number), "done", {"n": number})
    page = store.audits(limit=2)
    assert [row.about for row in page] == ["4", "3"]
    assert [row.about for row in store.audits(before=page[-1].id)] == ["2", "1", "0"]
    assert [row.data for row in store.audits(caller="ada")] == [{"n": 3}, {"n": 1}]


def test_the_verbs_of_the_audit_log(store: Store) -> None:
    """Each one that is on record stands there once."""
    assert store.audited_verbs() == []
    with store.transaction() as tx:
        for verb in ("stop", "create", "stop", "add_user"):
            tx.add_audit("ada", "127.0.0.1", verb, "", "done", {})
    assert store.audited_verbs() == ["add_user", "create", "stop"]
