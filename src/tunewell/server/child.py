"""A process of the service, from its start: it first looks after the launcher, and only then imports what it needs.

Imports take seconds on a busy machine. Were the launcher killed meanwhile, the child would keep the port for so long.
"""

from __future__ import annotations

import importlib
import os
import sys

from tunewell.server.channel import REFUSED, Channel
from tunewell.spec.errors import UserError


def main() -> int:
    """Carry out the order that comes by a descriptor, as the module does that is named before it; return the exit code.

    An error of the user's is told to the launcher, which tells it to people.
    """
    module, descriptor = sys.argv[1:]
    channel = Channel(int(descriptor))
    order = channel.order()
    os.umask(0o077)  # what the service writes is nobody else's business
    try:
        importlib.import_module(module).run(order, channel)
    except UserError as error:
        channel.tell(
            refused={"what": error.what, "field": error.field, "remedy": error.remedy, "kind": error.kind}
            | {"facts": error.facts}
        )
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
