"""The disk: whether there is room to start anything, and what takes it up, which is found out beside the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tunewell.home.disk import DiskUse, disk_use, reserve_of
from tunewell.spec.format import size
from tunewell.spec.waits import Reason
from tunewell.store.rows import DiskRow

log = logging.getLogger(__name__)

#: Wait between two counts, at least; and at least so many times as long as the last one took.
COUNT_SECONDS, COUNT_SHARE = 60.0, 50.0
#: How often it is looked how much is free.
LOOK_SECONDS = 0.5
#: How much more than the reserve must be free again before anything starts, as a share of it: else each trial that ends
#: would let another one begin. And below which share of it trials are let go of.
ENOUGH, CRITICAL = 1.1, 0.5


@dataclass(frozen=True, slots=True)
class Low:
    """That there is too little room on the disk."""

    free_bytes: int
    reserve_bytes: int

    @property
    def reason(self) -> Reason:
        """Why nothing starts."""
        free, kept = size(self.free_bytes), size(self.reserve_bytes)
        return Reason("disk", f"It waits for room on the disk: {free} free, {kept} is kept free.", "reserve")

    @property
    def is_critical(self) -> bool:
        """Whether what runs is let go of, too, where it can go on later."""
        return self.free_bytes < CRITICAL * self.reserve_bytes


class DiskWatch:
    """Looks now and then how much of a disk is free."""

    def __init__(
        self, folder: Path, monotonic: Callable[[], float], use: Callable[[Path], DiskUse] | None = None
    ) -> None:
        """Watch the disk that a folder lies on; `use` says how it stands with it."""
        #: What administrators have said.
        self.settings = DiskRow()
        self._folder, self._monotonic, self._use = folder, monotonic, use
        self._low: Low | None = None
        self._next = float("-inf")

    def look(self) -> Low | None:
        """Return what is lacking; None: there is room."""
        now = self._monotonic()
        if now >= self._next:
            self._next = now + LOOK_SECONDS
            self._low = self._found()
        return self._low

    def _found(self) -> Low | None:
        try:
            use = (self._use or disk_use)(self._folder)
        except OSError:
            return None
        reserve = reserve_of(use, self.settings.reserve_bytes)
        needed = reserve * (ENOUGH if self._low is not None else 1.0)
        return Low(use.free_bytes, reserve) if use.free_bytes < needed else None


class BudgetKeeper:
    """Has a home kept within its budget, in a thread of its own."""

    def __init__(self, keep: Callable[[int], int]) -> None:
        """Take what removes files until so many bytes are left, if that can be, and returns how many are left."""
        self._keep = keep
        self._thread: threading.Thread | None = None
        self._next = float("-inf")
        self._budget: int | None = None
        #: How many bytes the home took up after the last look.
        self._taken = 0

    def look(self, budget: int | None) -> Reason | None:
        """Have it looked after now and then; return why nothing is to start: the budget is used up all the same."""
        if budget != self._budget:
            self._budget, self._taken, self._next = budget, 0, float("-inf")
        if budget is None:
            return None
        if (self._thread is None or not self._thread.is_alive()) and time.monotonic() >= self._next:
            self._next = float("inf")
            self._thread = threading.Thread(target=self._look, args=(budget,), daemon=True)
            self._thread.start()
        if self._taken <= budget:
            return None
        detail = f"It waits for room in the home: {size(self._taken)} taken up, {size(budget)} is its budget."
        return Reason("disk", detail, "budget")

    def _look(self, budget: int) -> None:
        began = time.monotonic()
        try:
            taken = self._keep(budget)
            if budget == self._budget:
                self._taken = taken
        except Exception:
            log.exception("the home can't be kept within its budget")
        now = time.monotonic()
        self._next = now + max(COUNT_SECONDS, COUNT_SHARE * (now - began))


class DiskCounter:
    """Counts now and then, in a thread of its own."""

    def __init__(self, size_of: Callable[[str], int]) -> None:
        """Count nothing yet; `size_of` says how many bytes the experiments of a user take up, and may take long."""
        self._size_of = size_of
        self._thread: threading.Thread | None = None
        self._counted: dict[str, int] = {}
        self._next = float("-inf")

    def counted(self, users: Collection[str]) -> dict[str, int]:
        """Return what was counted since the last call, by user; begin another count if it is time for one."""
        if self._thread is not None:
            if self._thread.is_alive():
                return {}
            self._thread = None
        found, self._counted = self._counted, {}
        if users and time.monotonic() >= self._next:
            self._thread = threading.Thread(target=self._count, args=(tuple(users),), daemon=True)
            self._thread.start()
        return found

    def _count(self, users: Collection[str]) -> None:
        began = time.monotonic()
        try:
            self._counted = {user: self._size_of(user) for user in users}
        except Exception:
            log.exception("the use of the disk can't be counted")
        now = time.monotonic()
        self._next = now + max(COUNT_SECONDS, COUNT_SHARE * (now - began))
