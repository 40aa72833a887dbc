"""Workers for tests: threads of this process that train what a scheduler of workers offers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunewell.schedulers import leases, records
from tunewell.schedulers.contract import Sink
from tunewell.schedulers.inline import explain
from tunewell.schedulers.leases import Board, Lease
from tunewell.schedulers.workers import WorkersScheduler
from tunewell.spec.launch import Exit
from tunewell.trial import files
from tunewell.trial.function import call
from tunewell.trial.trial import Pruned, Trial, made


class LeasedTrial(Trial):
    """The trial of a worker on the machine of the scheduler."""

    def __init__(self, lease: Lease, fidelity: float) -> None:
        super().__init__(lease.trial, files.read_json(lease.folder / files.PARAMETERS) or {}, fidelity)
        self._folder = lease.folder
        self._step = 0

    @property
    def should_stop(self) -> bool:
        """Whether it is asked to end."""
        return (self._folder / files.STOP).exists()

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of the checkpoint."""
        return made(self._folder, files.CHECKPOINT)

    @property
    def output_dir(self) -> Path:
        """Folder for whatever is to be kept."""
        return made(self._folder, files.ARTIFACTS)

    def _last_step(self) -> int:
        return self._step

    def _send(self, step: int, metrics: Mapping[str, float], note: str) -> None:
        del note
        with leases.living(self._folder) as reports:
            if reports is None:
                raise Pruned("it is over")
            files.append(reports, files.report_line(step, metrics, time.time()))
        self._step = step


class AttendedScheduler(WorkersScheduler):
    """A scheduler of workers with workers, which ask whenever it is polled, and train in threads."""

    def __init__(self, folder: Path, function: Callable[..., Any], number: int = 2) -> None:
        super().__init__(folder)
        self._board = Board(folder)
        self._function = function
        #: What each worker has, and the thread that trains it.
        self._threads: dict[str, tuple[Lease, threading.Thread]] = {}
        self._names = [f"worker {one}" for one in range(number)]
        self._ask()

    def poll(self, sink: Sink, timeout: float) -> None:
        """Let workers ask, and look after attempts."""
        self._ask()
        super().poll(sink, timeout)
        self._ask()

    def close(self) -> None:
        """Forget everything, and have the threads end."""
        super().close()
        for lease, thread in self._threads.values():
            records.write_stop(lease.folder, 0.0)
            thread.join(10)

    def _ask(self) -> None:
        for name in self._names:
            if name in self._threads:
                lease, thread = self._threads[name]
                if not leases.has_ended(lease.folder):
                    continue
                thread.join(10)
                del self._threads[name]
            given = self._board.ask(name)
            if given is not None:
                thread = threading.Thread(target=self._train, args=(given,), daemon=True)
                self._threads[name] = (given, thread)
                thread.start()

    def _train(self, lease: Lease) -> None:
        cause, detail = None, ""
        try:
            call(self._function, LeasedTrial(lease, fidelity=0.5), "score")
        except Pruned:
            pass
        except BaseException as error:
            cause, detail = explain(error)
        since = leases.taken_at(lease.folder)
        assert since is not None
        stopped = (lease.folder / files.STOP).exists()
        exit_ = Exit(
            None if stopped else cause,
            detail,
            stopped=stopped,
            started_at=since,
            ended_at=time.time(),
            duration_seconds=max(1e-6, time.time() - since),
        )
        leases.end(lease.folder, exit_)


def lease_of(folder: Path, worker: str) -> Lease | None:
    """Have a worker ask on the board of an experiment's folder."""
    return Board(folder).ask(worker)


def complete(lease: Lease, value: float | None = None, metric: str = "score") -> bool:
    """End an attempt well, with a last report if there is a value; say whether it had not ended yet."""
    with leases.living(lease.folder) as reports:
        if reports is None:
            return False
        if value is not None:
            files.append(reports, files.report_line(None, {metric: value}, time.time()))
        records.write_exit(lease.folder, Exit(started_at=1.0, ended_at=2.0, duration_seconds=1.0))
        return True
