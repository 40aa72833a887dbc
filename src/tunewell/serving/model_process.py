"""The process of one model: `python -m tunewell.serving.model_process DESCRIPTOR`.

It is told over its socket which model it is, checks that its files are what was published, loads it, and says that it
is ready or what is wrong. Then it answers one request after the other. It ends when the socket does.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tunewell.home.manifest import content_of, files_in
from tunewell.serving import frames
from tunewell.serving.errors import parts_of
from tunewell.spec.errors import DataError, UserError, count, listed
from tunewell.tasks.contract import Answering, Predicting

#: How much lower its priority is than that of the process which asks it.
NICENESS = 5
_Request = tuple[dict[str, Any], list[bytes]]


def main() -> None:
    """Serve the model that the first message names, as long as somebody is there."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    os.nice(NICENESS)
    with suppress(frames.Cut):
        _serve(connection)


def _serve(connection: socket.socket) -> None:
    order, _ = frames.receive(connection)
    requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(connection, requests), daemon=True).start()
    try:
        model = _loaded(Path(order["folder"]), order["sha256"], order["predictor"])
    except UserError as error:
        frames.send(connection, {"error": parts_of(error)})
        return
    frames.send(connection, {"ready": True})
    while True:
        message, contents = requests.get()
        frames.send(connection, _answer(model, message, contents))


def _hear(connection: socket.socket, requests: queue.SimpleQueue[_Request]) -> NoReturn:
    """Take requests; when nobody can ask any more, end the process, whatever it is at."""
    try:
        while True:
            requests.put(frames.receive(connection))
    except frames.Cut:
        os._exit(0)


def _loaded(folder: Path, sha256: str, predictor: str) -> Predicting:
    if content_of(files_in(folder)).sha256 != sha256:
        remedy = "Have the files restored from a backup, or publish it again"
        raise DataError("the files of this model are not what was published", remedy=remedy, kind="model-damaged")
    module, _, function = predictor.partition(":")
    model: Predicting = getattr(import_module(module), function)(folder)
    return model


def _answer(model: Predicting, message: dict[str, Any], contents: Sequence[bytes]) -> dict[str, Any]:
    names, answering = message["names"], Answering(**message["answering"])
    began = time.perf_counter()
    predictions: list[dict[str, Any]] = []
    for start in range(0, len(contents), model.batch_size):
        predictions += model.predict(contents[start : start + model.batch_size], answering)
    seconds = time.perf_counter() - began
    unreadable = {
        name: prediction["error"] for name, prediction in zip(names, predictions, strict=True) if prediction["error"]
    }
    if unreadable:
        return {"error": parts_of(_unreadable(unreadable))}
    named = [{"file": name, **one} for name, one in zip(names, predictions, strict=True)]
    return {"predictions": named, "seconds": seconds}


def _unreadable(problems: dict[str, str]) -> DataError:
    (first, why), more = next(iter(problems.items())), len(problems) - 1
    what = f"it can't be read ({why})"
    if more:
        what += f"; so it is with {count(more, 'other')}: {listed(list(problems)[1:])}"
    return DataError(what, field=first, remedy="Send pictures alone, undamaged ones", kind="unreadable-picture")


if __name__ == "__main__":
    main()
