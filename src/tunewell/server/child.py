"""A process of the service, from its start: it first looks after the launcher, and only then imports what it needs.

Imports take seconds on a busy machine. Were the launcher killed meanwhile, the child would keep the port for so long.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from contextlib import suppress

from tunewell.server import figures
from tunewell.server.channel import REFUSED, Channel
from tunewell.spec.errors import UserError

#: Number of places that memory is taken from; by default eight a core.
MOST_ARENAS = 1
_M_ARENA_MAX = -8


def main() -> int:
    """Carry out the order that comes by a descriptor, as the module does that is named before it; return the exit code.

    An error of the user's is told to the launcher, which tells it to people.
    """
    module, descriptor = sys.argv[1:]
    channel = Channel(int(descriptor))
    order = channel.order()
    _share_memory()
    os.umask(0o077)  # what the service writes is nobody else's business
    if not figures.take_room():
        print(f"{order.name}: there is no room for figures; it counts for itself alone", file=sys.stderr, flush=True)
    try:
        importlib.import_module(module).run(order, channel)
    except UserError as error:
        channel.tell(
            refused={"what": error.what, "field": error.field, "remedy": error.remedy, "kind": error.kind}
            | {"facts": error.facts}
        )
        return REFUSED
    return 0


def _share_memory() -> None:
    """Have all threads take memory from one place: with places of their own, each keeps what it has freed (glibc)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, MOST_ARENAS)


if __name__ == "__main__":
    sys.exit(main())
