"""The home folder: where the database, the experiments' folders and the caches lie.

::

    HOME/
      tunewell.db                        the store
      cache/                             what experiments share (decoded pictures, weights)
      experiments/NAME/
        controller.lock                  held by the one controller that runs the experiment
        retrain.lock                     held by the one process that retrains its model
        trials/NUMBER/ATTEMPT/           one attempt: parameters.json, reports.jsonl, output.log, …
        jobs/ID/                         one job after the search: evaluation, retraining, …
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tunewell.spec.errors import ConflictError, DataError
from tunewell.spec.launch import AttemptKey

#: How long a lock is waited for: whoever only looks whether it is held has it for a moment.
LOCK_SECONDS = 1.0


class Home:
    """Paths below one home folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder as home; it is made when something is first written."""
        self.folder = folder.absolute()

    @property
    def database_url(self) -> str:
        """URL of the embedded database."""
        return f"sqlite:///{self.folder / 'tunewell.db'}"

    @property
    def cache(self) -> Path:
        """Folder of what experiments share."""
        return self.folder / "cache"

    def experiment(self, name: str) -> Path:
        """Folder of an experiment."""
        return self.folder / "experiments" / name

    def attempt(self, key: AttemptKey) -> Path:
        """Folder of one attempt."""
        return self.experiment(key.experiment) / "trials" / str(key.trial) / str(key.attempt)

    def create(self) -> None:
        """Make the folder; raise `DataError` if it can't be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise DataError(
                f"{self.folder}: the home folder can't be written ({error.strerror or error}). "
                "Choose another with --home or TUNEWELL_HOME."
            ) from None

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the right to run an experiment; raise `ConflictError` if another process has it."""
        remedy = f"Watch it with `tunewell show {name}`, or stop it with `tunewell stop {name}`."
        with _held(self.experiment(name) / "controller.lock", f"Experiment '{name}' is being run", remedy):
            yield

    @contextmanager
    def retrain_lock(self, name: str) -> Iterator[None]:
        """Hold the right to replace an experiment's model; raise `ConflictError` if another process has it."""
        with _held(self.experiment(name) / "retrain.lock", f"Experiment '{name}' is being retrained", "Wait for it."):
            yield

    def is_running(self, name: str) -> bool:
        """Whether a controller runs the experiment now."""
        try:
            with (self.experiment(name) / "controller.lock").open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


@contextmanager
def _held(path: Path, what: str, remedy: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        holder = _lock(file)
        if holder is not None:
            raise ConflictError(f"{what} by process {holder}. {remedy}")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(file: TextIO) -> str | None:
    """Lock an open file; return None, or what its holder wrote into it if it stays locked."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            if time.monotonic() >= deadline:
                return holder or "unknown"
            time.sleep(0.02)
        else:
            return None
