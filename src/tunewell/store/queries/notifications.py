"""Reading where notifications go, and what has become of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from tunewell.store.queries.reader import Reader
from tunewell.store.rows import AllowedHostRow, ChannelRow, DeliveryRow
from tunewell.store.tables import allowed_host, channel, delivery


class NotificationQueries(Reader):
    """The part of the store that reads about notifications."""

    def allowed_hosts(self) -> list[AllowedHostRow]:
        """Return the hosts that notifications may be sent to, sorted."""
        rows = [AllowedHostRow(**row._mapping) for row in self._read(select(allowed_host))]
        return sorted(rows, key=lambda row: (row.host, row.port))

    def channels(self, owner: str | None = None) -> list[ChannelRow]:
        """Return the channels of a user, or of all, the oldest first; those that were removed are left out."""
        query = select(channel).where(channel.c.removed_at.is_(None)).order_by(channel.c.id)
        if owner is not None:
            query = query.where(channel.c.owner == owner)
        return [channel_row(row) for row in self._read(query)]

    def find_channel(self, id: int) -> ChannelRow | None:
        """Return a channel, None if there is none with this id, or it was removed."""
        rows = self._read(select(channel).where(channel.c.id == id, channel.c.removed_at.is_(None)))
        return channel_row(rows[0]) if rows else None

    def deliveries(self, channel_id: int, limit: int, before: int | None = None) -> list[DeliveryRow]:
        """Return what was sent to a channel, or is to be, the latest first, with ids below `before`."""
        query = select(delivery).where(delivery.c.channel_id == channel_id)
        if before is not None:
            query = query.where(delivery.c.id < before)
        return [DeliveryRow(**row._mapping) for row in self._read(query.order_by(delivery.c.id.desc()).limit(limit))]

    def find_delivery(self, id: int) -> DeliveryRow | None:
        """Return a delivery, None if there is none with this id."""
        rows = self._read(select(delivery).where(delivery.c.id == id))
        return DeliveryRow(**rows[0]._mapping) if rows else None

    def latest_deliveries(self, owner: str | None = None) -> dict[int, DeliveryRow]:
        """Return the latest delivery of each channel of a user, or of all, by the channel's id."""
        latest = select(func.max(delivery.c.id)).group_by(delivery.c.channel_id)
        if owner is not None:
            of_owner = select(channel.c.id).where(channel.c.owner == owner)
            latest = latest.where(delivery.c.channel_id.in_(of_owner))
        rows = self._read(select(delivery).where(delivery.c.id.in_(latest)))
        return {row.channel_id: DeliveryRow(**row._mapping) for row in rows}

    def due_deliveries(self, now: float, limit: int) -> list[DeliveryRow]:
        """Return what is to be sent now: of each channel the oldest, and none of one to which something is on its way.

        What somebody has begun with and not ended in time is begun with again.
        """
        waits = delivery.c.state == "waiting"
        busy = select(delivery.c.channel_id).where(waits, delivery.c.claimed_until >= now)
        rests = select(channel.c.id).where(channel.c.resting_until > now)
        first = (
            select(func.min(delivery.c.id))
            .where(waits, delivery.c.next_at <= now)
            .where(delivery.c.channel_id.not_in(busy), delivery.c.channel_id.not_in(rests))
            .group_by(delivery.c.channel_id)
        )
        query = select(delivery).where(delivery.c.id.in_(first)).order_by(delivery.c.next_at).limit(limit)
        return [DeliveryRow(**row._mapping) for row in self._read(query)]

    def confirmations(self, since: float, owner: str, address: str) -> tuple[int, int]:
        """Return how many mails since a moment have asked a user, or an address, to confirm it."""
        asked = and_(delivery.c.event == "confirmation", delivery.c.created_at >= since)
        is_address = func.lower(channel.c.target) == address.lower()
        query = (
            select((channel.c.owner == owner).label("by_owner"), is_address.label("to_address"))
            .join_from(delivery, channel)
            .where(asked, or_(channel.c.owner == owner, is_address))
        )
        rows = self._read(query)
        return sum(bool(row.by_owner) for row in rows), sum(bool(row.to_address) for row in rows)


def channel_row(row: Row[Any]) -> ChannelRow:
    """Return a row of `channel`."""
    return ChannelRow(**{**row._mapping, "events": tuple(row.events)})
