"""What the attempts on a node read of the home, beside their own folders: brought once, and shared by all slots.

===================  ================================================================================
.inputs/read/…       a lock for each input, held by every slot whose attempt reads it. Its record says how large the
                     input is; its date is that of the last use
.inputs/bring/…      a lock for each input, held by the one slot that brings it
===================  ================================================================================

An input is a file or a folder that has the same place here as in the home. When all inputs together take up too much of
the disk, those go that nobody reads: what was used last stays longest. An input that somebody was about to bring who
was ended is brought by the next one. Folders are closed to writing, as programs that were sent are at home.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tunewell.schedulers.ray import locks, parcels
from tunewell.schedulers.ray.parcels import Mark

#: Of a disk, what inputs may take where nothing else is said.
_SHARE_OF_DISK = 0.5
#: The lock of whoever makes room.
_ROOM = "room"
#: Permissions of folders while files are brought into them, and afterwards.
_OPEN, _CLOSED = 0o700, 0o500


class _Known(NamedTuple):
    """An input that is here, or was, or is being brought."""

    used: float
    place: str
    size: int


class Inputs:
    """One slot's view of the inputs on its node."""

    def __init__(self, root: Path, most_bytes: int | None = None) -> None:
        """Have none yet; raise OSError.

        Args:
            root: the node's folder, which is there.
            most_bytes: how much of the disk all inputs together may take; None: half of it.
        """
        self._root = root
        self._read, self._bring = root / ".inputs" / "read", root / ".inputs" / "bring"
        for folder in (self._read, self._bring):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._most_bytes = most_bytes
        #: Place → descriptor of the lock of what this slot's attempt reads, and of what this slot brings.
        self._reading: dict[str, int] = {}
        self._bringing: dict[str, int] = {}
        #: The files that this slot brings.
        self._coming: list[str] = []

    def missing(self, wanted: Mapping[str, Mark], inputs: Sequence[str]) -> list[str] | None:
        """Return which files of some inputs are not here; nothing of these goes until `let_go`.

        Whoever is told that something is missing brings it, and says so (`brought`).

        Args:
            wanted: all files and folders of these inputs, by their places in the home.
            inputs: the places of the inputs.

        Returns:
            None: another slot brings some of it just now.

        Raises:
            OSError: there is no room for it.
        """
        for place in inputs:  # first that it stays, then whether it is here
            if place not in self._reading:
                self._keep(place)
        lacking = [name for name, mark in wanted.items() if not _is_here(self._root, name, mark)]
        lacking_inputs = [place for place in inputs if any(_is_of(name, place) for name in lacking)]
        if lacking and not self._begin_to_bring(lacking_inputs):
            return None
        if lacking:  # somebody may have brought it just before
            lacking = [name for name, mark in wanted.items() if not _is_here(self._root, name, mark)]
        if not lacking:
            self.brought()
            return []
        try:
            for place in self._bringing:
                self._note_size(place, _size_of(place, wanted))
                _set_modes(self._root / place, _OPEN)
            self._make_room(sum(max(0, wanted[name].size) for name in lacking))
            self._coming = parcels.missing(self._root, wanted)
        except OSError:
            self.brought()
            raise
        return self._coming

    def brought(self) -> None:
        """Take note that nothing more is brought, be it complete or not."""
        for name in self._coming:
            with suppress(OSError):
                parcels.unfinished(parcels.inside(self._root, name)).unlink(missing_ok=True)
        self._coming = []
        for place, descriptor in self._bringing.items():
            with suppress(OSError):
                _set_modes(self._root / place, _CLOSED)
            os.close(descriptor)
        self._bringing.clear()

    def let_go(self) -> None:
        """Take note that this slot's attempt reads no more."""
        self.brought()
        for descriptor in self._reading.values():
            os.close(descriptor)
        self._reading.clear()

    def _keep(self, place: str) -> None:
        descriptor = locks.take(self._read, place, shared=True, wait=True)
        assert descriptor is not None
        self._reading[place] = descriptor
        os.utime(descriptor)

    def _begin_to_bring(self, places: Sequence[str]) -> bool:
        """Take the locks of all these inputs, or of none."""
        for place in sorted(places):
            if place in self._bringing:
                continue
            descriptor = locks.take(self._bring, place)
            if descriptor is None:
                self.brought()
                return False
            self._bringing[place] = descriptor
        return True

    def _note_size(self, place: str, size: int) -> None:
        used = os.fstat(self._reading[place])
        locks.write_record(self._reading[place], {"place": place, "size": size})
        os.utime(self._reading[place], ns=(used.st_atime_ns, used.st_mtime_ns))

    # Room -------------------------------------------------------------------------------------------------

    def _make_room(self, needed: int) -> None:
        """Remove what nobody reads, what was used longest ago first, until there is room for all that is to be here.

        Args:
            needed: bytes that are about to be written. All inputs that are being brought count in full already.

        Raises:
            OSError: what is read here leaves too little room.
        """
        with locks.held(self._root / ".inputs", _ROOM):
            known = sorted(self._known())
            total = sum(one.size for one in known)
            for one in known:
                if self._has_room(total, needed):
                    return
                if self._remove(one.place):
                    total -= one.size
            if not self._has_room(total, needed):
                raise OSError(errno.ENOSPC, self._no_room(total, needed), str(self._root))

    def _has_room(self, total: int, needed: int) -> bool:
        disk = shutil.disk_usage(self._root)
        return total <= self._most(disk.total) and needed <= disk.free

    def _most(self, disk: int) -> int:
        return self._most_bytes if self._most_bytes is not None else int(disk * _SHARE_OF_DISK)

    def _no_room(self, total: int, needed: int) -> str:
        disk, giga = shutil.disk_usage(self._root), 1e9
        return (
            f"no room on {socket.gethostname()} for what its trials read: {needed / giga:.2f} GB more make "
            f"{total / giga:.2f} GB, {disk.free / giga:.2f} GB are free, and files that trials share may take "
            f"{self._most(disk.total) / giga:.2f} GB there"
        )

    def _known(self) -> Iterator[_Known]:
        for path in self._read.iterdir():
            record = locks.read_record(path)
            with suppress(FileNotFoundError):
                if record is not None:
                    yield _Known(path.stat().st_mtime, record["place"], record["size"])

    def _remove(self, place: str) -> bool:
        """Remove an input that nobody reads; say whether it is gone."""
        descriptor = locks.take(self._read, place)
        if descriptor is None:
            return False
        try:
            path = parcels.inside(self._root, place)
            _set_modes(path, _OPEN)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            for folder in (self._read, self._bring):
                locks.path_of(folder, place).unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True


def _is_here(root: Path, name: str, mark: Mark) -> bool:
    """Whether a file, folder or link is here as it should be."""
    path = parcels.inside(root, name)
    if mark.size == parcels.LINK:
        return path.is_symlink() and os.readlink(path) == mark.leads_to  # noqa: PTH115 - as it says
    if mark.size == parcels.FOLDER:
        return path.is_dir() and not path.is_symlink()
    return parcels.is_here(root, name, mark)


def _is_of(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")


def _size_of(place: str, wanted: Mapping[str, Mark]) -> int:
    return sum(mark.size for name, mark in wanted.items() if mark.size > 0 and _is_of(name, place))


def _set_modes(path: Path, mode: int) -> None:
    """Set the permissions of a folder and of all folders in it."""
    if path.is_dir() and not path.is_symlink():
        path.chmod(mode | _OPEN)  # else it could not be looked through
        for folder in path.iterdir():
            _set_modes(folder, mode)
        path.chmod(mode)
