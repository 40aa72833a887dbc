"""Where notifications go, and what has become of them."""

from __future__ import annotations

from pydantic import Field

from tunewell.service.types.base import Moment, Wire
from tunewell.spec.notifications import (
    ChannelKind,
    DeliveryState,
    MessageKind,
    NotifiedEvent,
    NotifiedSearches,
    WebhookBody,
)


class AllowedHost(Wire):
    """A host that notifications may be sent to."""

    #: A name, an address, or `*.` and what names end in.
    host: str
    port: int
    #: Whether notifications may go there without TLS.
    plain_http: bool
    #: Whether it may lead to addresses that are not of the public internet.
    private: bool
    created_at: Moment


class Delivery(Wire):
    """A notification on its way to a channel."""

    id: int
    #: Id of the channel.
    channel: int
    #: What its receiver knows it by, however often it is sent: `webhook-id`, or a part of the `Message-ID`.
    message: str
    #: What it tells of; `confirmation` asks whether an address is its owner's.
    event: MessageKind
    #: Full name of the search; null: it is about none.
    search: str | None
    state: DeliveryState
    #: How often it was tried.
    attempts: int
    #: What the receiver answered to the latest attempt: a status of HTTP or SMTP; null: nothing.
    status: int | None
    #: What is wrong with the latest attempt; empty: nothing.
    error: str
    created_at: Moment
    #: Null: not yet.
    tried_at: Moment | None
    #: When it is tried next; null: never.
    next_at: Moment | None
    #: When it was delivered or given up; null: neither.
    ended_at: Moment | None


class Channel(Wire):
    """Where notifications of a user go."""

    id: int
    #: Name of the user.
    owner: str
    kind: ChannelKind
    #: What its owner calls it.
    label: str
    #: The mail address, or scheme and host of the URL: the rest may be a secret, and is told nobody.
    target: str
    #: What a webhook is sent: facts for programs, or a message as Slack takes it; null: it is a mail.
    body: WebhookBody | None
    #: What it is told of.
    events: tuple[NotifiedEvent, ...]
    #: Which searches it is told of: its owner's, all that its owner may see, or those of a project.
    searches: NotifiedSearches
    #: With `project`: which one; empty otherwise.
    project: str
    #: Whether anything is sent there.
    active: bool
    #: Whether its owner has confirmed the address; a webhook needs no confirmation.
    confirmed: bool
    #: Why nothing is sent there now, and what to do about it; empty: nothing is in the way.
    problem: str
    #: The host that an administrator would have to allow; null: nothing is to be allowed.
    host_to_allow: str | None
    created_at: Moment
    #: Until when its receiver wants to be left alone; null: it has not said so.
    resting_until: Moment | None
    #: What was sent there last, or is to be; null: nothing yet.
    latest: Delivery | None


class NewChannel(Wire):
    """A channel that was just added, and the secret that signs what it is sent, which is shown only once."""

    channel: Channel
    #: Null: it is a mail.
    secret: str | None = Field(repr=False)
