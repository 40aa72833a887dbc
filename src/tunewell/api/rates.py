"""How often somebody may do something: each has a bucket of tokens, which fills up again as time goes by."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

#: How many buckets are kept; those longest untouched give way.
_MOST = 10_000


class Buckets:
    """A bucket for each who comes. Not for several threads."""

    def __init__(self, per_second: float, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take how many tokens a bucket gets a second, and how many it holds."""
        self._per_second = per_second
        self._size = float(size)
        self._clock = clock
        # Whose → tokens, and when it had them; the one touched last stands last.
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def wait(self, whose: Hashable) -> float:
        """Return the seconds until there is a token; 0: there is one now."""
        return max(0.0, (1.0 - self._tokens(whose)) / self._per_second)

    def take(self, whose: Hashable) -> float:
        """Take a token and return 0, or return the seconds until there will be one."""
        tokens = self._tokens(whose)
        if tokens < 1.0:
            return (1.0 - tokens) / self._per_second
        self._buckets.pop(whose, None)
        if len(self._buckets) >= _MOST:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[whose] = (tokens - 1.0, self._clock())
        return 0.0

    def _tokens(self, whose: Hashable) -> float:
        tokens, since = self._buckets.get(whose, (self._size, 0.0))
        return min(self._size, tokens + (self._clock() - since) * self._per_second)
