"""The verbs on notifications, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewell.client.requests import Asking, part
from tunewell.service import types, verbs
from tunewell.service.types import Page
from tunewell.spec.notifications import ChannelKind, NotifiedEvent, NotifiedSearches, WebhookBody


class NotificationsClient(Asking):
    """See `NotificationVerbs`; what gives a secret, or sends at once, is not sent again if its answer is cut."""

    def channels(self, *, everyone: bool = False) -> tuple[types.Channel, ...]:
        return self._get(Page[types.Channel], "/channels", everyone=everyone or None).items

    def channel(self, id: int) -> types.Channel:
        return self._get(types.Channel, f"/channels/{id}")

    def add_channel(
        self,
        target: str,
        *,
        kind: ChannelKind = "webhook",
        body: WebhookBody = "json",
        label: str = "",
        events: Sequence[NotifiedEvent] = ("ended",),
        searches: NotifiedSearches = "own",
        project: str = "",
    ) -> types.NewChannel:
        told = {"events": list(events), "searches": searches, "project": project, "label": label}
        asked = {"target": target, "kind": kind, "body": body, **told}
        return self._read(types.NewChannel, self._connection.once("POST", "/channels", asked))

    def change_channel(self, id: int, changes: Mapping[str, Any], *, key: str | None = None) -> types.Channel:
        return self._command(types.Channel, "PATCH", f"/channels/{id}", dict(changes), key=key)

    def remove_channel(self, id: int, *, key: str | None = None) -> None:
        self._connection.command("DELETE", f"/channels/{id}", key=key)

    def confirm_channel(self, id: int, code: str, *, key: str | None = None) -> types.Channel:
        return self._command(types.Channel, "POST", f"/channels/{id}/confirm", {"code": code}, key=key)

    def test_channel(self, id: int) -> types.Delivery:
        return self._read(types.Delivery, self._connection.once("POST", f"/channels/{id}/test"))

    def deliveries(self, id: int, *, cursor: str | None = None, limit: int = verbs.PAGE) -> Page[types.Delivery]:
        return self._get(Page[types.Delivery], f"/channels/{id}/deliveries", cursor=cursor, limit=limit)

    def redeliver(self, id: int, delivery: int, *, key: str | None = None) -> types.Delivery:
        path = f"/channels/{id}/deliveries/{delivery}/redeliver"
        return self._command(types.Delivery, "POST", path, key=key)

    def allowed_hosts(self) -> tuple[types.AllowedHost, ...]:
        return self._get(Page[types.AllowedHost], "/allowed-hosts").items

    def allow_host(
        self,
        host: str,
        *,
        port: int = 443,
        plain_http: bool = False,
        private: bool = False,
        key: str | None = None,
    ) -> types.AllowedHost:
        asked = {"host": host, "port": port, "plain_http": plain_http, "private": private}
        return self._command(types.AllowedHost, "POST", "/allowed-hosts", asked, key=key)

    def withdraw_host(self, host: str, *, port: int = 443, key: str | None = None) -> None:
        self._connection.command("DELETE", f"/allowed-hosts/{part(host)}", key=key, params={"port": port})
