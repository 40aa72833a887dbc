"""Which GPUs have failed again and again, and get no attempts for a while."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from tunewell.spec.launch import Exit
from tunewell.spec.states import Cause

#: After so many attempts in a row that ended for an error of the GPU itself, it is left out.
ERRORS = 2
#: For how long; then it is tried again, and left out again after one more error.
REST_SECONDS = 15 * 60.0


class DeviceErrors:
    """Counts errors of devices, whatever the scheduler calls them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of no errors; `clock` tells seconds."""
        self._clock = clock
        self._errors: Counter[str] = Counter()
        self._back_at: dict[str, float] = {}

    def take(self, devices: Sequence[str], exit_: Exit) -> Exit:
        """Count how an attempt on these devices ended; return that end, which says so if they are left out now."""
        if exit_.cause is None:
            for device in devices:
                self._errors.pop(device, None)
        if exit_.cause is not Cause.GPU_ERROR or not devices:
            return exit_
        self._errors.update(devices)
        faulty = [device for device in devices if self._errors[device] >= ERRORS]
        if not faulty:
            return exit_
        self._back_at |= dict.fromkeys(faulty, self._clock() + REST_SECONDS)
        note = f"Left out for {REST_SECONDS / 60:.0f} minutes after errors in a row: GPU {', '.join(faulty)}."
        return replace(exit_, notes=(*exit_.notes, note))

    def left_out(self) -> frozenset[str]:
        """Return the devices that get no attempts now."""
        now = self._clock()
        self._back_at = {device: at for device, at in self._back_at.items() if at > now}
        return frozenset(self._back_at)
