"""What notifications are about, and where they go."""

from __future__ import annotations

from typing import Literal

#: How a notification travels.
ChannelKind = Literal["webhook", "mail"]
#: What a webhook is sent: facts for programs, or a message as Slack and what understands its messages show it.
WebhookBody = Literal["json", "slack"]
#: What a channel can be told of: a search has ended, has reached its target, or has failed; the disk is nearly full.
NotifiedEvent = Literal["ended", "target_reached", "failed", "disk_low"]
#: Which searches a channel is told of: those of its owner, all that its owner may see, or those of a project of them.
NotifiedSearches = Literal["own", "all", "project"]
#: What a message is: one of the events, a test, or the question whether an address is its owner's.
MessageKind = Literal["ended", "target_reached", "failed", "disk_low", "test", "confirmation"]
#: What has become of a message to a channel.
DeliveryState = Literal["waiting", "delivered", "failed"]

#: For how long a message is tried, in seconds.
PATIENCE_SECONDS = 24 * 3600.0


def host_and_port(text: str, port: int = 443) -> tuple[str, int]:
    """Return what `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or a URL names; `port`: where it names none."""
    text = text.strip()
    if "://" in text:
        text = text.partition("://")[2].partition("/")[0]
    host, _, number = text.rpartition(":")
    if (
        host
        and number.isascii()
        and number.isdecimal()
        and len(number) <= 5
        and (":" not in host or host.endswith("]"))
    ):
        return host, int(number)
    return text, port
