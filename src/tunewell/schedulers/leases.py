"""Who trains which attempt elsewhere: what the scheduler of workers and the service tell each other through files.

In the experiment's folder, the *board*:

===================================  ============================================================================
workers/lock                         held by whoever gives an attempt, or takes it back
workers/offers/TRIAL-ATTEMPT         an attempt that is to be had; written by the scheduler
workers/leases/WORKER                an offer that a worker has taken: the same file, under another name
workers/waiting/WORKER               a worker that asks; it has asked when the file was last touched
trials/TRIAL/ATTEMPT/worker.json     who has the attempt; touched with each sign of life
===================================  ============================================================================

A worker's name stands there as a checksum. A lease is good as long as the attempt that it names has not ended: so
nothing has to be done in two places at once. All that may end an attempt, or adds to what it has reported, happens
under the lock of its reports.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.schedulers import records
from tunewell.spec.launch import AttemptKey, Exit, Launch
from tunewell.trial import files

#: Folder of the board in that of an experiment; who has an attempt, in its own.
BOARD, WORKER = "workers", "worker.json"
#: How long a worker counts as waiting after it has asked: it may be about to ask again.
WAITING_SECONDS = 10.0
#: After which time a worker that asks no more is forgotten.
FORGOTTEN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Lease:
    """An attempt that a worker has."""

    trial: int
    attempt: int
    identity: str
    #: Folder of the attempt.
    folder: Path


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker that has been heard from."""

    name: str
    #: When it was heard from last, in seconds since the epoch.
    heard_at: float
    #: What it has; None: it waits.
    lease: Lease | None


class WrongOffset(Exception):
    """A piece of a log that does not follow on what is there."""

    def __init__(self, size: int) -> None:
        """Take how many bytes there are."""
        super().__init__(f"the log has {size} bytes")
        self.size = size


class Board:
    """The offers and leases of one experiment. Any number of processes of this machine may use it."""

    def __init__(self, folder: Path) -> None:
        """Use the board in the folder of an experiment; it is made when something is first written."""
        self._experiment = folder
        self.folder = folder / BOARD
        self._offers, self._leases, self._waiting = (self.folder / name for name in ("offers", "leases", "waiting"))

    def make(self) -> None:
        """Make its folders; raise OSError."""
        for folder in (self._offers, self._leases, self._waiting):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # The scheduler's side ---------------------------------------------------------------------------------

    def offer(self, launch: Launch) -> None:
        """Let workers have an attempt, whose folder is in its place; raise OSError."""
        self.make()
        folder = os.path.relpath(launch.folder, self._experiment)
        number = launch.key.trial if isinstance(launch.key, AttemptKey) else launch.key.job
        content = {"trial": number, "attempt": launch.key.attempt, "identity": launch.identity, "folder": folder}
        files.write_json(self._offers / offer_name(launch), content)

    def offers(self) -> list[str]:
        """Return the names of what is to be had, the trial with the lowest number first."""
        try:
            names = [name for name in os.listdir(self._offers) if not name.startswith(".")]  # noqa: PTH208 (often)
        except OSError:
            return []
        return sorted(names, key=lambda name: tuple(map(int, name.split("-"))))

    def withdraw(self, launch: Launch) -> bool:
        """Take an offer back; False: there is none, so somebody may have it. Raises OSError, also if that must wait."""
        with self._locked(wait=False):
            try:
                (self._offers / offer_name(launch)).unlink()
            except FileNotFoundError:
                return False
            return True

    def waiting(self, now: float) -> int:
        """Return how many workers have asked, and have nothing yet."""
        return sum(abs(now - asked_at) < WAITING_SECONDS for _, asked_at in _files(self._waiting))

    def count_of_waiting(self) -> int:
        """Return about how many workers wait, those included that have asked long ago: next to no work."""
        try:
            return len(os.listdir(self._waiting))  # noqa: PTH208 (asked many times a second)
        except OSError:
            return 0

    def tidy(self, now: float) -> None:
        """Forget workers that ask no more, and leases of attempts that have ended; raise OSError as `withdraw` does."""
        for path, asked_at in _files(self._waiting):
            if now - asked_at > FORGOTTEN_SECONDS:
                path.unlink(missing_ok=True)
        with self._locked(wait=False):
            for path, _ in _files(self._leases):
                if self._good(path) is None:
                    path.unlink(missing_ok=True)

    # The workers' side ------------------------------------------------------------------------------------

    def ask(self, worker: str) -> Lease | None:
        """Return what a worker has, or else give it the first offer; None: there is none, and it waits from now on.

        Raises OSError.
        """
        self.make()
        name = _checksum(worker)
        with self._locked():
            lease = self._good(self._leases / name) or self._claim(worker, name)
            if lease is None:
                self._note_waiting(worker, name)
        if lease is not None:
            touch(lease.folder)
        return lease

    def keep_waiting(self, workers: list[str]) -> None:
        """Take note that workers are still asking, those that have nothing yet."""
        for worker in workers:
            with suppress(OSError):
                os.utime(self._waiting / _checksum(worker))

    def leave(self, worker: str) -> None:
        """Take note that a worker asks no more."""
        with suppress(OSError):
            (self._waiting / _checksum(worker)).unlink()

    def give_up(self, worker: str, lease: Lease) -> None:
        """Take a lease from a worker that is good for nothing."""
        with self._locked():
            path = self._leases / _checksum(worker)
            if self._read(path) == lease:
                path.unlink(missing_ok=True)

    def workers(self) -> list[Seen]:
        """Return the workers that have an attempt, or have asked for one within an hour, by name."""
        found = {}
        for path, asked_at in _files(self._waiting):
            name = (files.read_json(path) or {}).get("worker")
            if name is not None:
                found[name] = Seen(name, asked_at, None)
        for path, _ in _files(self._leases):
            lease = self._good(path)
            name = worker_of(lease.folder) if lease is not None else None
            if lease is not None and name is not None:
                found[name] = Seen(name, heard_at(lease.folder) or 0.0, lease)
        return [found[name] for name in sorted(found)]

    def _claim(self, worker: str, name: str) -> Lease | None:
        for offer in self.offers():
            path = self._offers / offer
            lease = self._good(path)
            if lease is None:  # of an attempt that another controller has ended meanwhile
                path.unlink(missing_ok=True)
                continue
            # First whose it is: without it nobody could tell when it was heard from last.
            files.write_json(lease.folder / WORKER, {"worker": worker, "since": time.time()})
            # Then that it waits no more: whoever counts in between finds too little room, and looks again.
            (self._waiting / name).unlink(missing_ok=True)
            path.rename(self._leases / name)
            return lease
        return None

    def _note_waiting(self, worker: str, name: str) -> None:
        path = self._waiting / name
        try:
            os.utime(path)
        except FileNotFoundError:
            files.write_json(path, {"worker": worker})

    def _good(self, path: Path) -> Lease | None:
        """Return the lease, or offer, in a file as long as its attempt has not ended."""
        lease = self._read(path)
        if lease is None or records.identity_of(lease.folder) != lease.identity or has_ended(lease.folder):
            return None
        return lease

    def _read(self, path: Path) -> Lease | None:
        content: dict[str, Any] | None = files.read_json(path)
        if content is None:
            return None
        folder = Path(os.path.normpath(self._experiment / content["folder"]))
        return Lease(content["trial"], content["attempt"], content["identity"], folder)

    @contextmanager
    def _locked(self, wait: bool = True) -> Iterator[None]:
        # Who answers a worker may wait for another one who does. The scheduler may not: a process can stand still.
        self.make()
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(descriptor)


