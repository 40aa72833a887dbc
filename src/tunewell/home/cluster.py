"""What a home knows of the cluster that its service drives: a file that the controller writes and everybody reads.

So whoever checks a spec, or shows what there is, need not join the cluster.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewell.spec.capacity import Capacity
from tunewell.trial.files import read_json, write_json

#: Its name in the home.
FILE = "cluster.json"
#: Part of the record that says who drives the cluster: name of the machine, number and identity of the process.
_WRITER = "written_by"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Ray cluster of a home."""

    #: As it was named: HOST:PORT of its head, or `auto`.
    address: str
    #: What it has, and what of it is free; while it is away, what it had, and nothing free.
    capacity: Capacity
    #: Since when it can't be used, in seconds since the epoch; None: it can be.
    away_since: float | None = None
    #: Why it can't be used, for people; empty: it can be, or has not answered yet.
    problem: str = ""


def write_cluster(home: Path, cluster: Cluster) -> None:
    """Put on record what the cluster has, and whether it can be used; raise OSError."""
    # psutil takes long to import, and most homes have no cluster.
    from tunewell.schedulers.processes import identity

    pid = os.getpid()
    write_json(home / FILE, {**asdict(cluster), _WRITER: [socket.gethostname(), pid, identity(pid)]})


def read_cluster(home: Path) -> Cluster | None:
    """Return the cluster as it was when it was last looked at; None: the home has none, or nobody drives it any more.

    So it is, too, where the record is damaged.
    """
    record = read_json(home / FILE)
    return _cluster(record) if record is not None and not _is_left(record) else None


def last_cluster(home: Path) -> Cluster | None:
    """Return the cluster as it was when it was last looked at, even by a process that was killed since."""
    record = read_json(home / FILE)
    return _cluster(record) if record is not None else None


def has_cluster(home: Path) -> bool:
    """Whether it is on record that the home has a cluster, and somebody drives it."""
    record = read_json(home / FILE)
    return record is not None and not _is_left(record)


def _cluster(record: dict[str, Any]) -> Cluster | None:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Cluster).validate_python({key: part for key, part in record.items() if key != _WRITER})
    except ValidationError:  # another version's, or changed by hand: the next controller writes it again
        return None


def _is_left(record: dict[str, Any]) -> bool:
    """Whether the process that wrote it was killed; of one on another machine that is not known."""
    writer = record.get(_WRITER)
    if not isinstance(writer, list) or len(writer) != 3 or not isinstance(writer[1], int):
        return False
    from tunewell.schedulers.processes import identity

    host, pid, known = writer
    return bool(host == socket.gethostname()) and identity(pid) != known


def forget_cluster(home: Path) -> None:
    """Take note that the home has no cluster now."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)
