"""Why a run waits, and what of that is on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewell.spec.waits import Reason

#: Reasons that come and go faster are not worth a write each.
WAIT_SECONDS = 1.0


class Waits:
    """Why one experiment or job waits."""

    def __init__(self, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        """Begin with nothing on record, as after something was taken over."""
        #: Why it starts nothing now; None: nothing keeps it.
        self.reason: Reason | None = None
        self._clock, self._monotonic = clock, monotonic
        self._recorded: Reason | None = None
        self._next = 0.0

    def news(self) -> tuple[dict[str, Any] | None] | None:
        """Return what is to be put on record now, which counts as done with that; None: nothing new."""
        if self.reason == self._recorded or self._monotonic() < self._next:
            return None
        self._recorded, self._next = self.reason, self._monotonic() + WAIT_SECONDS
        return (None if self.reason is None else self.reason.to_json(self._clock()),)
