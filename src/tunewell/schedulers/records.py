"""What scheduler and supervisor tell each other through an attempt's folder.

===================  ================================================================================
identity.json        whose folder it is; written first
launch.json          what to start, and on which GPUs; written by the scheduler
supervisor.lock      locked by the supervisor as long as it lives: the proof of life
supervisor.json      who the supervisor and the trial's first process are, and of which folder
stop.json            the request to end; written by the scheduler
exit.json            how the attempt ended. Nothing starts in a folder that has it
===================  ================================================================================
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewell.spec.launch import AttemptKey, Exit, JobKey, Launch, Limits, Resources
from tunewell.spec.states import Cause
from tunewell.trial import files

IDENTITY = "identity.json"
LAUNCH = "launch.json"
LOCK = "supervisor.lock"
SUPERVISOR = "supervisor.json"
EXIT = "exit.json"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can be told from a later one with the same number."""

    pid: int
    #: See `processes.identity`.
    identity: str


@dataclass(frozen=True, slots=True)
class Supervised:
    """The two processes of an attempt that every other one descends from."""

    supervisor: Process
    #: Leader of the trial's process group, in the session that the supervisor leads.
    trial: Process
    #: What /proc calls the pipe that the trial prints into.
    output: str


def make_folder(folder: Path, identity: str, **facts: str) -> None:
    """Make a folder that has an identity, and further facts for people; raise OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / IDENTITY, {"identity": identity, **facts})


def identity_of(folder: Path) -> str | None:
    """Return the identity that a folder has; None if there is no such folder, or it has none."""
    return (files.read_json(folder / IDENTITY) or {}).get("identity")


def inode(folder: Path) -> list[int] | None:
    """Return what tells a folder from its copies, and is kept when it is moved; None if it is not there."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return [status.st_dev, status.st_ino]


def write_launch(launch: Launch, gpus: tuple[str, ...]) -> None:
    """Write launch.json; `gpus` are the GPUs that the attempt holds. Raises OSError.

    The lock is made first: a supervisor that finds no room for it could not even say so.
    """
    (launch.folder / LOCK).touch(0o600)
    content = asdict(launch)
    content["working_directory"] = str(launch.working_directory.absolute())
    # Where it lies, what has a file of its own, and what is for the scheduler alone.
    for name in ("folder", "parameters", "secrets", "private_environment", "inputs"):
        del content[name]
    files.write_json(launch.folder / LAUNCH, {"launch": content, "gpus": gpus})


def read_launch(folder: Path) -> Launch | None:
    """Return what is to be started in `folder`; None if there is no (sound) launch.json."""
    record = files.read_json(folder / LAUNCH)
    if record is None:
        return None
    content = record["launch"]
    key = content["key"]
    return Launch(
        key=JobKey(**key) if "job" in key else AttemptKey(**key),
        folder=folder,
        identity=content["identity"],
        command=tuple(content["command"]) if content["command"] is not None else None,
        entry=content["entry"],
        preload=tuple(content["preload"]),
        environment=content["environment"],
        working_directory=Path(content["working_directory"]),
        resources=Resources(**content["resources"]),
        limits=Limits(**content["limits"]),
        metric_pattern=content["metric_pattern"],
        metric=content["metric"],
        ends_with=tuple(content["ends_with"]) if content["ends_with"] is not None else None,
    )


def read_held(folder: Path) -> tuple[Resources, tuple[str, ...]] | None:
    """Return what the attempt in `folder` was started with, and on which GPUs; None if it was not."""
    record = files.read_json(folder / LAUNCH)
    return (Resources(**record["launch"]["resources"]), tuple(record["gpus"])) if record is not None else None


def write_supervised(folder: Path, processes: Supervised) -> None:
    """Write supervisor.json; raise OSError."""
    files.write_json(folder / SUPERVISOR, {**asdict(processes), "folder": inode(folder)})


def read_supervised(folder: Path) -> Supervised | None:
    """Return who supervises the attempt in `folder`; None if that is not known (yet), or if it is a copy."""
    record = files.read_json(folder / SUPERVISOR)
    if record is None or is_copied(folder):
        return None
    return Supervised(Process(**record["supervisor"]), Process(**record["trial"]), record["output"])


def is_copied(folder: Path) -> bool:
    """Whether the attempt in `folder` was supervised elsewhere, and the folder was copied from there.

    The processes that it tells of are its original's, and what was written while it was copied may be missing.
    """
    record = files.read_json(folder / SUPERVISOR)
    return record is not None and record["folder"] != inode(folder)


def write_stop(folder: Path, grace_seconds: float) -> None:
    """Ask the attempt in `folder` to end; a later request replaces an earlier one. Raises OSError."""
    files.write_json(folder / files.STOP, {"grace_seconds": grace_seconds})


def read_stop(folder: Path) -> float | None:
    """Return the grace time in seconds of a request to end; None if there is no request."""
    record = files.read_json(folder / files.STOP)
    return float(record.get("grace_seconds", 0.0)) if record is not None else None


def write_exit(folder: Path, exit_: Exit, mark: str = "") -> None:
    """Write exit.json so that it outlives a power failure, perhaps with a mark of whoever does; raise OSError."""
    files.write_json(folder / EXIT, {**asdict(exit_), "mark": mark}, durable=True)


def mark_of_exit(folder: Path) -> str | None:
    """Return the mark with which the end of the attempt in `folder` was written; None if it has not ended."""
    record = files.read_json(folder / EXIT)
    return None if record is None else str(record.get("mark", ""))


def read_exit(folder: Path) -> Exit | None:
    """Return how the attempt in `folder` ended; None if it has not."""
    record: Mapping[str, Any] | None = files.read_json(folder / EXIT)
    if record is None:
        return None
    cause = Cause(record["cause"]) if record["cause"] else None
    known = {name: value for name, value in record.items() if name != "mark"}
    return Exit(**{**known, "cause": cause, "notes": tuple(record["notes"])})


def not_started(error: OSError) -> Exit:
    """Return the end of an attempt that `error` kept from starting."""
    cause = Cause.DISK_FULL if error.errno in files.NO_ROOM else Cause.NODE_LOST
    return Exit(cause, f"it could not be started: {error}", ended_at=time.time())


@contextmanager
def locked(folder: Path, wait: bool) -> Iterator[int | None]:
    """Hold the attempt's lock; gives its descriptor, or None if a supervisor has it and we are not to `wait`.

    The lock goes with the descriptor and all its copies, so a forked child must close it. Raises OSError.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)
