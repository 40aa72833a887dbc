"""Whether trials find room on the disk: what would be started without it would only be lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from tunewell.controller.disk import BudgetKeeper, DiskWatch, Low
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.trial_manager import TrialManager
from tunewell.spec.errors import UserError
from tunewell.spec.waits import Reason
from tunewell.store.errors import Moved, StoreError
from tunewell.trial import files

log = logging.getLogger(__name__)

#: Wait after a trial found no room.
RETRY_SECONDS = 2.0
_FULL = Reason("disk", "The disk is full; it goes on by itself once there is room.")


class DiskRoom:
    """Looks after the room for what a controller starts."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Find nothing lacking as yet."""
        self._store, self._folder = surroundings.store, surroundings.home.folder
        self._clock, self._monotonic = surroundings.clock, surroundings.monotonic
        self._watch = DiskWatch(self._folder, self._monotonic)
        keep = surroundings.keep_within
        self._budget_keeper = BudgetKeeper(keep) if keep is not None else None
        self._hold_until = 0.0
        self._is_low_on_record = False
        #: Why nothing starts for want of room, on record and for people; None and empty if there is room.
        self.reason: Reason | None = None
        self.problem = ""

    def read_settings(self) -> None:
        """Read what administrators have said; raise `StoreError` if that can't be done."""
        self._watch.settings = self._store.disk()

    def look(self, managers: Iterable[TrialManager], has_jobs: bool) -> bool:
        """Find out how it stands; say whether there is so little room that trials have to be let go of.

        Args:
            managers: those of the searches whose trials need room here.
            has_jobs: whether there are jobs, which need room, too.
        """
        managers = list(managers)
        if any(manager.lacked_room for manager in managers):
            self._hold_until = self._monotonic() + RETRY_SECONDS
        for manager in managers:
            manager.lacked_room = False
        self.reason, self.problem = None, ""
        if not managers and not has_jobs:
            return False
        full = bool(managers) and (self._monotonic() < self._hold_until or files.is_full(self._folder))
        low = self._watch.look()
        self._note_low(low)
        budget = self._watch.settings.budget_bytes
        over = self._budget_keeper.look(budget) if self._budget_keeper is not None else None
        self.reason = _FULL if full else low.reason if low is not None else over
        if self.reason is not None:
            what = "the disk is full. Free some space; the search goes on by itself." if full else self.reason.detail
            self.problem = f"{self._folder}: {what}"
        return low is not None and low.is_critical

    def _note_low(self, low: Low | None) -> None:
        """Put on record that room is lacking, or is there again."""
        settings = self._watch.settings
        if low is None:
            if settings.low_at is not None:
                with suppress(StoreError), self._store.transaction() as tx:  # else it is tried again
                    tx.set_disk_low(None)
                    self._watch.settings = replace(settings, low_at=None)
            self._is_low_on_record = False
            return
        if self._is_low_on_record:
            return
        now = self._clock()
        try:
            with self._store.transaction() as tx:
                data = {"free_bytes": low.free_bytes, "reserve_bytes": low.reserve_bytes}
                if tx.set_disk_low(now):  # of several controllers, one tells
                    tx.add_home_event("disk_low", data, now)
                    tx.notify("disk_low", data, now)
            self._is_low_on_record = True
            self._watch.settings = replace(settings, low_at=now)
            log.warning("%s: %s", self._folder, low.reason.detail)
        except Moved:
            raise
        except UserError:  # it is tried again, and nothing starts meanwhile
            pass
