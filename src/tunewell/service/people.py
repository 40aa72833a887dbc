"""Who may use the service, what they prove themselves by, and what is on record of who has changed what."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, get_args

from tunewell.service.idempotency import Asked, once, settled
from tunewell.service.lists import bad_cursor, checked_limit
from tunewell.service.proofs import LINK_SECONDS, checksum, new_secret
from tunewell.service.types import AuditEntry, Caller, JsonObject, Me, NewToken, Page, SignInLink, Token, User
from tunewell.service.usage import used_now
from tunewell.service.wire import moment
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, SpecError, nearest, shown
from tunewell.spec.names import HOME_OWNER, Role, is_user_name
from tunewell.spec.problems import Problems
from tunewell.spec.quota import STORED, amount, parse_quota
from tunewell.store.rows import TokenRow, UserRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

#: What an entry of the log may be called: a verb, or the method of a request that has none.
_VERB = re.compile(r"[A-Za-z_]{1,50}")
#: Longest label of a token, in characters.
_LONGEST_LABEL = 100
#: The largest id that a database has.
_MOST_ID = 2**31 - 1


def me(store: Store, caller: Caller) -> Me:
    """Return the caller as a user."""
    row = store.find_user(caller.name)
    if row is None and caller.name != HOME_OWNER:
        raise NotFoundError(f"There is no user '{caller.name}'.")
    weight, quota = (row.weight, row.quota) if row is not None else (1.0, {})
    used = used_now(store, caller.name, row)
    return Me(name=caller.name, role=caller.role, run_code=caller.run_code, weight=weight, quota=quota, used=used)


# Users ------------------------------------------------------------------------------------------------------


def users(store: Store, cursor: str | None, limit: int) -> Page[User]:
    """Return the users by name."""
    if cursor is not None and not is_user_name(cursor):
        raise bad_cursor(cursor)
    _add_owner(store)
    rows = store.users(cursor or "", checked_limit(limit) + 1)
    more = len(rows) > limit
    return Page[User](items=tuple(map(_user, rows[:limit])), next=rows[limit - 1].name if more else None)


def only(store: Store, name: str) -> Page[User]:
    """Return one user as a list of users."""
    return Page[User](items=(user(store, name),))


def user(store: Store, name: str) -> User:
    """Return a user."""
    return _user(_account(store, name))


def add_user(store: Store, name: str, facts: Mapping[str, Any], asked: Asked) -> User:
    """Add a user; `facts` as those of `change_user`."""
    problems, checked = Problems(), {}
    with problems.gathering():
        check_user_name(name)
    with problems.gathering():
        checked = {"role": "user", **_checked(facts)}
    problems.raise_any("What is said of the user")
    _add_owner(store)

    def act(tx: Transaction) -> JsonObject:
        tx.add_user(name, **checked)
        note(tx, asked, name)
        return {}

    once(store, asked, act)
    return _user(_account(store, name))


def check_user_name(name: Any) -> None:
    """Raise `SpecError` for what no user can be called."""
    if not isinstance(name, str) or not is_user_name(name):
        remedy = "Use at most 50 small letters, digits, `.`, `_` and `-`, a letter or digit first"
        raise SpecError("name", f"a user can't be called {shown(name)}", remedy, name)


def change_user(store: Store, name: str, changes: Mapping[str, Any], asked: Asked) -> User:
    """Change what a user may do and has; `disabled` shuts them out, and revokes what they prove themselves by.

    Raises:
        ConflictError: there would be no administrator any more.
    """
    facts = _checked(changes)
    _add_owner(store)
    _account(store, name)

    def act(tx: Transaction) -> JsonObject:
        if "disabled" in facts:
            facts["disabled_at"] = time.time() if facts.pop("disabled") else None
        if facts:
            tx.set_user(name, facts)
        if facts.get("disabled_at") is not None:
            tx.revoke_tokens(name)
            tx.silence_channels(name)
        if not tx.has_administrator():
            raise ConflictError(f"{name} is the last administrator", remedy="Make somebody else an administrator first")
        note(tx, asked, name, {"fields": sorted(changes)})
        return {}

    once(store, asked, act)
    row = _account(store, name)
    return _user(row, _exceeded(store, row) if "quota" in facts else ())


def sign_in_link(store: Store, name: str, asked: Asked) -> SignInLink:
    """Make a link that begins a session of a user, once; those made before begin none any more."""
    secret, now = new_secret("link"), time.time()
    _check_enabled(_account(store, name))

    def act(tx: Transaction) -> int:
        tx.revoke_tokens(name, kind="link", now=now)
        id = tx.add_token(name, "link", checksum(secret), expires_at=now + LINK_SECONDS, now=now)
        note(tx, asked, name)
        return id

    _tell_once(store, asked, act)
    return SignInLink(user=name, secret=secret, expires_at=moment(now + LINK_SECONDS))


# Tokens -----------------------------------------------------------------------------------------------------


def tokens(store: Store, owner: str, cursor: str | None, limit: int) -> Page[Token]:
    """Return what a user proves themselves by, the latest first."""
    _account(store, owner)
    rows = store.tokens(owner, _before(cursor), checked_limit(limit) + 1)
    more = len(rows) > limit
    return Page[Token](items=tuple(map(_token, rows[:limit])), next=str(rows[limit - 1].id) if more else None)


def create_token(store: Store, owner: str, label: str, expires_at: datetime | None, asked: Asked) -> NewToken:
    """Make a token, whose secret nobody can be told again."""
    now = time.time()
    if not label.strip() or not label.isprintable() or len(label) > _LONGEST_LABEL:
        raise SpecError("label", f"{shown(label)} is no label", f"Give 1 to {_LONGEST_LABEL} characters", label)
    until = _seconds(expires_at)
    if until is not None and until <= now:
        raise SpecError("expires_at", "it is over already", "Give a moment to come, or none", str(expires_at))
    _check_enabled(_account(store, owner))
    secret = new_secret("token")

    def act(tx: Transaction) -> int:
        id = tx.add_token(owner, "token", checksum(secret), label, until, now)
        note(tx, asked, owner)
        return id

    id = _tell_once(store, asked, act)
    row = TokenRow(id, owner, "token", "", label, now, until, None, None)
    return NewToken(token=_token(row), secret=secret)


def _tell_once(store: Store, asked: Asked, act: Callable[[Transaction], int]) -> int:
    """Make what has a secret, and return its id; under a key that was used for it, raise `ConflictError`.

    The secret is on no record, so it can't be told again.
    """
    made = -1

    def add(tx: Transaction) -> JsonObject:
        nonlocal made
        made = act(tx)
        return {"id": made}

    id: int = settled(store, asked, lambda: once(store, asked, add))["id"]
    if id != made:
        raise ConflictError(
            "it was made before, and its secret is told once",
            remedy="If the secret is lost, make another one under a new key",
            kind="told-once",
        )
    return id


def revoke_token(store: Store, id: int, asked: Asked) -> None:
    """Have a token, session or link prove nothing more; raise `NotFoundError` if it is another user's."""
    caller = asked.caller
    owner = store.token_owner(id) if 0 < id <= _MOST_ID else None
    if owner is None or (owner != caller.name and caller.role != "administrator"):
        raise NotFoundError(f"There is no token {id}.")

    def act(tx: Transaction) -> JsonObject:
        tx.revoke_tokens(owner, id)
        note(tx, asked, str(id))
        return {}

    once(store, asked, act)


