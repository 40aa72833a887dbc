"""The files in an attempt's folder, and how they are written.

Reports are JSON objects, one a line: `{"step": 3, "metrics": {"accuracy": 0.9}, "time": 1700000000.0}`. JSON has
no NaN and no infinities; they are written as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import sys
import time as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PARAMETERS = "parameters.json"
REPORTS = "reports.jsonl"
OUTPUT = "output.log"
CHECKPOINT = "checkpoint"
ARTIFACTS = "artifacts"
#: The trial's own word on why it failed: `{"cause": …, "detail": …}`.
FAILURE = "failure.json"
#: The controller's request to end: `{"grace_seconds": …}`.
STOP = "stop.json"


#: Errors that go away when there is room again.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Bytes at the end of the reports in which it is looked whether some are there already.
_SEARCHED_BYTES = 4 << 20
#: How often a full disk is tried again.
RETRY_SECONDS = 0.2


def append_report(
    folder: str | os.PathLike[str], step: int, metrics: Mapping[str, float], time: float, note: str = ""
) -> None:
    """Append one report, with a note for people if there is one; on a full disk, wait until there is room for it.

    Raises:
        OSError: it can't be written for another reason.
    """
    line = report_line(step, metrics, time, **({"note": note} if note else {}))
    told = False
    while True:
        try:
            with open_shared(os.path.join(folder, REPORTS)) as descriptor:  # noqa: PTH118
                append(descriptor, line)
            return
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
        if not told:
            told = True
            with suppress(OSError):
                print("tunewell: the disk is full; waiting for room for a report", file=sys.stderr, flush=True)
        clock.sleep(RETRY_SECONDS)


def report_line(step: int | None, metrics: Mapping[str, float], time: float, **more: str) -> bytes:
    """Return a report as it stands in the file; `more` are further fields, such as its `source`."""
    numbers = {name: value if math.isfinite(value) else _text(value) for name, value in metrics.items()}
    at = {} if step is None else {"step": step}
    return json.dumps({**at, "metrics": numbers, "time": time, **more}, allow_nan=False).encode() + b"\n"


@contextmanager
def open_shared(path: str | os.PathLike[str], wait: bool = True) -> Iterator[int]:
    """Give the descriptor of a file that several processes append to; whoever opens it so has it alone.

    Unless it is waited for, BlockingIOError is raised where somebody has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        yield descriptor
    finally:
        os.close(descriptor)


def append(descriptor: int, data: bytes) -> None:
    """Append whole lines to a shared file, all of them or nothing. What lacks its end there gets it.

    Raises:
        OSError: nothing was written.
    """
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        data = b"\n" + data
    written = os.write(descriptor, data)
    if written == len(data):
        return
    if os.fstat(descriptor).st_size == size + written:  # else somebody else has written behind it
        os.ftruncate(descriptor, size)
    raise OSError(errno.ENOSPC, "it could be written in part only")


def append_durably(descriptor: int, folder: str | os.PathLike[str], data: bytes, mark: bytes = b"") -> None:
    """Append whole lines to a shared file in a folder, all of them or nothing; they outlive a power failure.

    What has `mark`, if one is given, is appended once, however often: it is looked for where the file ends.

    Raises:
        OSError: that can't be done; of what was appended nothing may be left.
    """
    size = os.fstat(descriptor).st_size
    if not mark or mark not in os.pread(descriptor, _SEARCHED_BYTES, max(0, size - _SEARCHED_BYTES)):
        append(descriptor, data)
    os.fsync(descriptor)
    if not size:
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def is_full(folder: str | os.PathLike[str]) -> bool:
    """Whether the disk that a folder lies on has no room left, for data or for more files."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    # Some is kept back for root.
    blocks, entries = (disk.f_bfree, disk.f_ffree) if os.geteuid() == 0 else (disk.f_bavail, disk.f_favail)
    # There are file systems that know no numbers and say 0.
    return (blocks == 0 or entries == 0) and not _has_room(folder)


def _has_room(folder: str | os.PathLike[str]) -> bool:
    """Try it out."""
    probe = os.path.join(folder, f".room.{os.urandom(8).hex()}")  # noqa: PTH118
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            return os.write(descriptor, bytes(4096)) == 4096
        finally:
            os.close(descriptor)
            os.unlink(probe)  # noqa: PTH108
    except OSError as error:
        return error.errno not in NO_ROOM


def beside(path: Path) -> Path:
    """Return where to write what is then to take the place of a file: a name that nobody else has, in its folder."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def write_json(path: Path, content: object, durable: bool = False) -> None:
    """Write JSON so that a reader sees all of it or nothing; `durable`: it outlives a power failure, too.

    Only the owner may read it: an environment can hold secrets.
    """
    temporary = beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            _write_all(descriptor, json.dumps(content, allow_nan=False).encode() + b"\n")
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        flush(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is no such file or it holds anything else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, outlive a power failure; raise OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
