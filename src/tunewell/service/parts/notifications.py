"""The verbs on notifications, carried out in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewell import service
from tunewell.service import types, verbs
from tunewell.service.idempotency import Asked
from tunewell.service.parts.part import Part
from tunewell.service.types import Page
from tunewell.spec.notifications import ChannelKind, NotifiedEvent, NotifiedSearches, WebhookBody


class NotificationsPart(Part):
    """See `tunewell.service.notification_verbs.NotificationVerbs`."""

    @property
    def _channels(self) -> service.notifications.channels.Channels:
        return service.notifications.channels.Channels(self._rights, self.outgoing)

    def channels(self, *, everyone: bool = False) -> tuple[types.Channel, ...]:
        """See `NotificationVerbs.channels`."""
        return self._channels.all(everyone)

    def channel(self, id: int) -> types.Channel:
        """See `NotificationVerbs.channel`."""
        return self._channels.one(id)

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
        """See `NotificationVerbs.add_channel`."""
        facts = {"events": tuple(events), "searches": searches, "project": project, "label": label}
        return self._channels.add(target, kind, body, facts)

    def change_channel(self, id: int, changes: Mapping[str, Any], *, key: str | None = None) -> types.Channel:
        """See `NotificationVerbs.change_channel`."""
        return self._channels.change(id, changes, key)

    def remove_channel(self, id: int, *, key: str | None = None) -> None:
        """See `NotificationVerbs.remove_channel`."""
        self._channels.remove(id, key)

    def confirm_channel(self, id: int, code: str, *, key: str | None = None) -> types.Channel:
        """See `NotificationVerbs.confirm_channel`."""
        return self._channels.confirm(id, code, key)

    def test_channel(self, id: int) -> types.Delivery:
        """See `NotificationVerbs.test_channel`."""
        return self._channels.test(id)

    def deliveries(self, id: int, *, cursor: str | None = None, limit: int = verbs.PAGE) -> Page[types.Delivery]:
        """See `NotificationVerbs.deliveries`."""
        return self._channels.deliveries(id, cursor, limit)

    def redeliver(self, id: int, delivery: int, *, key: str | None = None) -> types.Delivery:
        """See `NotificationVerbs.redeliver`."""
        return self._channels.redeliver(id, delivery, key)

    def allowed_hosts(self) -> tuple[types.AllowedHost, ...]:
        """See `NotificationVerbs.allowed_hosts`."""
        return tuple(map(service.notifications.told.allowed_host, self.store.allowed_hosts()))

    def allow_host(
        self,
        host: str,
        *,
        port: int = 443,
        plain_http: bool = False,
        private: bool = False,
        key: str | None = None,
    ) -> types.AllowedHost:
        """See `NotificationVerbs.allow_host`."""
        given = {"host": host, "port": port, "plain_http": plain_http, "private": private}
        asked = Asked("allow_host", self.caller, key, given)
        return service.notifications.allowing.allow(self.store, host, port, plain_http, private, asked)

    def withdraw_host(self, host: str, *, port: int = 443, key: str | None = None) -> None:
        """See `NotificationVerbs.withdraw_host`."""
        service.notifications.allowing.withdraw(
            self.store, host, port, Asked("withdraw_host", self.caller, key, {"host": host, "port": port})
        )