# The log ----------------------------------------------------------------------------------------------------


def audit(store: Store, caller: str | None, verb: str | None, cursor: str | None, limit: int) -> Page[AuditEntry]:
    """Return the log of who has changed what, the latest first."""
    if caller is not None and caller != "" and not is_user_name(caller):
        raise NotFoundError(f"There is no user {shown(caller)}.")
    if verb is not None and not _VERB.fullmatch(verb):
        raise SpecError("verb", f"{shown(verb)} is no verb", "Give one as the log has it, such as create", verb)
    rows = store.audits(_before(cursor), checked_limit(limit) + 1, caller, verb)
    entries = tuple(
        AuditEntry(
            id=row.id,
            time=moment(row.time),
            caller=row.caller,
            address=row.address,
            verb=row.verb,
            about=row.about,
            outcome=row.outcome,
            data=row.data,
        )
        for row in rows[:limit]
    )
    return Page[AuditEntry](items=entries, next=str(rows[limit - 1].id) if len(rows) > limit else None)


def check_administrator(caller: Caller) -> None:
    """Raise `ForbiddenError` if the caller is no administrator."""
    if caller.role != "administrator":
        raise ForbiddenError(f"{caller.name} is no administrator", remedy="Ask one")


# ------------------------------------------------------------------------------------------------------------


