"""What takes long to work out, kept in memory up to a bound in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What tells how much memory it takes."""

    @property
    def bytes(self) -> int:
        """How much memory it takes."""


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Sized)


@dataclass(slots=True, eq=False)
class _Entry(Generic[Value]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Value | None = None


class Kept(Generic[Key, Value]):
    """Values by key, those asked for last. Any thread may ask; nothing is worked out by two at once."""

    def __init__(self, most_bytes: int) -> None:
        """Keep nothing yet, and never more than `most_bytes`, but for the value asked for last."""
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        #: The one asked for last behind all others.
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()

    def get(self, key: Key, renew: Callable[[Value | None], Value]) -> Value:
        """Return what `renew` makes of what is kept under a key (None: nothing), and keep that.

        Who asks for the same key meanwhile waits. What `renew` raises is raised, and what was kept stays.
        """
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
        with entry.lock:
            value = entry.value = renew(entry.value)
        with self._lock:
            while len(self._entries) > 1 and self.bytes > self._most_bytes:
                self._entries.popitem(last=False)
        return value

    @property
    def bytes(self) -> int:
        """How much memory all values take."""
        return sum(value.bytes for entry in self._entries.values() if (value := entry.value) is not None)
