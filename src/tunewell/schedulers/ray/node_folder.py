"""The folder that the slots of one node share: the files of the home that were brought there.

Everything lies where it does in the home. `.attempts` has a lock for each attempt, which names its folder; the slot
that has it holds the lock as long as it lives, so whoever comes next knows what is left over. What attempts share has
locks of its own; see `inputs`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from tunewell.schedulers.leftovers import settle
from tunewell.schedulers.ray import locks, parcels
from tunewell.schedulers.ray.inputs import Inputs
from tunewell.spec.states import Cause

_ATTEMPTS = ".attempts"


class NodeFolder:
    """One slot's view of it."""

    def __init__(self, path: Path, most_bytes: int | None = None) -> None:
        """Make the folder, unless it is there; raise OSError."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        (self.path / _ATTEMPTS).mkdir(exist_ok=True)
        #: What the present attempt reads beside its own folder.
        self.inputs = Inputs(self.path, most_bytes)
        #: The place of the present attempt, and the descriptor of its lock.
        self._attempt: tuple[str, int] | None = None

    # The attempt ------------------------------------------------------------------------------------------

    def take(self, place: str) -> None:
        """Have the folder of an attempt for oneself, until `give_up`; raise OSError: another slot has it."""
        if self._attempt is not None and self._attempt[0] == place:
            return
        self._remove()
        descriptor = locks.take(self.path / _ATTEMPTS, place)
        if descriptor is None:
            raise BlockingIOError(f"another slot has {place}")
        locks.write_record(descriptor, {"place": place})
        self._attempt = place, descriptor

    def give_up(self) -> None:
        """Remove the attempt's folder, which nothing runs in any more, and let go of what it reads."""
        self.inputs.let_go()
        self._remove()

    def _remove(self) -> None:
        if self._attempt is not None:
            place, descriptor = self._attempt
            _remove_attempt(self.path, place)
            os.close(descriptor)
            self._attempt = None


def sweep(home: Path, node: str, living: Collection[str]) -> int:
    """Remove what attempts whose slots are gone have left on this machine, processes first; say how much is left.

    Args:
        home: folder of all nodes that were on this machine, each by its name, for one home.
        node: the name of the one whose turn it is.
        living: names of all nodes of the cluster: the others will never have a slot again, and go as a whole.
    """
    left = 0
    for folder in home.iterdir() if home.is_dir() else ():
        if folder.name == node or folder.name not in living:
            remaining = sum(not _settle(folder, lock) for lock in _locks(folder / _ATTEMPTS))
            left += remaining
            if folder.name != node and not remaining:
                shutil.rmtree(folder, ignore_errors=True)
    return left


def _settle(folder: Path, lock: Path) -> bool:
    """End and remove what is left of the attempt of a lock; say whether nothing is, or its slot lives."""
    record = locks.read_record(lock)
    if record is None:  # whoever made it has just begun, or did no more
        return True
    place = str(record["place"])
    try:
        descriptor = locks.take(lock.parent, place)
    except OSError:
        return not lock.exists()
    if descriptor is None:
        return True
    try:
        if os.path.lexists(folder / place) and settle(folder / place, Cause.NODE_LOST, "its slot was gone") is None:
            return False  # its supervisor is about to end it
        _remove_attempt(folder, place)
        return True
    finally:
        os.close(descriptor)


def _remove_attempt(folder: Path, place: str) -> None:
    """Remove an attempt's folder, the one above it if it is empty then, and its lock."""
    path = parcels.inside(folder, place)
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.parent.rmdir()
    locks.path_of(folder / _ATTEMPTS, place).unlink(missing_ok=True)


def _locks(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(folder.iterdir())
