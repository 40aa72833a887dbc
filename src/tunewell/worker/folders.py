"""Where a worker keeps the trials that it runs.

::

    FOLDER/OWNER~NAME/
      ID.lock                   held by the worker that calls itself so
      trials/NUMBER/ATTEMPT-RUN/   one run of a program for an attempt: parameters.json, checkpoint, output.log, …

An attempt has several runs where its worker was killed and began again. Each goes on from the checkpoint that the
latest one before it has left, of whatever attempt; so workers that share the folder go on from each other's.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tunewell.controller.attempts import holds_checkpoint
from tunewell.controller.checkpoints import copy_checkpoint
from tunewell.schedulers import records
from tunewell.schedulers.leftovers import settle
from tunewell.service.types import SuggestedTrial
from tunewell.spec.errors import ConflictError
from tunewell.spec.names import in_address
from tunewell.spec.states import Cause
from tunewell.trial import files

#: How long a program may take to end whose worker was killed.
_LEFTOVER_SECONDS = 30.0
_RUN = re.compile(r"(\d+)-(\d+)")


class Folders:
    """The folders of the trials of one experiment."""

    def __init__(self, folder: Path, experiment: str) -> None:
        """Take the worker's folder, and the experiment by its full name; nothing is made yet."""
        self.folder = folder.absolute() / in_address(experiment)

    @contextmanager
    def held_by(self, worker: str) -> Iterator[None]:
        """Be the only one on this machine who calls itself so, here.

        Raises:
            ConflictError: there is another one.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{quote(worker, safe='')}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConflictError(
                    f"a worker '{worker}' is at work in {self.folder} already",
                    remedy="Let this one call itself otherwise",
                    kind="worker-running",
                ) from None
            yield

    def prepare(self, trial: SuggestedTrial) -> tuple[Path, bool]:
        """Make the folder for another run; say whether there is in it whatever it has to go on from.

        What still runs for the trial here is ended first.

        Raises OSError.
        """
        runs = self._runs(trial.number)
        for run in runs:
            _end(run)
        checkpoint = _newest_checkpoint(runs)
        if checkpoint is None and trial.resume_from is not None:
            checkpoint = _newest_checkpoint(self._runs(trial.resume_from))
        number = max((_of(run)[1] for run in runs if _of(run)[0] == trial.attempt), default=0) + 1
        folder = self._trial(trial.number) / f"{trial.attempt}-{number}"
        made = folder.with_name(f".{folder.name}")
        shutil.rmtree(made, ignore_errors=True)
        records.make_folder(made, f"{trial.number}-{folder.name}")
        files.write_json(made / files.PARAMETERS, dict(trial.parameters))
        for part in (files.ARTIFACTS, files.CHECKPOINT):
            (made / part).mkdir()
        if checkpoint is not None:
            copy_checkpoint(checkpoint, made / files.CHECKPOINT)
        made.rename(folder)
        return folder, checkpoint is not None or trial.resume_from is None

    def _trial(self, number: int) -> Path:
        return self.folder / "trials" / str(number)

    def _runs(self, number: int) -> list[Path]:
        """Return the runs of a trial, the earliest first."""
        return sorted((path for path in self._trial(number).glob("*-*") if _RUN.fullmatch(path.name)), key=_of)


def _of(run: Path) -> tuple[int, int]:
    attempt, _, number = run.name.partition("-")
    return int(attempt), int(number)


def _newest_checkpoint(runs: list[Path]) -> Path | None:
    return next((run / files.CHECKPOINT for run in reversed(runs) if holds_checkpoint(run / files.CHECKPOINT)), None)


def _end(run: Path) -> None:
    """See to it that nothing runs in the folder of a run any more; its supervisor notices that its worker is gone."""
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    while records.read_exit(run) is None:
        if settle(run, Cause.KILLED, "its worker was killed") is not None:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{run}: a program of another worker runs there")
        time.sleep(0.05)
