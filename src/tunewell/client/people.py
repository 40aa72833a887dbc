"""The verbs on people, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from httpx2 import Response

from tunewell.client.requests import Asking, part
from tunewell.service import types, verbs
from tunewell.service.types import Page


class PeopleClient(Asking):
    """See `Verbs`; those that give a secret are not sent again if their answer is cut: there would be two secrets."""

    def me(self) -> types.Me:
        return self._get(types.Me, "/me")

    def usage(
        self, *, month: str | None = None, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.UserUsage]:
        return self._get(Page[types.UserUsage], "/usage", month=month, cursor=cursor, limit=limit)

    def users(self, *, cursor: str | None = None, limit: int = verbs.PAGE) -> Page[types.User]:
        return self._get(Page[types.User], "/users", cursor=cursor, limit=limit)

    def user(self, name: str) -> types.User:
        return self._get(types.User, f"/users/{part(name)}")

    def add_user(self, name: str, facts: Mapping[str, Any] = verbs.NOTHING, *, key: str | None = None) -> types.User:
        return self._command(types.User, "POST", "/users", {**facts, "name": name}, key=key)

    def change_user(self, name: str, changes: Mapping[str, Any], *, key: str | None = None) -> types.User:
        return self._command(types.User, "PATCH", f"/users/{part(name)}", dict(changes), key=key)

    def sign_in_link(self, name: str, *, key: str | None = None) -> types.SignInLink:
        return self._read(types.SignInLink, self._told_once(f"/users/{part(name)}/link", None, key))

    def tokens(
        self, *, owner: str | None = None, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.Token]:
        return self._get(Page[types.Token], "/tokens", owner=owner, cursor=cursor, limit=limit)

    def create_token(
        self, label: str, expires_at: datetime | None = None, *, owner: str | None = None, key: str | None = None
    ) -> types.NewToken:
        until = expires_at.isoformat() if expires_at is not None else None
        body = {"label": label, "expires_at": until, "owner": owner}
        return self._read(types.NewToken, self._told_once("/tokens", body, key))

    def _told_once(self, path: str, body: Any, key: str | None) -> Response:
        """Have a secret made; with a key it is made once, however often that is asked for."""
        if key is None:
            return self._connection.once("POST", path, body)
        return self._connection.command("POST", path, body, key=key)

    def revoke_token(self, id: int, *, key: str | None = None) -> None:
        self._connection.command("DELETE", f"/tokens/{id}", key=key)

    def audit(
        self,
        *,
        caller: str | None = None,
        verb: str | None = None,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.AuditEntry]:
        return self._get(Page[types.AuditEntry], "/audit", caller=caller, verb=verb, cursor=cursor, limit=limit)

    def audited_verbs(self) -> tuple[str, ...]:
        return self._get(Page[str], "/audit/verbs").items
