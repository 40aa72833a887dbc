"""A search with a trial of each kind, whose every word would do something if a page took it for markup."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.console.looks import MARKUP
from tunewell.schedulers.records import make_folder
from tunewell.service.service import Service
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, TrialState
from tunewell.store.rows import AttemptEnd

NAME = "signs"
SPEC: dict[str, Any] = {
    "name": NAME,
    "command": ["true", "{learning_rate}", "{optimizer}"],
    "parameters": {
        "learning_rate": {"low": 1e-5, "high": 0.1, "log": True, "default": 1e-3},
        "optimizer": {"choices": ["sgd", "adamw", MARKUP], "default": "sgd"},
    },
    "objective": {"metric": "accuracy", "goal": "maximize"},
    "max_trials": 10,
}
#: The trials: default, best, failed (after an attempt that was lost), running (it goes on from the best), waiting.
DEFAULT, BEST, FAILED, RUNNING, WAITING = 1, 2, 3, 4, 5


def fill(service: Service) -> None:
    """Record the search and its trials."""
    service.create(SPEC)
    add(service, DEFAULT, {"learning_rate": 1e-3, "optimizer": "sgd"}, "default")
    start(service, DEFAULT)
    report(service, DEFAULT, {"accuracy": 0.7, "loss": 0.5})
    finish(service, DEFAULT, AttemptEnd(TrialState.SUCCEEDED, value=0.7, exit_code=0, peak_memory_bytes=1 << 28))
    add(service, BEST, {"learning_rate": 2e-2, "optimizer": MARKUP}, "model")
    start(service, BEST)
    report(service, BEST, {"accuracy": 0.9, MARKUP: 0.25})
    finish(service, BEST, AttemptEnd(TrialState.SUCCEEDED, value=0.9, exit_code=0))
    add(service, FAILED, {"learning_rate": 2e-2, "optimizer": "sgd"}, MARKUP)
    start(service, FAILED)
    with service.store.transaction() as tx:
        lost = AttemptEnd(cause=Cause.NODE_LOST, detail="The machine went away.")
        tx.lose_attempt(AttemptKey(NAME, FAILED, 1), lost)
    start(service, FAILED, 2)
    ended = AttemptEnd(TrialState.FAILED, cause=Cause.GPU_OOM, detail=MARKUP, notes=(f"note {MARKUP}",), exit_code=1)
    finish(service, FAILED, ended, 2)
    add(service, RUNNING, {"learning_rate": 3e-2, "optimizer": "sgd"}, "goes on", resume_from=BEST)
    start(service, RUNNING)
    add(service, WAITING, {"learning_rate": 1e-2, "optimizer": "sgd"}, "random")


def add(service: Service, number: int, parameters: dict[str, Any], origin: str, resume_from: int | None = None) -> None:
    """Record that a trial was proposed."""
    with service.store.transaction() as tx:
        tx.add_trial(NAME, number, parameters, origin, 1.0, resume_from)


def start(service: Service, number: int, attempt: int = 1) -> None:
    """Record an attempt at a trial; its folder is there."""
    key, identity = AttemptKey(NAME, number, attempt), f"identity {number} {attempt}"
    with service.store.transaction() as tx:
        tx.start_attempt(key, identity)
    make_folder(service.home.place(key), identity)


def report(service: Service, number: int, last: dict[str, float], steps: int = 4) -> None:
    """Record reports that grow towards their last values."""
    now = time.time()
    reports = [Report(step, {name: value * step / steps for name, value in last.items()}, now) for step in range(1, 5)]
    with service.store.transaction() as tx:
        tx.add_reports(AttemptKey(NAME, number, 1), reports)


def finish(service: Service, number: int, end: AttemptEnd, attempt: int = 1) -> None:
    """Record the end of a trial."""
    with service.store.transaction() as tx:
        tx.finish_trial(AttemptKey(NAME, number, attempt), end)


def folder(service: Service, number: int, attempt: int = 1) -> Path:
    """Return the folder of an attempt."""
    return service.home.place(AttemptKey(NAME, number, attempt))


def log(service: Service, number: int, attempt: int = 1) -> Path:
    """Return the file that an attempt prints into."""
    return folder(service, number, attempt) / "output.log"


def leave(service: Service, number: int, path: str, content: bytes) -> None:
    """Have a trial leave a file."""
    file = folder(service, number) / "artifacts" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
