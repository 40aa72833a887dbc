"""Who may use the service, on either database: users, what they prove themselves by, and the log."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tunewell.service import credentials
from tunewell.service.gate import KNOWN_SECONDS, Entry, Gate
from tunewell.service.proofs import LINK_SECONDS, SESSION_SECONDS, checksum
from tunewell.service.service import Service
from tunewell.service.storage.tidying import KEY_SECONDS, PROOF_SECONDS, tidy
from tunewell.service.types import Caller, GivenReport
from tunewell.spec.errors import ConflictError, DataError, ForbiddenError, NotFoundError, SpecError, SpecErrors
from tunewell.spec.launch import AttemptKey
from tunewell.spec.secrets import hide_tokens
from tunewell.store.rows import AttemptEnd

ADA = Caller(name="ada", role="user")


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    """The verbs of the person whose home it is; ada is a user."""
    with Service(tmp_path / "home", database) as service:
        service.add_user("ada")
        yield service


@pytest.fixture
def clock() -> Clock:
    """The clock of the gate."""
    return Clock()


@pytest.fixture
def gate(service: Service, clock: Clock) -> Gate:
    """The gate of another process."""
    return Gate(service.store, clock)


# Users ------------------------------------------------------------------------------------------------------


def test_the_home_s_person_is_the_first_administrator(service: Service) -> None:
    """Nobody has to add them; users come by name, in pages."""
    page = service.users(limit=1)
    assert [(one.name, one.role, one.run_code) for one in page.items] == [("ada", "user", False)]
    page = service.users(cursor=page.next)
    assert [(one.name, one.role, one.run_code) for one in page.items] == [("owner", "administrator", True)]
    assert page.next is None
    assert service.me().name == "owner"


def test_a_user_is_changed(service: Service) -> None:
    """What is named changes, all else stays."""
    changed = service.change_user("ada", {"role": "viewer", "weight": 2.5})
    assert (changed.role, changed.weight, changed.run_code, changed.quota) == ("viewer", 2.5, False, {})
    changed = service.change_user("ada", {"run_code": True, "quota": {"gpus": 2}})
    assert (changed.role, changed.weight, changed.run_code, changed.quota) == ("viewer", 2.5, True, {"gpus": 2})
    assert service.change_user("ada", {}) == changed
    assert service.as_caller(ADA).me().quota == {"gpus": 2}
    assert service.add_user("ben", {"role": "viewer", "quota": {"gpus": 1}}).quota == {"gpus": 1}
    with pytest.raises(ConflictError, match="'ben' exists already"):
        service.add_user("ben")


def test_a_quota_is_checked(service: Service) -> None:
    """It holds known limits in their own units; what is wrong names the limit."""
    assert service.change_user("ada", {"quota": {"disk_bytes": "2G", "gpus": None}}).quota == {"disk_bytes": 2 << 30}
    with pytest.raises(SpecError, match="gpus: -1 is below 0"):
        service.add_user("ben", {"quota": {"gpus": -1}})


def test_a_limit_below_what_is_used_is_told(service: Service) -> None:
    """The change holds, and whoever makes it learns what follows from it and what counts."""
    service.store.set_user("ada", {"disk_bytes": 3 << 30})
    (note,) = service.change_user("ada", {"quota": {"disk_bytes": "2G", "gpus": 1}}).notes
    assert "ada has 3 GiB now (disk_bytes) and may have 2 GiB" in note and "experiments with their trials" in note
    assert service.change_user("ada", {"quota": {"disk_bytes": "4G"}}).notes == ()


def test_all_that_is_wrong_with_a_user_is_told_at_once(service: Service) -> None:
    """A wrong name, a field that there is not, and limits that are none: each with its remedy."""
    with pytest.raises(SpecErrors, match="has 4 errors") as caught:
        service.add_user("Eve", {"rôle": "user", "quota": {"gpu": 1, "cpus": -1}})
    assert [error.field for error in caught.value.errors] == ["name", "rôle", "quota.gpu", "quota.cpus"]
    assert "Did you mean 'gpus'" in str(caught.value)


def test_nobody_is_called_like_a_controller(service: Service) -> None:
    """Jobs that controllers record would be that user's."""
    with pytest.raises(SpecError, match="can't be called"):
        service.add_user("controller")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "king"),
        ("role", []),
        ("run_code", 1),
        ("weight", 0),
        ("weight", float("nan")),
        ("weight", True),
        ("quota", {"gpu": 1}),
        ("quota", {"no name": 1}),
        ("quota", [1]),
        ("disabled", "yes"),
        ("name", "eve"),
    ],
)
def test_a_wrong_fact_about_a_user_is_refused(service: Service, field: str, value: Any) -> None:
    """The error names the field, and nothing has changed."""
    before = service.user("ada")
    with pytest.raises(SpecError) as caught:
        service.change_user("ada", {"weight": 3.0, field: value})
    assert caught.value.field.partition(".")[0] == field
    assert service.user("ada") == before


