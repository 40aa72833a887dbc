"""How much of the disk users' experiments take up, counted beside the controller's loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

log = logging.getLogger(__name__)

#: Wait between two counts, at least; and at least so many times as long as the last one took.
COUNT_SECONDS, COUNT_SHARE = 60.0, 50.0


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