def offer_name(launch: Launch) -> str:
    """Return how the offer of an attempt is called."""
    key = launch.key
    return f"{key.trial if isinstance(key, AttemptKey) else key.job}-{key.attempt}"


# One attempt ----------------------------------------------------------------------------------------------


def has_ended(folder: Path) -> bool:
    """Whether the attempt in `folder` has ended."""
    return os.path.exists(folder / records.EXIT)  # noqa: PTH110 (asked again and again)


def worker_of(folder: Path) -> str | None:
    """Return the worker that has, or had, the attempt in `folder`; None: none has taken it."""
    return (files.read_json(folder / WORKER) or {}).get("worker")


def taken_at(folder: Path) -> float | None:
    """Return when a worker has taken the attempt in `folder`, in seconds since the epoch."""
    return (files.read_json(folder / WORKER) or {}).get("since")


def heard_at(folder: Path) -> float | None:
    """Return when the worker of the attempt in `folder` was heard from last; None: none has taken it."""
    try:
        return os.stat(folder / WORKER).st_mtime  # noqa: PTH116 (asked again and again)
    except OSError:
        return None


def touch(folder: Path) -> None:
    """Take note that the worker of the attempt in `folder` lives."""
    with suppress(OSError):
        os.utime(folder / WORKER)


@contextmanager
def living(folder: Path, wait: bool = True) -> Iterator[int | None]:
    """Hold the lock of an attempt; gives the descriptor of its reports, or None if it has ended. Raises OSError."""
    with files.open_shared(folder / files.REPORTS, wait) as descriptor:
        yield None if has_ended(folder) else descriptor


def end(folder: Path, exit_: Exit) -> bool:
    """Write the end of an attempt, unless it has ended; say whether this is its end now.

    Raises OSError, also if somebody is just writing a report.
    """
    with living(folder, wait=False) as reports:
        if reports is None:
            return False
        records.write_exit(folder, exit_)
        return True


def append_log(folder: Path, offset: int, data: bytes) -> int:
    """Append to what the program of an attempt has printed; return how long that is now.

    Sent again, it does nothing more. Raises OSError, or `WrongOffset` where something before it is missing.
    """
    with files.open_shared(folder / files.OUTPUT) as descriptor:
        size = os.fstat(descriptor).st_size
        if size < offset:
            raise WrongOffset(size)
        data = data[size - offset :]
        while data:
            data = data[os.write(descriptor, data) :]
        return os.fstat(descriptor).st_size


def _checksum(worker: str) -> str:
    return hashlib.sha256(worker.encode()).hexdigest()[:40]


def _files(folder: Path) -> Iterator[tuple[Path, float]]:
    """Yield the files in a folder with the times at which they were touched; what goes away meanwhile is left out."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                with suppress(OSError):
                    yield Path(entry.path), entry.stat().st_mtime
