"""Where users put what they bring: the store, the home, and the rights of the one who asks."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.home.home import Home
from tunewell.service.rights import Rights
from tunewell.service.types import Caller
from tunewell.spec.errors import ConflictError
from tunewell.spec.format import size
from tunewell.spec.quota import STORED
from tunewell.store.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """What the verbs on uploads, data sets and code work with."""

    store: Store
    home: Home
    rights: Rights

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self.rights.caller


def free_bytes(place: Place) -> int | None:
    """Return how many bytes the caller's quota still has room for, perhaps a negative number; None: there is no limit.

    Within a transaction, what it has written does not count.
    """
    user = place.store.find_user(place.caller.name)
    quota = user.quota.get("disk_bytes") if user is not None else None
    if user is None or quota is None:
        return None
    return int(quota) - user.disk_bytes - place.store.stored_bytes(place.caller.name)


def check_room(place: Place, needed: int) -> None:
    """Raise `ConflictError` where so many bytes more are too many for the caller's quota."""
    free = free_bytes(place)
    if free is not None and needed > free:
        raise ConflictError(
            f"it takes {size(needed)}, and your quota has {size(max(0, free))} left",
            field="size",
            remedy=f"Remove what you don't need ({STORED}), or ask an administrator for more",
            kind="quota-exceeded",
            free_bytes=max(0, free),
        )
