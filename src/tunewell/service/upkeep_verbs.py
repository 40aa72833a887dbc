"""The verbs that keep a service in order. They are a part of `tunewell.service.verbs.Verbs`, for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class UpkeepVerbs(Protocol):
    """What administrators do about the home as a whole."""

    def backup(self) -> Iterator[bytes]:
        """Yield a backup of the home in parts, a tar: all that is on record and the files of it, secrets included.

        It is of one moment, and nothing has to stand still meanwhile. What can be made again is left out: caches.

        Raises:
            ConflictError: another backup is being made.
            DataError: something can't be read; or, with a later part, the backup is not whole.
        """
