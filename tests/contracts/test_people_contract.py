"""What is promised of secrets that are told once, of the log, and of what a service says of itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import pytest

from tests.contracts.test_verbs_contract import Bench, bench
from tunewell.service.types import Caller
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import ConflictError, SpecError

__all__ = ["bench"]  # a fixture

ADA = Caller(name="ada", role="administrator", local=True)
TO_COME = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
#: Verb that tells a secret → how it is called with a key, and with another wish under it.
TOLD_ONCE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "create_token": (
        lambda verbs, key: verbs.create_token("laptop", TO_COME, key=key),
        lambda verbs, key: verbs.create_token("other", TO_COME, key=key),
    ),
    "sign_in_link": (
        lambda verbs, key: verbs.sign_in_link("owner", key=key),
        lambda verbs, key: verbs.sign_in_link("ada", key=key),
    ),
}


@pytest.fixture
def verbs(bench: Bench) -> Verbs:
    """The verbs, with a second administrator."""
    with bench.service.store.transaction() as tx:
        tx.add_user("ada", "administrator")
    return bench.verbs


def ids(verbs: Verbs) -> set[int]:
    """Return the ids of what the owner proves themselves by."""
    return {one.id for one in verbs.tokens(owner="owner").items}


@pytest.mark.parametrize("verb", TOLD_ONCE)
def test_a_secret_is_made_once_under_a_key_and_told_once(bench: Bench, verbs: Verbs, verb: str) -> None:
    """Asked again, nothing more is made and nothing told; without a key, or under another, it is a new wish."""
    call, _ = TOLD_ONCE[verb]
    secret = call(verbs, "k").secret
    made = ids(verbs)
    for _ in range(2):
        with pytest.raises(ConflictError, match="its secret is told once") as caught:
            call(verbs, "k")
        assert caught.value.kind == "told-once"
        assert secret not in f"{caught.value} {caught.value.to_json()}"
    assert ids(verbs) == made
    assert len({secret, call(verbs, "l").secret, call(verbs, None).secret, call(verbs, None).secret}) == 4
    assert call(bench.as_caller(ADA), "k").secret  # another caller's is another key


@pytest.mark.parametrize("verb", TOLD_ONCE)
def test_a_key_is_for_one_secret(verbs: Verbs, verb: str) -> None:
    """A key that was used for another one is refused, and nothing is made."""
    call, other = TOLD_ONCE[verb]
    call(verbs, "k")
    made = ids(verbs)
    with pytest.raises(ConflictError, match="'k' was used for another request") as caught:
        other(verbs, "k")
    assert caught.value.kind == "key-used"
    assert ids(verbs) == made


def test_the_log_of_one_verb(bench: Bench, verbs: Verbs) -> None:
    """Only what was done by it, and only by whom it is asked."""
    verbs.add_user("ben")
    verbs.create_token("laptop")
    bench.as_caller(ADA).add_user("vic")
    assert [(one.verb, one.caller) for one in verbs.audit(verb="add_user").items] == [
        ("add_user", "ada"),
        ("add_user", "owner"),
    ]
    assert [one.caller for one in verbs.audit(verb="add_user", caller="ada").items] == ["ada"]
    assert verbs.audit(verb="purge").items == ()
    page = verbs.audit(verb="add_user", limit=1)
    assert [one.caller for one in verbs.audit(verb="add_user", limit=1, cursor=page.next).items] == ["owner"]
    with pytest.raises(SpecError, match="is no verb"):
        verbs.audit(verb="create token")


def test_what_a_service_says_of_itself(bench: Bench, database: str) -> None:
    """Its version, the kind of its database, and how much it takes."""
    about = bench.verbs.about()
    assert about.version == version("tunewell")
    assert database.startswith(about.database)
    assert 0 < about.code_bytes < about.upload_bytes < about.dataset_bytes
