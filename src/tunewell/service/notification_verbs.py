"""The verbs on notifications. They are a part of `tunewell.service.verbs.Verbs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tunewell.service.types import AllowedHost, Channel, Delivery, NewChannel, Page
from tunewell.spec.notifications import ChannelKind, NotifiedEvent, NotifiedSearches, WebhookBody

#: Items of a page, where nothing else is said; that of `tunewell.service.verbs`, which has this module as a part.
_PAGE = 100


class NotificationVerbs(Protocol):
    """What can be done with notifications. A channel is its user's alone; administrators see it and may remove it."""

    def channels(self, *, everyone: bool = False) -> tuple[Channel, ...]:
        """Return the caller's channels, the oldest first; `everyone`: those of all, for administrators."""

    def channel(self, id: int) -> Channel:
        """Return a channel."""

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
    ) -> NewChannel:
        """Add a channel. A webhook's secret is on no record that is read, so this takes no key.

        A mail's address is sent a code, and nothing else until its owner has confirmed it; see `confirm_channel`.

        Args:
            target: a URL, or an address.
            kind: which of the two it is.
            body: what a webhook is sent: facts for programs, or a message as Slack takes it.
            label: what the caller calls it.
            events: what it is told of; `disk_low` is for administrators. Of an end it is told once: as `target_reached`
                or `failed`, if it is told of these, or else as `ended`.
            searches: which searches it is told of: one's own, all that one may see, or those of a `project`.
            project: which one.

        Raises:
            ForbiddenError: no administrator has allowed the host (kind `host-not-allowed`).
            ConflictError: the caller has too many channels, or the service sends no mail.
        """

    def change_channel(self, id: int, changes: Mapping[str, Any], *, key: str | None = None) -> Channel:
        """Change what a channel is told of: `events`, `searches`, `project`, `label`, `active`.

        What waits for one that is no longer active is given up.
        """

    def remove_channel(self, id: int, *, key: str | None = None) -> None:
        """Remove a channel; what waits for it is given up."""

    def confirm_channel(self, id: int, code: str, *, key: str | None = None) -> Channel:
        """Confirm the address of a channel by the code that it was sent.

        Raises:
            SpecError: it is another one.
            ConflictError: there were too many wrong ones: have another code sent.
        """

    def test_channel(self, id: int) -> Delivery:
        """Send a test message now, once, and say what has come of it.

        An address that is not confirmed is sent a new code instead.

        Raises:
            ConflictError: it was asked for too often, or the channel is not active.
        """

    def deliveries(self, id: int, *, cursor: str | None = None, limit: int = _PAGE) -> Page[Delivery]:
        """Return what was sent to a channel within 30 days, or is to be, the latest first."""

    def redeliver(self, id: int, delivery: int, *, key: str | None = None) -> Delivery:
        """Have what has ended sent to a channel again, as the same message.

        Raises:
            ConflictError: it is still tried, or the channel is not active.
        """

    def allowed_hosts(self) -> tuple[AllowedHost, ...]:
        """Return the hosts that notifications may be sent to, sorted."""

    def allow_host(
        self,
        host: str,
        *,
        port: int = 443,
        plain_http: bool = False,
        private: bool = False,
        key: str | None = None,
    ) -> AllowedHost:
        """Let notifications be sent to a host, or change what is allowed of it. For administrators.

        Args:
            host: a name, an address, or `*.example.org` for all names that end so.
            port: the only one that counts.
            plain_http: whether http:// is allowed, which anybody on the way reads.
            private: whether it may lead to addresses that are not of the public internet.
            key: see `Verbs`.
        """

    def withdraw_host(self, host: str, *, port: int = 443, key: str | None = None) -> None:
        """Let nothing be sent to a host any more. For administrators."""
