"""What callers are told of channels and deliveries: no secret, and of a URL only where it leads."""

from __future__ import annotations

from collections.abc import Sequence

from tunewell.service.notifications import hosts
from tunewell.service.notifications.hearing import may_hear
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.sending import NO_MAIL
from tunewell.service.rights import Rights
from tunewell.service.types import AllowedHost, Caller, Channel, Delivery
from tunewell.service.wire import moment
from tunewell.spec.errors import UserError, ended
from tunewell.store.rows import AllowedHostRow, ChannelRow, DeliveryRow


def delivery(row: DeliveryRow, rights: Rights) -> Delivery:
    """Return a delivery; what it is about only to whoever may still hear it."""
    return Delivery(
        id=row.id,
        channel=row.channel_id,
        message=row.message,
        event=row.event,
        search=row.facts.get("search") if may_hear(rights, row.facts) else None,
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        error=row.error,
        created_at=moment(row.created_at),
        tried_at=moment(row.tried_at),
        next_at=moment(row.next_at),
        ended_at=moment(row.ended_at),
    )


def channel(
    row: ChannelRow,
    latest: DeliveryRow | None,
    allowed: Sequence[AllowedHostRow],
    outgoing: Outgoing,
    rights: Rights,
) -> Channel:
    """Return a channel, with what is in the way of sending there."""
    problem, host = _problem(row, allowed, outgoing, rights.caller)
    return Channel(
        id=row.id,
        owner=row.owner,
        kind=row.kind,
        label=row.label,
        target=row.target if row.kind == "mail" else _shown(row.target),
        body=row.body,
        events=row.events,
        searches=row.searches,
        project=row.project,
        active=row.active,
        confirmed=row.confirmed_at is not None,
        problem=problem,
        host_to_allow=host,
        created_at=moment(row.created_at),
        resting_until=moment(row.resting_until),
        latest=delivery(latest, rights) if latest is not None else None,
    )


def allowed_host(row: AllowedHostRow) -> AllowedHost:
    """Return a host of the list."""
    return AllowedHost(
        host=row.host,
        port=row.port,
        plain_http=row.plain_http,
        private=row.private,
        created_at=moment(row.created_at),
    )


def _shown(url: str) -> str:
    try:
        return hosts.parse_url(url).shown
    except UserError:  # it was taken once
        return "a URL that nothing is sent to"


def _problem(
    row: ChannelRow, allowed: Sequence[AllowedHostRow], outgoing: Outgoing, caller: Caller
) -> tuple[str, str | None]:
    """Return what is in the way of sending there, and the host that would have to be allowed for it."""
    if not row.active:
        return row.reason or "Nothing is sent here: it was switched off.", None
    if row.kind == "mail":
        if row.confirmed_at is None:
            return "Nothing but a code is sent here until the address is confirmed with it.", None
        no_mail = outgoing.mail is None and not caller.local  # who is on the machine does not know how it is served
        return (NO_MAIL if no_mail else ""), None
    try:
        hosts.find(allowed, hosts.parse_url(row.target))
    except UserError as error:
        return ended(error.what), error.facts.get("host")
    return "", None
