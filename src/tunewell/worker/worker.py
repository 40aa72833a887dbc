"""The worker: one process, several trials at once, each program under a supervisor of its own.

Programs are started and watched in one thread, as in a service; each slot asks and tells in its own. Programs end with
this process, however it dies: the next one of its name goes on with their trials.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, closing

from tunewell.client.client import Client
from tunewell.worker.desk import Desk, Tell
from tunewell.worker.planning import Plan
from tunewell.worker.slot import Slot

#: How often it is looked what programs do.
LOOK_SECONDS = 0.05


def work(client: Client, plan: Plan, tell: Tell) -> bool:
    """Run trials until the search has ended; return whether it has. False: the worker was interrupted.

    Raises:
        ConflictError: another worker of this name is at work on this machine.
        UserError: the service refuses it.
    """
    with ExitStack() as stack:
        for name in plan.slots:
            stack.enter_context(plan.folders.held_by(name))
        desk = stack.enter_context(closing(Desk(tell)))
        previous = {number: signal.signal(number, desk.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            slots = [Slot(name, client, plan, desk) for name in plan.slots]
            for slot in slots:
                slot.start()
            while any(slot.is_alive() and not (desk.interrupted and slot.is_asking) for slot in slots):
                desk.look()
                time.sleep(LOOK_SECONDS)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        for slot in slots:
            if slot.error is not None:
                raise slot.error
        return not desk.interrupted