@pytest.mark.parametrize("name", ["", "Ada", "a/b", "a b", "a" * 51, "ä", "\0"])
def test_a_wrong_name_of_a_user_is_refused(service: Service, name: str) -> None:
    """It is no name of a new user, and none that could be found."""
    with pytest.raises(SpecError):
        service.add_user(name)
    with pytest.raises(NotFoundError):
        service.user(name)


@pytest.mark.parametrize("changes", [{"disabled": True}, {"role": "user"}])
def test_the_last_administrator_stays(service: Service, changes: dict[str, Any]) -> None:
    """Shutting out or lowering the last one is refused as a whole; with a second one it is done."""
    token = service.create_token("t").secret
    with pytest.raises(ConflictError, match="last administrator"):
        service.change_user("owner", changes)
    assert service.user("owner").disabled_at is None
    assert service.gate.prove(token, "token") is not None
    service.change_user("ada", {"role": "administrator"})
    service.change_user("owner", changes)
    with pytest.raises(ConflictError, match="last administrator"):
        service.change_user("ada", {"disabled": True})


def test_two_administrators_cannot_shut_each_other_out(service: Service) -> None:
    """Of changes at the same moment one is refused."""
    service.change_user("ada", {"role": "administrator"})
    barrier = threading.Barrier(2)

    def shut_out(name: str) -> bool:
        barrier.wait()
        try:
            service.change_user(name, {"disabled": True})
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(shut_out, ["ada", "owner"])) == [False, True]


def test_asked_twice_under_a_key_a_user_is_added_once(service: Service) -> None:
    """The same call gives the same user; another one under the key is refused."""
    added = service.add_user("ben", {"weight": 2.0}, key="k")
    assert service.add_user("ben", {"weight": 2.0}, key="k") == added
    with pytest.raises(ConflictError):
        service.add_user("ben", {"weight": 3.0}, key="k")
    service.change_user("ben", {"disabled": True}, key="l")
    assert service.change_user("ben", {"disabled": True}, key="l").disabled_at is not None


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_people_are_for_administrators(service: Service, role: Any) -> None:
    """Others neither see nor change them, nor what other people prove themselves by, nor the log."""
    verbs = service.as_caller(Caller(name="ada", role=role))
    owned = service.create_token("t")
    for call in (
        lambda: verbs.users(),
        lambda: verbs.user("ada"),
        lambda: verbs.add_user("eve"),
        lambda: verbs.change_user("ada", {"role": "administrator"}),
        lambda: verbs.sign_in_link("ada"),
        lambda: verbs.tokens(owner="owner"),
        lambda: verbs.create_token("t", owner="owner"),
        lambda: verbs.audit(),
    ):
        with pytest.raises(ForbiddenError):
            call()
    with pytest.raises(NotFoundError, match=f"There is no token {owned.token.id}"):
        verbs.revoke_token(owned.token.id)
    assert service.gate.prove(owned.secret, "token") is not None


# What they prove themselves by ------------------------------------------------------------------------------


