"""Verbs on people, carried out in this process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tunewell import service
from tunewell.service import types, verbs
from tunewell.service.idempotency import Asked
from tunewell.service.parts.part import Part
from tunewell.service.types import Page


class PeoplePart(Part):
    """See `tunewell.service.verbs.Verbs`."""

    # People -----------------------------------------------------------------------------------------------

    def me(self) -> types.Me:
        """See `Verbs.me`."""
        return service.people.me(self.store, self.caller)

    def usage(
        self, *, month: str | None = None, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.UserUsage]:
        """See `Verbs.usage`."""
        everybody = self.caller.role == "administrator"
        found = (
            service.people.users(self.store, cursor, limit)
            if everybody
            else service.people.only(self.store, self.caller.name)
        )
        return Page[types.UserUsage](items=service.usage.usage(self.store, found.items, month), next=found.next)

    def users(self, *, cursor: str | None = None, limit: int = verbs.PAGE) -> Page[types.User]:
        """See `Verbs.users`."""
        service.people.check_administrator(self.caller)
        return service.people.users(self.store, cursor, limit)

    def user(self, name: str) -> types.User:
        """See `Verbs.user`."""
        service.people.check_administrator(self.caller)
        return service.people.user(self.store, name)

    def add_user(self, name: str, facts: Mapping[str, Any] = verbs.NOTHING, *, key: str | None = None) -> types.User:
        """See `Verbs.add_user`."""
        service.people.check_administrator(self.caller)
        asked = Asked("add_user", self.caller, key, {"name": name, "facts": dict(facts)})
        return service.people.add_user(self.store, name, facts, asked)

    def change_user(self, name: str, changes: Mapping[str, Any], *, key: str | None = None) -> types.User:
        """See `Verbs.change_user`."""
        service.people.check_administrator(self.caller)
        asked = Asked("change_user", self.caller, key, {"name": name, "changes": dict(changes)})
        changed = service.people.change_user(self.store, name, changes, asked)
        self.gate.forget()
        return changed

    def sign_in_link(self, name: str, *, key: str | None = None) -> types.SignInLink:
        """See `Verbs.sign_in_link`."""
        service.people.check_administrator(self.caller)
        return service.people.sign_in_link(self.store, name, Asked("sign_in_link", self.caller, key, {"name": name}))

    def tokens(
        self, *, owner: str | None = None, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.Token]:
        """See `Verbs.tokens`."""
        return service.people.tokens(self.store, self._self_or(owner), cursor, limit)

    def create_token(
        self, label: str, expires_at: datetime | None = None, *, owner: str | None = None, key: str | None = None
    ) -> types.NewToken:
        """See `Verbs.create_token`."""
        whose = self._self_or(owner)
        arguments = {"label": label, "expires_at": expires_at, "owner": whose}
        asked = Asked("create_token", self.caller, key, arguments)
        return service.people.create_token(self.store, whose, label, expires_at, asked)

    def revoke_token(self, id: int, *, key: str | None = None) -> None:
        """See `Verbs.revoke_token`."""
        service.people.revoke_token(self.store, id, Asked("revoke_token", self.caller, key, {"id": id}))
        self.gate.forget()

    def audit(
        self,
        *,
        caller: str | None = None,
        verb: str | None = None,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.AuditEntry]:
        """See `Verbs.audit`."""
        service.people.check_administrator(self.caller)
        return service.people.audit(self.store, caller, verb, cursor, limit)

    def audited_verbs(self) -> tuple[str, ...]:
        """See `Verbs.audited_verbs`."""
        service.people.check_administrator(self.caller)
        return tuple(self.store.audited_verbs())

    def _self_or(self, owner: str | None) -> str:
        """Return whom a verb is about: the caller, or whomever an administrator names."""
        if owner is not None and owner != self.caller.name:
            service.people.check_administrator(self.caller)
        return owner or self.caller.name
