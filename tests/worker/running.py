"""A service with its controller in threads of this process, for tests of workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.client.serving import Served, serving
from tests.schedulers.bench import wait_until
from tunewell.service.service import Service
from tunewell.service.verbs import Verbs

SPEC: dict[str, Any] = {
    "name": "w",
    "scheduler": "workers",
    "parameters": {"x": {"low": 0.0, "high": 1.0}},
    "objective": {"metric": "accuracy"},
    "algorithm": "random",
    "early_stopping": "off",
    "max_trials": 4,
    "worker_lease": "24s",
}


@contextmanager
def running(folder: Path) -> Iterator[Served]:
    """Serve a new home in a folder, and run what is recorded in it."""
    stop = threading.Event()
    with serving(folder / "home", patience=20.0) as served, Service(folder / "home") as service:
        controller = threading.Thread(target=service.run_all, args=(stop,))
        controller.start()
        try:
            yield served
        finally:
            stop.set()
            controller.join(60)


def wait_for_end(verbs: Verbs, name: str = "w") -> None:
    """Wait until a search has ended."""
    wait_until(lambda: verbs.experiment(name).state.final)
