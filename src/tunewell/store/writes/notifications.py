"""Writing where notifications go, and what becomes of them."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from tunewell.spec.errors import NotFoundError
from tunewell.spec.notifications import NotifiedEvent
from tunewell.store.rows import AllowedHostRow, ChannelRow, DeliveryRow, JsonObject
from tunewell.store.tables import allowed_host, channel, delivery
from tunewell.store.writes import outbox
from tunewell.store.writes.writer import Writer, clean, or_present

#: What a channel that is no more told of needs no more.
_REMOVED = {"active": False, "target": "", "secret": "", "reason": ""}


class NotificationWrites(Writer):
    """The part of a transaction that is about notifications."""

    def allow_host(self, row: AllowedHostRow) -> None:
        """Allow a host, or change what is allowed of it."""
        place = {"host": row.host, "port": row.port}
        facts = {"plain_http": row.plain_http, "private": row.private}
        new = self._dialect.insert(allowed_host).values(**place, **facts, created_at=row.created_at)
        self._execute(new.on_conflict_do_update(index_elements=list(place), set_=facts))

    def withdraw_host(self, host: str, port: int) -> bool:
        """Allow a host no longer; False: it was not allowed."""
        chosen = (allowed_host.c.host == host, allowed_host.c.port == port)
        return self._execute(delete(allowed_host).where(*chosen)).rowcount == 1

    def add_channel(self, row: ChannelRow) -> int:
        """Add a channel, which gets an id of its own; return that."""
        facts = {name: getattr(row, name) for name in row.__slots__ if name != "id"}
        facts |= {"label": clean(row.label), "events": list(row.events)}
        return int(self._execute(insert(channel).values(**facts).returning(channel.c.id)).scalar_one())

    def set_channel(self, id: int, facts: JsonObject) -> None:
        """Change a channel. One that is no longer active is sent nothing that waits for it.

        Raises:
            NotFoundError: it was removed.
        """
        these = (channel.c.id == id, channel.c.removed_at.is_(None))
        if self._execute(update(channel).where(*these).values(facts)).rowcount != 1:
            raise NotFoundError(f"There is no channel {id}.")
        if facts.get("active") is False:
            self._give_up(id, facts.get("reason") or "The channel was deactivated.")

    def take_try(self, id: int, most: int) -> bool:
        """Count a try at the code of a channel; False: there were `most` before."""
        these = (channel.c.id == id, channel.c.wrong_codes < most)
        counted = update(channel).where(*these).values(wrong_codes=channel.c.wrong_codes + 1)
        return self._execute(counted).rowcount == 1

    def remove_channel(self, id: int, now: float | None = None) -> None:
        """Remove a channel; that it was there, and what was sent to it, is kept as long as deliveries are."""
        these = (channel.c.id == id, channel.c.removed_at.is_(None))
        gone = update(channel).where(*these).values(**_REMOVED, removed_at=or_present(now))
        if self._execute(gone).rowcount != 1:
            raise NotFoundError(f"There is no channel {id}.")
        self._give_up(id, "The channel was removed.")

    def silence_channels(self, owner: str) -> None:
        """Have nothing sent to the channels of a user who is shut out."""
        of_owner = (channel.c.owner == owner, channel.c.removed_at.is_(None), channel.c.active)
        for id in self._execute(select(channel.c.id).where(*of_owner)).scalars().all():
            self.set_channel(id, {"active": False, "reason": "Its owner was shut out."})

    def _give_up(self, channel_id: int, error: str) -> None:
        waits = (delivery.c.channel_id == channel_id, delivery.c.state == "waiting")
        ended = {"state": "failed", "error": clean(error), "next_at": None, "ended_at": or_present(None)}
        self._execute(update(delivery).where(*waits).values(**ended, claim=None, claimed_until=None))

    def notify(self, event: NotifiedEvent, facts: JsonObject, now: float | None = None) -> int:
        """Tell administrators who want to hear of an event of the service itself; return how many channels it goes to.

        That a search has ended is told by the transaction that records it.
        """
        if not self._number:
            self._begin(durable=True)
        return outbox.tell_administrators(self._connection, event, facts, or_present(now))

    def add_delivery(self, row: DeliveryRow) -> int:
        """Add a delivery, which gets an id of its own; return that."""
        facts = {name: getattr(row, name) for name in row.__slots__ if name != "id"}
        return int(self._execute(insert(delivery).values(**facts).returning(delivery.c.id)).scalar_one())

    def claim_delivery(self, id: int, claim: str, until: float, now: float | None = None) -> bool:
        """Begin with a delivery; False: it waits no more, or somebody else is at it."""
        now = or_present(now)
        free = delivery.c.claimed_until.is_(None) | (delivery.c.claimed_until < now)
        these = (delivery.c.id == id, delivery.c.state == "waiting", delivery.c.next_at <= now, free)
        begun = {"claim": claim, "claimed_until": until, "attempts": delivery.c.attempts + 1, "tried_at": now}
        return self._execute(update(delivery).where(*these).values(begun)).rowcount == 1

    def end_attempt(self, id: int, claim: str, facts: JsonObject) -> bool:
        """Record what became of an attempt at a delivery; False: somebody else has begun with it since.

        `facts` are its state, status and error, and when it is tried next or has ended.
        """
        ended = {**facts, "error": clean(facts.get("error", "")), "claim": None, "claimed_until": None}
        changed = update(delivery).where(delivery.c.id == id, delivery.c.claim == claim).values(ended)
        return self._execute(changed).rowcount == 1

    def redeliver(self, id: int, now: float, expires_at: float) -> bool:
        """Have a delivery that has ended sent again; False: it has not ended."""
        these = (delivery.c.id == id, delivery.c.state != "waiting")
        again = {"state": "waiting", "next_at": now, "expires_at": expires_at, "ended_at": None, "attempts": 0}
        return self._execute(update(delivery).where(*these).values(again)).rowcount == 1

    def forget_deliveries(self, before: float) -> None:
        """Forget deliveries that are older than a moment, and channels that were removed before."""
        self._execute(delete(delivery).where(delivery.c.created_at < before, delivery.c.state != "waiting"))
        used = select(delivery.c.channel_id)
        self._execute(delete(channel).where(channel.c.removed_at < before, channel.c.id.not_in(used)))
