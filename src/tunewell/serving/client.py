"""Asking the server that keeps models loaded."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tunewell.serving import frames
from tunewell.serving.contract import Answer, Item, Limits, Published
from tunewell.serving.errors import error_of
from tunewell.serving.sockets import reachable
from tunewell.spec.errors import BusyError, ModelError
from tunewell.tasks.contract import AS_TRAINED, Answering


class Remote:
    """Asks the server behind a Unix socket; see `Asks`."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Take the path of its socket, and the limits that it keeps to."""
        limits = limits or Limits()
        # The server decides what is late; this is for one that does not answer at all.
        self._path, self._seconds = path, 2 * limits.request_seconds + limits.load_seconds + 10.0

    def ask(self, model: Published, items: Sequence[Item], answering: Answering = AS_TRAINED) -> Answer:
        """Return what a model says of items; see `Asks.ask`."""
        message = {
            "sha256": model.sha256,
            "predictor": model.predictor,
            "names": [item.name for item in items],
            "answering": asdict(answering),
        }
        deadline = time.monotonic() + self._seconds
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                with reachable(self._path) as path:
                    connection.connect(path)
            except OSError:
                raise BusyError(
                    "what keeps the models of the service is away", remedy="Try again in a second", kind="models-away"
                ) from None
            try:
                with suppress(frames.Cut):  # a server that has no time for it says so before it has read all
                    frames.send(connection, message, [item.content for item in items], deadline)
                answer, _ = frames.receive(connection, deadline)
            except (frames.Cut, TimeoutError):
                raise ModelError(
                    "what keeps the models of the service has ended over it", remedy="Try again", kind="model-died"
                ) from None
        if "error" in answer:
            raise error_of(answer["error"])
        return Answer(answer["predictions"], answer["seconds"])
