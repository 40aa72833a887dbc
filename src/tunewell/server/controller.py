"""The controller process of a service: runs all that is on record in its home. Started by the launcher alone."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress

from tunewell.api import metrics
from tunewell.api.settings import BASE
from tunewell.server import logs, welcome
from tunewell.server.channel import Channel, Order
from tunewell.server.home import opened
from tunewell.service.runs import Serving, Situation
from tunewell.service.service import Service
from tunewell.spec.errors import UserError
from tunewell.store.errors import StoreError

log = logging.getLogger(__name__)

#: How much lower its priority is than that of the web workers, whom somebody waits for.
NICENESS = 5
#: Wait before each time that it is tidied up.
TIDY_SECONDS = 600.0


def run(order: Order, channel: Channel) -> None:
    """Run everything until SIGTERM; then trials live on, or end first if the options say so."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    os.nice(NICENESS)
    logs.configure(order.options, order.name)
    with opened(order) as service:

        def end(*_: object) -> None:
            stop.set()
            service.hurry()

        signal.signal(signal.SIGTERM, end)
        watch = _Watch(service, order, channel)
        options = order.options
        if options.ray is not None:
            service.join_cluster(options.ray, wait=False)
        threading.Thread(target=_tidy, args=(service, stop), daemon=True).start()
        with suppress(KeyboardInterrupt):
            api = f"{options.direct_address}{BASE}"
            serving = Serving(
                stop_trials=options.stop_trials, trial_user=options.trial_user, api=api, outgoing=service.outgoing
            )
            service.run_all(stop, watch.step, serving=serving)


def _tidy(service: Service, stop: threading.Event) -> None:
    """Remove now and then what nobody asks for any more."""
    while not stop.wait(TIDY_SECONDS):
        try:
            service.tidy()
        except UserError as error:
            log.warning("not tidied up: %s", error)


class _Watch:
    """Looks at each step of the controller."""

    def __init__(self, service: Service, order: Order, channel: Channel) -> None:
        self._service, self._order, self._channel = service, order, channel
        self._ready = False
        self._problem = ""

    def step(self, situation: Situation) -> None:
        """Count the step; tell the launcher after the first, which proves that the home is ours."""
        metrics.STEP_SECONDS.observe(situation.step_seconds)
        if situation.problem != self._problem:
            self._problem = situation.problem
            if self._problem:
                metrics.STORE_ERRORS.inc()
                log.warning("waiting: %s", self._problem)
            else:
                log.info("going on")
        if not self._ready:
            with suppress(StoreError):  # away just now: the next step tries again
                facts = welcome.welcome(self._service, self._order)
                self._ready = True
                self._channel.tell(**facts)
