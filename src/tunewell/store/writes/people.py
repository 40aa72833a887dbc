"""Writing on users, what they prove themselves by, and the audit log."""

from __future__ import annotations

from sqlalchemy import delete, insert, or_, select, update

from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.spec.names import Role
from tunewell.store.rows import JsonObject, TokenKind
from tunewell.store.tables import account, audit, token
from tunewell.store.writes.writer import Writer, clean, or_present


class PeopleWrites(Writer):
    """The part of a transaction that is about people."""

    def add_user(
        self,
        name: str,
        role: Role,
        run_code: bool = False,
        weight: float = 1.0,
        quota: JsonObject | None = None,
        now: float | None = None,
    ) -> None:
        """Add a user; raise `ConflictError` if there is one of this name."""
        facts = {"name": name, "role": role, "run_code": run_code, "weight": weight, "quota": quota or {}}
        new = (
            self._dialect.insert(account)
            .values(**facts, disk_bytes=0, created_at=or_present(now))
            .on_conflict_do_nothing()
            .returning(account.c.name)
        )
        if self._execute(new).first() is None:
            raise ConflictError(f"A user named '{name}' exists already", remedy="Choose another name")

    def set_user(self, name: str, facts: JsonObject) -> None:
        """Set a user's role, right to run code, weight, quota, use of the disk, or when the user was shut out."""
        if self._execute(update(account).where(account.c.name == name).values(facts)).rowcount != 1:
            raise NotFoundError(f"There is no user '{name}'.")

    def has_administrator(self) -> bool:
        """Whether anybody is an administrator and not shut out, after what this transaction has changed."""
        query = select(account.c.name).where(account.c.role == "administrator", account.c.disabled_at.is_(None))
        return self._execute(query.limit(1)).first() is not None

    def add_token(
        self,
        name: str,
        kind: TokenKind,
        sha256: str,
        label: str = "",
        expires_at: float | None = None,
        now: float | None = None,
    ) -> int:
        """Add what a user proves themselves by, of which a checksum is kept; return its id."""
        now = or_present(now)
        facts = {"owner": name, "kind": kind, "sha256": sha256, "label": clean(label)}
        new = insert(token).values(**facts, created_at=now, expires_at=expires_at).returning(token.c.id)
        return int(self._execute(new).scalar_one())

    def forget_tokens(self, before: float) -> None:
        """Forget what has proved nothing since before a moment."""
        self._execute(delete(token).where(or_(token.c.expires_at < before, token.c.revoked_at < before)))

    def use_token(self, id: int, revoke: bool = False, now: float | None = None) -> bool:
        """Record that a token was used; with `revoke` it was for the last time. False: it was revoked before."""
        now = or_present(now)
        facts = {"used_at": now} | ({"revoked_at": now} if revoke else {})
        changed = update(token).where(token.c.id == id, token.c.revoked_at.is_(None)).values(facts)
        return self._execute(changed).rowcount == 1

    def revoke_tokens(
        self, name: str, id: int | None = None, kind: TokenKind | None = None, now: float | None = None
    ) -> int:
        """Have a token of a user, those of a kind, or all, prove nothing more; return how many did until now."""
        chosen = update(token).where(token.c.owner == name, token.c.revoked_at.is_(None))
        if id is not None:
            chosen = chosen.where(token.c.id == id)
        if kind is not None:
            chosen = chosen.where(token.c.kind == kind)
        return int(self._execute(chosen.values(revoked_at=or_present(now))).rowcount)

    def add_audit(
        self,
        caller: str,
        address: str,
        verb: str,
        about: str,
        outcome: str,
        data: JsonObject | None = None,
        now: float | None = None,
    ) -> None:
        """Add to the audit log."""
        facts = {"caller": caller, "address": address, "verb": verb, "about": clean(about), "outcome": outcome}
        self._execute(insert(audit).values(**facts, data=data or {}, time=or_present(now)))
