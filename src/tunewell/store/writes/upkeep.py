"""Writing on the home as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert, update

from tunewell.store.rows import HomeEventKind, JsonObject
from tunewell.store.tables import disk, event
from tunewell.store.writes.writer import Writer, or_present


class UpkeepWrites(Writer):
    """The part of a transaction that is about the home as a whole."""

    def set_disk(self, changes: Mapping[str, int | None]) -> None:
        """Change what is said about the disk of the home: fields of `DiskRow`."""
        self._execute(self._dialect.insert(disk).values(id=1).on_conflict_do_nothing())
        if changes:
            self._execute(update(disk).values(**changes))

    def set_disk_low(self, since: float | None) -> bool:
        """Note since when the disk is low, None: that it is not; return whether that was not on record."""
        self._execute(self._dialect.insert(disk).values(id=1).on_conflict_do_nothing())
        is_new = disk.c.low_at.is_not(None) if since is None else disk.c.low_at.is_(None)
        return self._execute(update(disk).where(is_new).values(low_at=since)).rowcount == 1

    def add_home_event(self, kind: HomeEventKind, data: JsonObject, now: float | None = None) -> None:
        """Put on record what has happened to the home as a whole."""
        self._execute(insert(event).values(kind=kind, time=or_present(now), data=data))
