"""One attempt to get a message to where a channel leads."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from tunewell.service.notifications import hosts, posting, wording
from tunewell.service.notifications.hearing import may_hear
from tunewell.service.notifications.mail import Mail, Refused
from tunewell.service.notifications.mail import send as send_mail
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.notifications.signing import signed
from tunewell.service.notifications.wording import Telling
from tunewell.service.rights import Rights, caller_of
from tunewell.spec.errors import NotFoundError, UserError
from tunewell.store.rows import ChannelRow, DeliveryRow, JsonObject
from tunewell.store.store import Store

#: Why no mail is sent.
NO_MAIL = "This service sends no mail: whoever runs it can name a mail server."
_GONE = 410
#: What tells that a receiver wants to be left alone for a while.
_LATER = (429, 503)
_USER_AGENT = "Tunewell"


def public_address(address: str | None) -> str:
    """Return the address of a service for links in messages; empty where it is found from its own machine alone."""
    host = urlsplit(address or "").hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host in ("", "localhost")
    return "" if is_here else (address or "").rstrip("/")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of an attempt."""

    #: What is wrong, a sentence; empty: it has arrived.
    error: str = ""
    #: What the receiver answered; None: nothing.
    status: int | None = None
    #: Whether another try can't be answered otherwise.
    for_good: bool = False
    #: Whether the receiver wants to hear nothing any more.
    is_gone: bool = False
    #: In how many seconds the receiver wants to hear of us again; None: it has not said so.
    rest_seconds: float | None = None


def send(store: Store, outgoing: Outgoing, channel: ChannelRow, row: DeliveryRow) -> Outcome:
    """Send a message; what can't be is told in the outcome."""
    facts = row.facts
    if not _may_hear(store, channel.owner, facts):
        return Outcome("What it tells is not to be seen by the channel's owner any more.", for_good=True)
    if row.event == "confirmation":  # the code is the present one, and on no other record
        facts = {"user": channel.owner, "channel": channel.id, "code": channel.secret}
    telling = Telling(row.event, facts, row.created_at, outgoing.address)
    if channel.kind == "mail":
        return _mail(outgoing, channel, row.message, telling)
    return _post(store, channel, row.message, telling)


def _may_hear(store: Store, owner: str, facts: JsonObject) -> bool:
    try:
        return may_hear(Rights(store, caller_of(store, owner)), facts)
    except NotFoundError:  # shut out, or gone
        return False


def _mail(outgoing: Outgoing, channel: ChannelRow, message: str, telling: Telling) -> Outcome:
    if outgoing.mail is None:
        return Outcome(NO_MAIL)
    texts = (wording.subject_of(telling), wording.text_of(telling), wording.html_of(telling))
    try:
        return Outcome(status=send_mail(outgoing.mail, Mail(channel.target, *texts, message)))
    except Refused as error:
        return Outcome(str(error), error.status, error.for_good)


def _post(store: Store, channel: ChannelRow, message: str, telling: Telling) -> Outcome:
    try:
        place = hosts.parse_url(channel.target)
        allowed = hosts.find(store.allowed_hosts(), place)
    except UserError as error:
        return Outcome(f"{error.what}.")
    body = wording.slack_of(telling) if channel.body == "slack" else wording.json_of(telling)
    headers = {"Content-Type": "application/json", "User-Agent": _USER_AGENT}
    headers |= signed(channel.secret, message, int(time.time()), body)
    try:
        answer = posting.post(place, allowed.private, body, headers)
    except posting.Unsent as error:
        return Outcome(f"{place.host} {error}.")
    return _outcome(place.host, answer)


def _outcome(host: str, answer: posting.Answer) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(status=status)
    if status == _GONE:
        return Outcome(f"{host} answers that nothing is to be sent there any more (410).", status, True, True)
    if 300 <= status < 400:
        where = f" ({answer.location})" if answer.location.isprintable() and answer.location else ""
        error = f"{host} leads to another address{where}, which is not followed. Name that one, if it is meant."
        return Outcome(error, status)
    rest = answer.rest_seconds if status in _LATER else None
    return Outcome(f"{host} answers {status}.", status, rest_seconds=rest)
