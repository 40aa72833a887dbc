"""Channels: what a user is told of, and where."""

from __future__ import annotations

import hmac
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from tunewell.service.idempotency import Asked, once
from tunewell.service.lists import bad_cursor, checked_limit
from tunewell.service.notifications import deliverer, hosts, mail, signing, told
from tunewell.service.notifications.facts import check_one_of, checked_facts
from tunewell.service.notifications.hearing import may_hear
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.service.people import note
from tunewell.service.rights import Rights
from tunewell.service.types import Channel, Delivery, JsonObject, NewChannel, Page
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, SpecError, shown
from tunewell.spec.notifications import PATIENCE_SECONDS, ChannelKind, MessageKind, WebhookBody
from tunewell.spec.problems import Problems
from tunewell.store.rows import ChannelRow, DeliveryRow
from tunewell.store.transaction import Transaction

#: Channels of a user.
MOST_CHANNELS = 20
#: Mails that ask for confirmation: of a user in an hour, to an address in a day.
MOST_CONFIRMATIONS, MOST_TO_ADDRESS = 5, 3
#: Wrong codes after which another code is needed, and its digits.
MOST_WRONG_CODES, _CODE_DIGITS = 5, 8
#: Test messages to a channel in an hour.
MOST_TESTS = 20
_HOUR_SECONDS, _DAY_SECONDS = 3600.0, 24 * 3600.0
_MOST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels as one caller sees them."""

    rights: Rights
    outgoing: Outgoing

    # Reading ----------------------------------------------------------------------------------------------

    def all(self, everyone: bool) -> tuple[Channel, ...]:
        """Return the caller's channels, or those of everyone."""
        if everyone and self.rights.caller.role != "administrator":
            raise ForbiddenError(f"{self.rights.caller.name} is no administrator", remedy="Ask one")
        owner = None if everyone else self.rights.caller.name
        store = self.rights.store
        latest, allowed = store.latest_deliveries(owner), store.allowed_hosts()
        rows = store.channels(owner)
        return tuple(told.channel(row, latest.get(row.id), allowed, self.outgoing, self.rights) for row in rows)

    def one(self, id: int) -> Channel:
        """Return a channel that the caller may see."""
        row, store = self._seen(id), self.rights.store
        latest = next(iter(store.deliveries(id, 1)), None)
        return told.channel(row, latest, store.allowed_hosts(), self.outgoing, self.rights)

    def deliveries(self, id: int, cursor: str | None, limit: int) -> Page[Delivery]:
        """Return what was sent to a channel, the latest first."""
        self._seen(id)
        if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
            raise bad_cursor(cursor)
        before = int(cursor) if cursor is not None else None
        rows = self.rights.store.deliveries(id, checked_limit(limit) + 1, before)
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return Page[Delivery](items=tuple(told.delivery(row, self.rights) for row in rows[:limit]), next=more)

    def _seen(self, id: int) -> ChannelRow:
        row = self.rights.store.find_channel(id) if 0 < id <= _MOST_ID else None
        caller = self.rights.caller
        if row is None or (row.owner != caller.name and caller.role != "administrator"):
            raise NotFoundError(f"There is no channel {id}")
        return row

    def _own(self, id: int) -> ChannelRow:
        """Return a channel of the caller's, who may change it."""
        self.rights.check_acts()
        row = self._seen(id)
        if row.owner != self.rights.caller.name:
            raise ForbiddenError(f"Channel {id} belongs to {row.owner}, who alone uses it", remedy="Remove it, at most")
        return row

    # Changing ---------------------------------------------------------------------------------------------

    def add(self, target: str, kind: ChannelKind, body: WebhookBody, facts: Mapping[str, Any]) -> NewChannel:
        """Add a channel; `facts` are those that can be changed later on."""
        self.rights.check_acts()
        caller, store, now = self.rights.caller, self.rights.store, time.time()
        checked: dict[str, Any] = {}
        problems = Problems()
        with problems.gathering():
            checked = checked_facts(facts, caller)
        with problems.gathering():
            self._check_target(target, kind, body)
        problems.raise_any("The channel")
        if len(store.channels(caller.name)) >= MOST_CHANNELS:
            raise ConflictError(f"You have {MOST_CHANNELS} channels, which is the most", remedy="Remove one first")
        is_mail = kind == "mail"
        if is_mail:
            self._check_confirmations(target, now)
        row = ChannelRow(
            id=0,
            owner=caller.name,
            kind=kind,
            target=target,
            body=None if is_mail else body,
            secret=_new_code() if is_mail else signing.new_secret(),
            **checked,
            active=True,
            reason="",
            created_at=now,
            confirmed_at=None if is_mail else now,
            wrong_codes=0,
            resting_until=None,
            removed_at=None,
        )
        with store.transaction() as tx:
            id = tx.add_channel(row)
            if is_mail:
                tx.add_delivery(_delivery(id, "confirmation", now, now + PATIENCE_SECONDS))
            note(tx, self._asked("add_channel", None, {}), str(id))
        return NewChannel(channel=self.one(id), secret=None if is_mail else row.secret)

    def change(self, id: int, changes: Mapping[str, Any], key: str | None) -> Channel:
        """Change what a channel is told of, and whether anything is sent there."""
        asked = self._asked("change_channel", key, {"id": id, "changes": dict(changes)})
        row = self._own(id)
        given = {"events": row.events, "searches": row.searches, "project": row.project, "label": row.label, **changes}
        active = given.pop("active", row.active)
        problems, facts = Problems(), {}
        with problems.gathering():
            facts = checked_facts(given, self.rights.caller)
        if not isinstance(active, bool):
            problems.add(SpecError("active", f"{shown(active)} is not possible", "Give true or false", active))
        problems.raise_any("What is said of the channel")

        def act(tx: Transaction) -> JsonObject:
            became = {"reason": ""} if active != row.active else {}
            tx.set_channel(id, {**facts, "events": list(facts["events"]), "active": active, **became})
            note(tx, asked, str(id), {"fields": sorted(changes)})
            return {}

        once(self.rights.store, asked, act)
        return self.one(id)

    def remove(self, id: int, key: str | None) -> None:
        """Remove a channel."""
        asked = self._asked("remove_channel", key, {"id": id})
        self.rights.check_acts()

        def act(tx: Transaction) -> JsonObject:
            self._seen(id)
            tx.remove_channel(id)
            note(tx, asked, str(id))
            return {}

        once(self.rights.store, asked, act)

    def confirm(self, id: int, code: str, key: str | None) -> Channel:
        """Confirm an address by the code that it was sent."""
        asked = self._asked("confirm_channel", key, {"id": id, "code": code})
        row = self._own(id)
        if row.confirmed_at is not None:
            return self.one(id)
        with self.rights.store.transaction() as tx:  # first, so that no more are made at the same moment
            if not tx.take_try(id, MOST_WRONG_CODES):
                raise ConflictError("There were too many wrong codes", field="code", remedy="Have another code sent")
        if not hmac.compare_digest(code.strip().encode("utf-8", "replace"), row.secret.encode()):
            raise SpecError("code", "it is not the code that was sent", "Give the one of the latest mail")

        def act(tx: Transaction) -> JsonObject:
            tx.set_channel(id, {"confirmed_at": time.time(), "secret": ""})
            note(tx, asked, str(id))
            return {}

        once(self.rights.store, asked, act)
        return self.one(id)

    # Sending ----------------------------------------------------------------------------------------------

    def test(self, id: int) -> Delivery:
        """Send a test message now, or a new code to an address that is not confirmed; return what has come of it."""
        row, now, store = self._own(id), time.time(), self.rights.store
        _check_active(row)
        kind: MessageKind = "test"
        if row.confirmed_at is None:
            kind = "confirmation"
            self._check_confirmations(row.target, now)
        recent = [one for one in store.deliveries(id, MOST_TESTS) if one.event == kind]
        if sum(one.created_at > now - _HOUR_SECONDS for one in recent) >= MOST_TESTS:
            raise ConflictError(f"There were {MOST_TESTS} tests within an hour", remedy="Wait a while")
        claim = uuid.uuid4().hex
        begun = {"attempts": 1, "tried_at": now, "claim": claim, "claimed_until": now + deliverer.CLAIM_SECONDS}
        new = _delivery(id, kind, now, now, **begun)
        with store.transaction() as tx:
            if kind == "confirmation":
                tx.set_channel(id, {"secret": _new_code(), "wrong_codes": 0})
            delivery = tx.add_delivery(new)
            note(tx, self._asked("test_channel", None, {}), str(id))
        begun_row = store.find_delivery(delivery)
        assert begun_row is not None
        deliverer.attempt(store, self.outgoing, self._seen(id), begun_row, claim)
        return self._delivery(id, delivery)

    def redeliver(self, id: int, delivery: int, key: str | None) -> Delivery:
        """Have what has ended sent again."""
        asked = self._asked("redeliver", key, {"id": id, "delivery": delivery})
        row = self._own(id)
        found = self._found(id, delivery)
        if found.event == "confirmation":
            raise ConflictError("A code is not sent again", remedy="Have another one sent")
        if not may_hear(self.rights, found.facts):
            raise ForbiddenError("what it tells is not to be seen by you any more", kind="private-now")

        def act(tx: Transaction) -> JsonObject:
            _check_active(row)
            now = time.time()
            if not tx.redeliver(delivery, now, now + PATIENCE_SECONDS):
                raise ConflictError(f"Delivery {delivery} is still tried", remedy="Wait for its end")
            note(tx, asked, f"{id} {delivery}")
            return {}

        once(self.rights.store, asked, act)
        return self._delivery(id, delivery)

    def _delivery(self, id: int, delivery: int) -> Delivery:
        return told.delivery(self._found(id, delivery), self.rights)

    def _found(self, id: int, delivery: int) -> DeliveryRow:
        row = self.rights.store.find_delivery(delivery) if 0 < delivery <= _MOST_ID else None
        if row is None or row.channel_id != id:
            raise NotFoundError(f"There is no delivery {delivery} to channel {id}")
        return row

    # Checks -----------------------------------------------------------------------------------------------

    def _asked(self, verb: str, key: str | None, arguments: JsonObject) -> Asked:
        return Asked(verb, self.rights.caller, key, arguments)

    def _check_target(self, target: str, kind: ChannelKind, body: WebhookBody) -> None:
        check_one_of("kind", kind, get_args(ChannelKind))
        check_one_of("body", body, get_args(WebhookBody))
        if kind == "webhook":
            hosts.find(self.rights.store.allowed_hosts(), hosts.parse_url(target))
            return
        mail.checked_address(target)
        if self.outgoing.mail is None and not self.rights.caller.local:
            raise ConflictError(
                "this service sends no mail",
                field="target",
                remedy="Whoever runs it can name a mail server",
                kind="no-mail-server",
            )

    def _check_confirmations(self, address: str, now: float) -> None:
        """Raise `ConflictError` where a user could mail strangers without end."""
        store, owner = self.rights.store, self.rights.caller.name
        by_user, _ = store.confirmations(now - _HOUR_SECONDS, owner, address)
        _, to_address = store.confirmations(now - _DAY_SECONDS, owner, address)
        if by_user >= MOST_CONFIRMATIONS or to_address >= MOST_TO_ADDRESS:
            raise ConflictError("there were too many codes sent", field="target", remedy="Try again tomorrow")


def _check_active(row: ChannelRow) -> None:
    if not row.active:
        raise ConflictError(f"Channel {row.id} is switched off", remedy="Switch it on first")


def _new_code() -> str:
    return f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}}"


def _delivery(channel_id: int, kind: MessageKind, now: float, expires_at: float, **facts: Any) -> DeliveryRow:
    usual: dict[str, Any] = {"attempts": 0, "tried_at": None, "claim": None, "claimed_until": None}
    return DeliveryRow(
        id=0,
        channel_id=channel_id,
        message=f"msg_{uuid.uuid4().hex}",
        event=kind,
        facts={},
        state="waiting",
        status=None,
        error="",
        created_at=now,
        next_at=now,
        expires_at=expires_at,
        ended_at=None,
        **{**usual, **facts},
    )
