"""The process that keeps published models loaded, for all web workers of a service. Started by the launcher alone."""

from __future__ import annotations

import os
import signal
import socket
import threading

from prometheus_client import Gauge

from tunewell.home.home import Home
from tunewell.server import logs
from tunewell.server.channel import Channel, Order
from tunewell.serving.contract import Limits
from tunewell.serving.pool import Pool
from tunewell.serving.server import Server

#: How often it is counted how many are loaded, in seconds.
COUNT_SECONDS = 1.0
LOADED = Gauge("tunewell_models_loaded", "Published models that are loaded.", multiprocess_mode="livesum")
#: How much lower its priority is than that of the web workers; those of the models are lower by as much again.
NICENESS = 5
#: How long requests may take to be answered when the service stops.
FINISH_SECONDS = 10.0


def run(order: Order, channel: Channel) -> None:
    """Answer what web workers ask until SIGTERM; models end with it."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    os.nice(NICENESS)
    logs.configure(order.options, order.name)
    (descriptor,) = order.sockets
    with socket.socket(fileno=descriptor) as listening, Pool(Home(order.options.home).models, Limits()) as pool:
        server = Server(listening, pool)
        threading.Thread(target=_count, args=(pool, stop), name="figures", daemon=True).start()
        channel.tell(ready=True)
        server.run(stop)
        server.finish(FINISH_SECONDS)


def _count(pool: Pool, stop: threading.Event) -> None:
    """Count the models that are loaded until `stop` is set."""
    while not stop.wait(COUNT_SECONDS):
        LOADED.set(len(pool.loaded))
