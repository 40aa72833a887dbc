"""Events of the service itself that administrators are told of. Those of searches are told where they are recorded."""

from __future__ import annotations

from tunewell.store.store import Store


def tell_disk_low(store: Store, free_bytes: int, total_bytes: int) -> int:
    """Have administrators who want it told that the disk is nearly full; return how many channels that goes to.

    Whoever calls it sees to it that it is not told again and again.
    """
    with store.transaction() as tx:
        return tx.notify("disk_low", {"free_bytes": free_bytes, "total_bytes": total_bytes})
