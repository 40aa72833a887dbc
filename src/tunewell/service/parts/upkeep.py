"""The verbs that keep a service in order, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunewell import service
from tunewell.service import types
from tunewell.service.idempotency import Asked
from tunewell.service.parts.part import Part


class UpkeepPart(Part):
    """See `tunewell.service.upkeep_verbs.UpkeepVerbs`."""

    def backup(self) -> Iterator[bytes]:
        """See `UpkeepVerbs.backup`."""
        service.people.check_administrator(self.caller)
        return service.upkeep.backup.back_up(self.store, self.home)

    def disk(self) -> types.Disk:
        """See `UpkeepVerbs.disk`."""
        service.people.check_administrator(self.caller)
        return service.upkeep.disk.told(self.store, self.home, self.disk_usage)

    def change_disk(self, changes: Mapping[str, Any], *, key: str | None = None) -> types.Disk:
        """See `UpkeepVerbs.change_disk`."""
        service.people.check_administrator(self.caller)
        service.upkeep.disk.change(self.store, changes, Asked("change_disk", self.caller, key, dict(changes)))
        return self.disk()

    def garbage(self) -> types.Garbage:
        """See `UpkeepVerbs.garbage`."""
        service.people.check_administrator(self.caller)
        return service.upkeep.disk.garbage(self.store, self.home)

    def collect_garbage(self, *, key: str | None = None) -> types.Collection:
        """See `UpkeepVerbs.collect_garbage`."""
        service.people.check_administrator(self.caller)
        asked = Asked("collect_garbage", self.caller, key, {})
        return service.upkeep.disk.collect_garbage(self.store, self.home, self.disk_usage, asked)