def test_a_token_proves_who_its_user_is(service: Service, gate: Gate) -> None:
    """Whoever has it is its user, with the rights that the user has, and not on this machine."""
    made = service.as_caller(ADA).create_token("laptop")
    assert made.secret.startswith("tw_")
    assert len(made.secret) >= 46
    assert made.secret not in repr(made)
    proof = gate.prove(made.secret, "token")
    assert proof is not None
    assert proof.caller == Caller(name="ada", role="user", run_code=False, local=False)
    assert proof.id == made.token.id
    for wrong in (
        "",
        "tw_",
        made.secret[:-1],
        f"{made.secret}x",
        made.secret.upper(),
        checksum(made.secret),
        "tw_\udc80",
    ):
        assert gate.prove(wrong, "token") is None
    assert gate.prove(made.secret, "session") is None
    assert gate.prove(made.secret.replace("tw_", "tws_"), "session") is None


def test_a_secret_is_on_no_record(service: Service, tmp_path: Path) -> None:
    """Neither database nor home hold anything that somebody could sign in with."""
    secrets = [service.create_token("t").secret, service.sign_in_link("ada").secret]
    session = service.gate.sign_in(secrets[1])
    assert session is not None
    assert session.secret not in repr(session)
    rows = [service.store.find_token(checksum(secret)) for secret in (*secrets, session.secret)]
    assert all(row is not None for row in rows)
    told = repr((rows, service.tokens(), service.tokens(owner="ada"), service.audit()))
    told += "".join(path.read_bytes().decode("latin-1") for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert not any(secret in told for secret in (*secrets, session.secret))


def test_tokens_are_listed_and_revoked(service: Service, gate: Gate) -> None:
    """The latest come first, in pages; a revoked one is gone, and may be revoked again."""
    ada = service.as_caller(ADA)
    made = [ada.create_token(f"t{number}") for number in range(3)]
    page = ada.tokens(limit=2)
    assert [one.label for one in page.items] == ["t2", "t1"]
    assert [one.label for one in ada.tokens(limit=2, cursor=page.next).items] == ["t0"]
    ada.revoke_token(made[1].token.id)
    service.revoke_token(made[2].token.id)
    service.revoke_token(made[2].token.id)
    assert [one.label for one in ada.tokens().items] == ["t0"]
    assert [gate.prove(one.secret, "token") is not None for one in made] == [True, False, False]
    for nowhere in (0, -1, 10**6, 2**40):
        with pytest.raises(NotFoundError, match="There is no token"):
            ada.revoke_token(nowhere)
    for wrong in ("x", "-1", "1" * 30, "²"):
        with pytest.raises(SpecError, match="cursor"):
            ada.tokens(cursor=wrong)


def test_a_token_expires(service: Service, gate: Gate, clock: Clock) -> None:
    """From its last moment on it proves nothing, even where it was known a moment before."""
    until = datetime.now(UTC) + timedelta(hours=1)
    made = service.create_token("t", until)
    assert made.token.expires_at == until.replace(microsecond=until.microsecond // 1000 * 1000)
    clock.now = until.timestamp() - 0.5
    assert gate.prove(made.secret, "token") is not None
    clock.now = until.timestamp()
    assert gate.prove(made.secret, "token") is None
    with pytest.raises(SpecError, match="expires_at"):
        service.create_token("t", datetime.now(UTC) - timedelta(seconds=1))
    for label in ("", "  ", "x" * 101, "\0", "a\nb"):
        with pytest.raises(SpecError, match="label"):
            service.create_token(label)


def test_what_is_revoked_counts_here_at_once_and_elsewhere_soon(service: Service, gate: Gate, clock: Clock) -> None:
    """In the process that did it nothing is left of it; another one knows it for `KNOWN_SECONDS` at most."""
    ways = (
        lambda token: service.revoke_token(token.id),
        lambda token: service.change_user("ada", {"disabled": True}),
    )
    for way in ways:
        made = service.create_token("t", owner="ada")
        assert service.gate.prove(made.secret, "token") is not None
        assert gate.prove(made.secret, "token") is not None
        way(made.token)
        assert service.gate.prove(made.secret, "token") is None
        assert service.gate.known(made.secret, "token") is None
        clock.now += KNOWN_SECONDS
        assert gate.prove(made.secret, "token") is None
    service.change_user("ada", {"disabled": False})
    assert service.gate.prove(made.secret, "token") is None
    service.change_user("ada", {"disabled": True})
    with pytest.raises(ConflictError, match="shut out"):
        service.sign_in_link("ada")
    with pytest.raises(ConflictError, match="shut out"):
        service.create_token("t", owner="ada")


def test_a_lowered_user_has_the_lower_rights_at_once(service: Service) -> None:
    """What was known of the role is forgotten when it changes."""
    secret = service.create_token("t", owner="ada").secret
    for role in ("viewer", "administrator"):
        service.change_user("ada", {"role": role})
        proof = service.gate.prove(secret, "token")
        assert proof is not None
        assert proof.caller.role == role


def test_what_was_looked_up_before_a_change_is_not_known_after_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation between the look into the store and the note of what was found there is not lost."""
    made = service.create_token("t")
    gate, look_up = service.gate, service.gate._look_up

    def overtaken(*arguments: Any) -> Any:
        found = look_up(*arguments)
        service.revoke_token(made.token.id)
        return found

    monkeypatch.setattr(gate, "_look_up", overtaken)
    gate.prove(made.secret, "token")
    assert gate.known(made.secret, "token") is None


def test_use_is_recorded_once_a_minute(service: Service, gate: Gate, clock: Clock) -> None:
    """Asking often writes seldom."""
    made = service.create_token("t")
    seen = []
    for step in (0.0, 30.0, 29.0, 2.0):
        clock.now += step
        assert gate.prove(made.secret, "token") is not None
        used = service.tokens().items[0].used_at
        assert used is not None
        seen.append(used)
    assert seen[0] == seen[1] == seen[2] < seen[3]


def test_a_link_signs_in_once(service: Service, gate: Gate, clock: Clock) -> None:
    """It begins one session, of its user, however many ask at once; it expires; it is no token."""
    link = service.sign_in_link("ada")
    assert gate.prove(link.secret, "token") is None
    with ThreadPoolExecutor(4) as threads:
        sessions = [one for one in threads.map(gate.sign_in, [link.secret] * 4) if one is not None]
    assert len(sessions) == 1
    assert gate.sign_in(link.secret) is None
    proof = gate.prove(sessions[0].secret, "session")
    assert proof is not None
    assert proof.caller.name == "ada"
    clock.now += SESSION_SECONDS
    assert gate.prove(sessions[0].secret, "session") is None
    older, late = service.sign_in_link("ada"), service.sign_in_link("ada")
    assert gate.sign_in(older.secret) is None, "it was lost, or went astray"
    clock.now += LINK_SECONDS
    assert gate.sign_in(late.secret) is None
    assert gate.sign_in("twl_x") is None


def test_what_is_over_for_a_month_is_forgotten(service: Service) -> None:
    """The table of what people proved themselves by does not grow with every session."""
    with service.store.transaction() as tx:
        tx.add_token("ada", "session", "a" * 64, expires_at=1000.0, now=0.0)
        tx.add_token("ada", "session", "b" * 64, now=0.0)
        tx.add_token("ada", "session", "c" * 64, expires_at=time.time() - 60, now=0.0)
    service.tidy()
    assert [service.store.find_token(letter * 64) is not None for letter in "abc"] == [False, True, True]


# The log ----------------------------------------------------------------------------------------------------


def test_the_log_is_read_in_pages(service: Service) -> None:
    """What was done on this machine is in it, too; nothing that anybody proves themselves by is."""
    secret = service.create_token("t").secret
    service.gate.note(Entry("ada", "10.0.0.1", "stop", f"e {secret}", "forbidden", {"status": 403}))
    service.gate.note(Entry("", "10.0.0.2", "stop", "e", "unauthenticated"))
    page = service.audit(limit=2)
    assert [(one.caller, one.address, one.outcome) for one in page.items] == [
        ("", "10.0.0.2", "unauthenticated"),
        ("ada", "10.0.0.1", "forbidden"),
    ]
    assert page.items[1].about == "e [not shown]"
    rest = service.audit(cursor=page.next)
    assert [(one.caller, one.address, one.verb, one.about) for one in rest.items] == [
        ("owner", "local", "create_token", "owner"),
        ("owner", "local", "add_user", "ada"),
    ]
    assert [one.about for one in service.audit(caller="ada").items] == ["e [not shown]"]
    with pytest.raises(NotFoundError):
        service.audit(caller="\0")


# Attempts ---------------------------------------------------------------------------------------------------

SPEC: dict[str, Any] = {
    "name": "e",
    "command": ["true"],
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
}


def test_the_credential_of_an_attempt_is_its_own(service: Service, tmp_path: Path) -> None:
    """It proves one attempt alone, and nothing runs by it once that has ended; the next attempt has another."""
    for name in ("e", "f"):
        service.create({**SPEC, "name": name})
    store, home = service.store, service.home
    with store.transaction() as tx:
        for name in ("e", "f"):
            tx.add_trial(name, 1, {"x": 0.5}, "random", 1.0, None)
    with pytest.raises(NotFoundError):
        credentials.issue(store, home, AttemptKey("e", 1, 1))
    with store.transaction() as tx:
        tx.start_attempt(AttemptKey("e", 1, 1), "id-1")
        tx.start_attempt(AttemptKey("f", 1, 1), "id-2")
    first = credentials.issue(store, home, AttemptKey("e", 1, 1))
    assert credentials.verify(store, home, first) == AttemptKey("e", 1, 1)
    assert hide_tokens(f"with {first}") == "with [not shown].1.1.e"
    assert stat.S_IMODE((tmp_path / "home/secret").stat().st_mode) == 0o600
    forged = (
        first[:-1] + "f",
        first.replace(".1.1.", ".2.1."),
        first.replace(".1.1.", ".1.2."),
        first[:-6],
        "twa_",
        "",
    )
    odd = (f"{first}\0", first.replace("twa_", "tw_"), first + "\udc80", first.replace(".1.1.", ".01.1."))
    assert [credentials.verify(store, home, one) for one in (*forged, *odd)] == [None] * 10
    with store.transaction() as tx:
        tx.lose_attempt(AttemptKey("e", 1, 1), AttemptEnd())
    assert credentials.verify(store, home, first) == AttemptKey("e", 1, 1)
    with pytest.raises(ConflictError, match="does not run"):
        service.add_reports("e", 1, 1, [GivenReport(metrics={"accuracy": 0.5})])
    with store.transaction() as tx:
        tx.start_attempt(AttemptKey("e", 1, 2), "id-3")
    second = credentials.issue(store, home, AttemptKey("e", 1, 2))
    assert credentials.verify(store, home, second) == AttemptKey("e", 1, 2)
    assert credentials.verify(store, home, first) == AttemptKey("e", 1, 1)
    with pytest.raises(NotFoundError, match="does not run"):
        credentials.issue(store, home, AttemptKey("e", 1, 1))


def test_the_secret_of_a_home_is_made_once(service: Service, tmp_path: Path) -> None:
    """Whoever asks at the same moment gets the same; a damaged one is an error, and not silently a new one."""
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: service.home.secret, range(8)))) == 1
    assert [path.name for path in (tmp_path / "home").glob("secret*")] == ["secret"]
    (tmp_path / "home/secret").write_bytes(b"short")
    with pytest.raises(DataError, match="damaged"):
        _ = service.home.secret


def test_what_nobody_asks_for_is_forgotten(service: Service) -> None:
    """Answers go after a day, proofs a month after they prove nothing, the audit log never."""
    ada = service.as_caller(ADA)
    service.create_token("old", datetime.now(UTC) + timedelta(days=1), owner="ada")
    service.change_user("ada", {"weight": 2}, key="k")
    entries = service.audit().items
    place = ada._place
    tidy(place, time.time() + KEY_SECONDS - 3600)
    service.change_user("ada", {"weight": 2}, key="k")
    with pytest.raises(ConflictError):
        service.change_user("ada", {"weight": 3}, key="k")
    tidy(place, time.time() + KEY_SECONDS + 3600)
    assert service.change_user("ada", {"weight": 3}, key="k").weight == 3
    assert len(_token_ids(service)) == 1
    tidy(place, time.time() + 24 * 3600 + PROOF_SECONDS + 3600)
    assert not _token_ids(service)
    assert service.audit().items[-len(entries) :] == entries


def _token_ids(service: Service) -> list[int]:
    return [row.id for row in service.store.tokens("ada", now=0.0)]
