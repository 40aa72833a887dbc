"""The server that keeps models loaded for all web workers of a service, over a Unix socket.

A connection is one request, `{"sha256", "predictor", "names", "answering"}` with the contents of the items, and one
answer, `{"predictions", "seconds"}` or `{"error"}`.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress

from tunewell.home.manifest import is_sha256
from tunewell.serving import frames
from tunewell.serving.contract import Item, Published
from tunewell.serving.errors import parts_of
from tunewell.serving.pool import Pool
from tunewell.spec.errors import BusyError, UserError
from tunewell.tasks.contract import Answering

log = logging.getLogger(__name__)

#: Most requests that are held at once: each may be of many megabytes.
MOST_REQUESTS = 48
#: How long whoever connects may take to say what is asked.
SAY_SECONDS = 30.0
#: How often it is looked whether the server is to end.
LOOK_SECONDS = 0.5


class Server:
    """Answers requests for the models of a pool."""

    def __init__(self, listening: socket.socket, pool: Pool) -> None:
        """Take a socket that listens; both stay their owner's."""
        self._listening, self._pool = listening, pool
        self._held = threading.Semaphore(MOST_REQUESTS)

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set."""
        self._listening.settimeout(LOOK_SECONDS)
        while not stop.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def finish(self, seconds: float) -> None:
        """Wait until nobody waits for an answer any more, for some seconds at most."""
        deadline = time.monotonic() + seconds
        while self._pool.is_asked and time.monotonic() < deadline:
            time.sleep(0.02)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(frames.Cut, TimeoutError):
            if not self._held.acquire(blocking=False):
                frames.send(connection, {"error": parts_of(BusyError("the models are asked too much at once"))})
                return
            try:
                self._answer(connection)
            finally:
                self._held.release()

    def _answer(self, connection: socket.socket) -> None:
        message, contents = frames.receive(connection, time.monotonic() + SAY_SECONDS)
        try:
            model = Published(message["sha256"], message["predictor"])
            items = [Item(name, content) for name, content in zip(message["names"], contents, strict=True)]
            answering = Answering(**message["answering"])
        except (KeyError, TypeError, ValueError):
            raise frames.Cut from None
        if not is_sha256(model.sha256):
            raise frames.Cut
        try:
            answer = self._pool.ask(model, items, answering)
        except UserError as error:
            log.info("model %s: %s", model.sha256[:12], error)
            frames.send(connection, {"error": parts_of(error)}, deadline=time.monotonic() + SAY_SECONDS)
            return
        told = {"predictions": answer.predictions, "seconds": answer.seconds}
        frames.send(connection, told, deadline=time.monotonic() + SAY_SECONDS)
