"""What makes schedulers for tests of the process in which they run apart."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tunewell.schedulers.contract import Sink
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.launch import Launch


def local(cpus: int = 2) -> LocalScheduler:
    """Return a scheduler of this machine."""
    return LocalScheduler(cpus=cpus, gpus=())


def absent(attempts: str) -> LocalScheduler:
    """Fail as where there is no cluster, and note that it was tried; from the second line on, do not."""
    with Path(attempts).open("a") as file:
        file.write("tried\n")
    if len(Path(attempts).read_text().splitlines()) < 3:
        raise ConnectionError("no cluster answers at\n10.0.0.1:6379")
    return LocalScheduler(cpus=2, gpus=())


def aborting() -> LocalScheduler:
    """End the process before there is a scheduler, as a foreign library does: it says so itself, and nobody else."""
    os.write(2, b"*** StackTrace Information ***\n")
    os._exit(1)


def noisy() -> LocalScheduler:
    """Return a scheduler in a process where a library prints, and where something is logged."""
    os.write(2, b"*** StackTrace Information ***\n")
    logging.getLogger(__name__).warning("a node is left out")
    return LocalScheduler(cpus=2, gpus=())


class _Failing(LocalScheduler):
    """Fails when it is asked for anything."""

    def submit(self, launch: Launch) -> None:
        raise RuntimeError("out of order")

    def poll(self, sink: Sink, timeout: float) -> None:
        super().poll(sink, timeout)


def failing() -> LocalScheduler:
    """Return a scheduler that fails at its first attempt."""
    return _Failing(cpus=2, gpus=())
