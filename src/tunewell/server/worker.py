"""A web worker: answers requests on the sockets that the launcher has bound. Started by the launcher alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn
from anyio import to_thread

from tunewell.api.app import make_app
from tunewell.api.guard import Guard
from tunewell.api.observing import Observed
from tunewell.api.settings import Settings
from tunewell.api.watching import Watcher
from tunewell.console.app import add_console
from tunewell.console.page import problem_page
from tunewell.server import logs
from tunewell.server.channel import Channel, Order
from tunewell.server.connections import Connection, most_connections
from tunewell.server.home import opened
from tunewell.serving.client import Remote
from tunewell.serving.sockets import path_in

log = logging.getLogger(__name__)

#: How many requests are worked on at once: more would only keep each other from the one core that they share.
THREADS = 8
#: How soon a thread that computes makes room for one that the database has answered, which each request meets many
#: times: a tenth of what is usual.
SWITCH_SECONDS = 0.0005
#: How long requests may take to finish when the service stops.
FINISH_SECONDS = 10
#: Longest that a connection is kept on which nothing is asked.
IDLE_SECONDS = 75


class Worker(uvicorn.Server):
    """Serves on given sockets until SIGTERM; what is followed ends then, other requests are finished."""

    def __init__(self, config: uvicorn.Config, observed: Observed, watcher: Watcher, channel: Channel) -> None:
        super().__init__(config)
        self._observed, self._watcher, self._channel = observed, watcher, channel

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed SIGTERM, and end by it in good order: whoever sent it waits for that."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True
        self._observed.end_streams()
        self._watcher.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and tell the launcher."""
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)
        self._channel.tell(ready=True)


def run(order: Order, channel: Channel) -> None:
    """Answer requests until SIGTERM."""
    options = order.options
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.configure(options, order.name)
    with opened(order) as service:
        service.asks = Remote(path_in(options.home, order.port))
        settings = Settings(
            allowed_hosts=options.hosts,
            root_path=options.path,
            trusted_proxies=options.trusted_proxies,
        )
        app = make_app(service, settings)
        add_console(app)
        observed = Observed(Guard(app, service, settings, problem_page))
        Connection.most = most_connections()
        config = uvicorn.Config(
            observed,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # what proxies say is judged together with all else that is sent
            root_path=options.path,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=FINISH_SECONDS,
        )
        Worker(config, observed, app.state.watcher, channel).run(
            [socket.socket(fileno=number) for number in order.sockets]
        )
