"""Who comes in: whom a secret belongs to, and the log of who has changed what.

A front asks before it calls any verb. What the gate knows, it knows for `KNOWN_SECONDS`: what was revoked, or whoever
was shut out or lost a right, in this process is so at once, in another one after that time at the latest.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tunewell.service.proofs import PREFIXES, SESSION_SECONDS, Kind, checksum, new_secret
from tunewell.service.types import Caller, JsonObject
from tunewell.service.wire import moment
from tunewell.spec.errors import UserError
from tunewell.spec.secrets import hide_tokens
from tunewell.store.rows import TokenRow
from tunewell.store.store import Store

#: For how long it is not looked up again whom a secret belongs to.
KNOWN_SECONDS = 2.0
#: How often it is recorded at most that a secret was used.
_USED_SECONDS = 60.0
#: How many secrets are remembered.
_MOST_KNOWN = 10_000
#: Longest name or address in the log, in characters.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Proof:
    """Who somebody is, and by what that was proved."""

    caller: Caller
    #: Id of the token, session or link.
    id: int
    #: Until when it holds, in seconds since the epoch; None: for good.
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Session:
    """What a browser proves itself by after its user has signed in."""

    caller: Caller
    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log: who has changed something, or was refused it."""

    #: Empty: nobody known.
    caller: str
    #: Network address that it came from.
    address: str
    verb: str
    #: Name or number of what it was about.
    about: str
    #: `done`, or the kind of the error.
    outcome: str
    data: JsonObject = field(default_factory=dict)


class Gate:
    """What finds out who somebody is. Any number of threads may ask it."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Ask a store; `clock` gives the seconds since the epoch."""
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        # Checksum → proof, and since when it is known.
        self._known: dict[str, tuple[Proof, float]] = {}
        # How often all was forgotten: what was looked up before that is not to be remembered after it.
        self._age = 0

    def known(self, secret: str, kind: Kind) -> Proof | None:
        """Return who proves themselves by a secret if that is known without asking the store."""
        if not secret.startswith(PREFIXES[kind]):
            return None
        now = self._clock()
        with self._lock:
            proof, since = self._known.get(checksum(secret), (None, 0.0))
        if proof is None or not 0 <= now - since < KNOWN_SECONDS:
            return None
        return proof if proof.expires_at is None or now < proof.expires_at else None

    def prove(self, secret: str, kind: Kind) -> Proof | None:
        """Return who proves themselves by a secret; None: nobody, or somebody who is shut out."""
        found = self.known(secret, kind)
        if found is not None or not secret.startswith(PREFIXES[kind]):
            return found
        with self._lock:
            age = self._age
        looked_up = self._look_up(secret, kind)
        if looked_up is None:
            return None
        proof, row = looked_up
        now = self._clock()
        if row.used_at is None or not 0 <= now - row.used_at < _USED_SECONDS:
            with suppress(UserError), self._store.transaction() as tx:  # who comes in need not wait for a busy store
                tx.use_token(row.id, now=now)
        with self._lock:
            if age == self._age:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[row.sha256] = (proof, now)
        return proof

    def _look_up(self, secret: str, kind: Kind) -> tuple[Proof, TokenRow] | None:
        sha256 = checksum(secret)
        row = self._store.find_token(sha256)
        if row is None or not hmac.compare_digest(row.sha256, sha256) or row.kind != kind:
            return None
        if row.revoked_at is not None or self._is_over(row):
            return None
        user = self._store.find_user(row.owner)
        if user is None or user.disabled_at is not None:
            return None
        caller = Caller(name=user.name, role=user.role, run_code=user.run_code, local=False)
        return Proof(caller, row.id, row.expires_at), row

    def forget(self) -> None:
        """Look everybody up again: somebody's rights have changed."""
        with self._lock:
            self._known.clear()
            self._age += 1

    def sign_in(self, link: str) -> Session | None:
        """Begin a session with a link, which is used up; None: it has expired, was used before, or never was one."""
        found = self._look_up(link, "link")
        if found is None:
            return None
        proof, _ = found
        secret, now = new_secret("session"), self._clock()
        with self._store.transaction() as tx:
            if not tx.use_token(proof.id, revoke=True, now=now):
                return None  # somebody else was faster, or the user was shut out
            until = now + SESSION_SECONDS
            tx.add_token(proof.caller.name, "session", checksum(secret), expires_at=until, now=now)
        return Session(proof.caller, secret, moment(until))

    def link_state(self, link: str) -> Literal["good", "used", "expired", "unknown"]:
        """Return what whoever has a link may know of it; `unknown`: it never was one, or was withdrawn."""
        if self._look_up(link, "link") is not None:
            return "good"
        row = self._store.find_token(checksum(link))
        if row is None or row.kind != "link":
            return "unknown"
        if row.used_at is not None:
            return "used"
        return "expired" if row.revoked_at is None and self._is_over(row) else "unknown"

    def _is_over(self, row: TokenRow) -> bool:
        return row.expires_at is not None and row.expires_at <= self._clock()

    def note(self, entry: Entry) -> None:
        """Add a line to the log. What anybody proves themselves by is not in it, whatever they put where."""
        with self._store.transaction() as tx:
            tx.add_audit(
                entry.caller,
                entry.address[:_LONGEST],
                entry.verb[:50],
                hide_tokens(entry.about)[:_LONGEST],
                entry.outcome[:20],
                entry.data,
                now=self._clock(),
            )
