"""The verbs that keep a service in order, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator

from tunewell.service import people
from tunewell.service.parts.part import Part
from tunewell.service.upkeep.backup import back_up


class UpkeepPart(Part):
    """See `tunewell.service.upkeep_verbs.UpkeepVerbs`."""

    def backup(self) -> Iterator[bytes]:
        """See `UpkeepVerbs.backup`."""
        people.check_administrator(self.caller)
        return back_up(self.store, self.home)
