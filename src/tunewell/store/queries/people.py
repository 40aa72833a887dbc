"""Reading users, what they prove themselves by, and the audit log."""

from __future__ import annotations

import time

from sqlalchemy import func, or_, select

from tunewell.spec.errors import NotFoundError
from tunewell.store.queries.reader import Reader
from tunewell.store.rows import AuditRow, TokenRow, UsageRow, UserRow
from tunewell.store.tables import account, audit, token, usage


class PeopleQueries(Reader):
    """The part of the store that reads about people."""

    def users(self, after: str = "", limit: int | None = None) -> list[UserRow]:
        """Return the users by name, at most `limit`, beginning behind the name `after`."""
        query = select(account).where(account.c.name > after).order_by(account.c.name).limit(limit)
        return [UserRow(**row._mapping) for row in self._read(query)]

    def find_user(self, name: str) -> UserRow | None:
        """Return a user, None if there is none of this name."""
        rows = self._read(select(account).where(account.c.name == name))
        return UserRow(**rows[0]._mapping) if rows else None

    def user(self, name: str) -> UserRow:
        """Return a user."""
        found = self.find_user(name)
        if found is None:
            raise NotFoundError(f"There is no user '{name}'.")
        return found

    def usage(self, month: str) -> list[UsageRow]:
        """Return what users have used in a month (`2026-03`), of those who have used anything."""
        query = select(usage).where(usage.c.month == month).order_by(usage.c.owner)
        return [UsageRow(**row._mapping) for row in self._read(query)]

    def find_token(self, sha256: str) -> TokenRow | None:
        """Return the token with a checksum, whether or not it still proves anything; None if there is none."""
        rows = self._read(select(token).where(token.c.sha256 == sha256))
        return TokenRow(**rows[0]._mapping) if rows else None

    def tokens(
        self, name: str, before: int | None = None, limit: int | None = None, now: float | None = None
    ) -> list[TokenRow]:
        """Return the tokens of a user that prove something, the latest first, with ids below `before`."""
        now = time.time() if now is None else now
        query = select(token).where(
            token.c.owner == name,
            token.c.revoked_at.is_(None),
            or_(token.c.expires_at.is_(None), token.c.expires_at > now),
        )
        if before is not None:
            query = query.where(token.c.id < before)
        return [TokenRow(**row._mapping) for row in self._read(query.order_by(token.c.id.desc()).limit(limit))]

    def token_owner(self, id: int) -> str | None:
        """Return whose a token is, None if there is none with this id."""
        rows = self._read(select(token.c.owner).where(token.c.id == id))
        return rows[0].owner if rows else None

    def has_sign_in(self) -> bool:
        """Whether somebody has ever signed in."""
        done = (audit.c.verb == "sign_in", audit.c.outcome == "done")
        return bool(self._read(select(audit.c.id).where(*done).order_by(audit.c.id).limit(1)))

    def audits(
        self, before: int | None = None, limit: int = 100, caller: str | None = None, verb: str | None = None
    ) -> list[AuditRow]:
        """Return the audit log, the latest first, beginning before (older than) the entry with id `before`."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        if caller is not None:
            query = query.where(audit.c.caller == caller)
        if verb is not None:
            query = query.where(audit.c.verb == verb)
        return [AuditRow(**row._mapping) for row in self._read(query)]

    def audited_verbs(self) -> list[str]:
        """Return the verbs that the audit log has, in their alphabetical order."""
        # From one to the next through the index: to look at all entries would take as long as there are many.
        verbs = select(func.min(audit.c.verb).label("verb")).cte("verbs", recursive=True)
        following = select(func.min(audit.c.verb)).where(audit.c.verb > verbs.c.verb).scalar_subquery()
        verbs = verbs.union_all(select(following).where(verbs.c.verb.is_not(None)))
        return [row.verb for row in self._read(select(verbs.c.verb).where(verbs.c.verb.is_not(None)))]
