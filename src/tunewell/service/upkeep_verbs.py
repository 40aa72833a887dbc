"""The verbs that keep a service in order. They are a part of `tunewell.service.verbs.Verbs`, for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tunewell.service.types import Collection, Disk, Garbage


class UpkeepVerbs(Protocol):
    """What administrators do about the home as a whole."""

    def backup(self) -> Iterator[bytes]:
        """Yield a backup of the home in parts, a tar: all that is on record and the files of it, secrets included.

        It is of one moment, and nothing has to stand still meanwhile. What can be made again is left out: caches.

        Raises:
            ConflictError: another backup is being made.
            DataError: something can't be read; or, with a later part, the backup is not whole.
        """

    def disk(self) -> Disk:
        """Return what takes up how much of the disk, what is kept free, and what was removed lately.

        What was counted may be a minute old.
        """

    def change_disk(self, changes: Mapping[str, Any], *, key: str | None = None) -> Disk:
        """Say how much the home may take up, and how much of its disk is kept free.

        Args:
            changes: `budget_bytes`: above it, what is not needed is removed by itself, the least valuable first;
                `reserve_bytes`: with less free, nothing starts. Bytes, or a text such as `200G`; None: nothing is said.
            key: see `Verbs`.
        """

    def garbage(self) -> Garbage:
        """Return what is not needed any more, and would be removed."""

    def collect_garbage(self, *, key: str | None = None) -> Collection:
        """Remove what is not needed any more; return what that was. It is put on record, too.

        Raises:
            ConflictError: a backup is being made.
        """
