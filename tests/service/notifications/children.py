"""A process that delivers until it is killed; what it has begun with, others may begin with after half a second."""

from __future__ import annotations

import sys
import threading

from tunewell.service.notifications import deliverer
from tunewell.service.notifications.outgoing import Outgoing
from tunewell.store import Store

if __name__ == "__main__":
    deliverer.CLAIM_SECONDS = 0.5
    with Store(sys.argv[1]) as store:
        deliverer.Deliverer(store, Outgoing()).run(threading.Event())