def _add_owner(store: Store) -> None:
    """Make sure that the person whose home it is can be found among the users."""
    if store.find_user(HOME_OWNER) is None:
        with suppress(ConflictError), store.transaction() as tx:  # another process may be doing the same
            tx.add_user(HOME_OWNER, "administrator", run_code=True)


def _account(store: Store, name: str) -> UserRow:
    if name == HOME_OWNER:
        _add_owner(store)
    if not is_user_name(name):
        raise NotFoundError(f"There is no user {shown(name)}.")
    return store.user(name)


def _check_enabled(row: UserRow) -> None:
    if row.disabled_at is not None:
        raise ConflictError(f"{row.name} is shut out", remedy="Enable the account first")


def note(tx: Transaction, asked: Asked, about: str, data: JsonObject | None = None) -> None:
    """Log what is done on this machine; whoever lets callers in from elsewhere logs all that they do."""
    if asked.caller.local:
        tx.add_audit(asked.caller.name, "local", asked.verb, about, "done", data)


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    problems, checked = Problems(), dict(facts)
    for name, value in facts.items():
        with problems.gathering():
            if name not in _RULES:
                raise SpecError(name, "it can't be set", nearest(name, _RULES))
            holds, rule = _RULES[name]
            if not holds(value):
                raise SpecError(name, f"{shown(value)} is not possible", rule, value)
            if name == "quota":
                checked[name] = parse_quota(value).to_json()
    problems.raise_any("What is said of the user")
    return checked


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < 2**53 and math.isfinite(value)


#: What can be set of a user → whether a value will do, and what it must be.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "role": (lambda value: value in get_args(Role), f"Give one of {', '.join(get_args(Role))}"),
    "run_code": (lambda value: isinstance(value, bool), "Give true or false"),
    "weight": (lambda value: _is_number(value) and value > 0, "Give a number above 0"),
    "quota": (lambda value: isinstance(value, Mapping), "Give a limit a name, such as {gpus: 2}"),
    "disabled": (lambda value: isinstance(value, bool), "Give true or false"),
}


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise bad_cursor(cursor)
    return int(cursor)


def _seconds(when: datetime | None) -> float | None:
    if when is None:
        return None
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return aware.timestamp()


def _exceeded(store: Store, row: UserRow) -> tuple[str, ...]:
    """Return sentences on the limits of a user that are below what is used now."""
    used = used_now(store, row.name, row)
    over = ((name, used[name], limit) for name, limit in row.quota.items() if used[name] > limit)
    return tuple(
        f"{row.name} has {amount(name, now)} now ({name}) and may have {amount(name, limit)}: what runs goes on, and "
        f"nothing more is started until it is less.{f' What counts: {STORED}.' if name == 'disk_bytes' else ''}"
        for name, now, limit in over
    )


def _user(row: UserRow, notes: tuple[str, ...] = ()) -> User:
    return User(
        name=row.name,
        role=row.role,
        run_code=row.run_code,
        weight=row.weight,
        quota=row.quota,
        created_at=moment(row.created_at),
        disabled_at=moment(row.disabled_at),
        notes=notes,
    )


def _token(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        owner=row.owner,
        kind=row.kind,
        label=row.label,
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at),
        used_at=moment(row.used_at),
    )
