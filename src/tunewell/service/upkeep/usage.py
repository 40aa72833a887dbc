"""What takes up how much of a home, by kind and by owner."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tunewell.home.disk import size_of
from tunewell.home.home import Home
from tunewell.spec.names import HOME_OWNER
from tunewell.store.store import Store

#: For how long what was counted is told again: to count takes seconds where there are many files.
KEPT_SECONDS = 60.0
#: Folder of the home → what is in it.
_FOLDERS = {
    "experiments": "experiments",
    "jobs": "jobs",
    "datasets": "data sets",
    "code": "code",
    "models": "models",
    "uploads": "uploads",
    "inputs": "pictures to be predicted",
    "cache": "cache",
    "set-aside": "set aside",
}


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted, in bytes."""

    #: Seconds since the epoch.
    at: float
    by_kind: Mapping[str, int]
    #: Experiments, data sets, code, models and uploads, by user.
    by_owner: Mapping[str, int]

    @property
    def total(self) -> int:
        """All together."""
        return sum(self.by_kind.values())


class Usage:
    """Counts, and remembers for a while what was counted; for all threads of a process."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._counted: Counted | None = None
        self._until = float("-inf")

    def forget(self) -> None:
        """Count anew when somebody asks."""
        self._until = float("-inf")

    def counted(self, store: Store, home: Home) -> Counted:
        """Return what takes up how much."""
        with self._lock:  # whoever else asks meanwhile gets the same answer
            if self._counted is None or time.monotonic() >= self._until:
                self._counted = count(store, home)
                self._until = time.monotonic() + KEPT_SECONDS
            return self._counted


def count(store: Store, home: Home) -> Counted:
    """Count now."""
    by_kind: dict[str, int] = {}
    by_owner: dict[str, int] = {}
    other = 0
    for path in home.folder.iterdir() if home.folder.is_dir() else ():
        if path.name == "experiments":
            for folder in path.glob("*/"):
                owner = folder.name.removeprefix("@") if folder.name.startswith("@") else HOME_OWNER
                by_owner[owner] = by_owner.get(owner, 0) + size_of(folder)
            by_kind["experiments"] = sum(by_owner.values())
        elif path.is_dir() and path.name in _FOLDERS:
            by_kind[_FOLDERS[path.name]] = size_of(path)
        elif path.name.startswith("tunewell.db"):
            by_kind["database"] = by_kind.get("database", 0) + _taken(path)
        elif path.name.startswith("figures-"):
            by_kind["figures of the service"] = by_kind.get("figures of the service", 0) + _taken(path)
        else:
            other += _taken(path)
    for owner in {HOME_OWNER, *by_owner, *(row.name for row in store.users())}:
        by_owner[owner] = by_owner.get(owner, 0) + store.stored_bytes(owner)
    found = {**by_kind, "other": other}
    return Counted(time.time(), _sorted(found), _sorted(by_owner))


def _taken(path: Path) -> int:
    """Return what a file, or all below a folder, takes up; nothing where it has gone meanwhile."""
    if path.is_dir():
        return size_of(path)
    with suppress(OSError):
        return path.lstat().st_blocks * 512
    return 0


def _sorted(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return what takes up anything, the largest first."""
    return {name: size for name, size in sorted(sizes.items(), key=lambda one: (-one[1], one[0])) if size}
