"""What a home knows of the cluster that its service drives: a file that the controller writes and everybody reads.

So whoever checks a spec, or shows what there is, need not join the cluster.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tunewell.spec.capacity import Capacity
from tunewell.trial.files import read_json, write_json

#: Its name in the home.
FILE = "cluster.json"


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
    write_json(home / FILE, asdict(cluster))


def read_cluster(home: Path) -> Cluster | None:
    """Return the cluster as it was when it was last looked at; None if this home has none, or the record is damaged."""
    record = read_json(home / FILE)
    if record is None:
        return None
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Cluster).validate_python(record)
    except ValidationError:  # another version's, or changed by hand: the next controller writes it again
        return None


def has_cluster(home: Path) -> bool:
    """Whether it is on record that the home has a cluster."""
    return (home / FILE).exists()


def forget_cluster(home: Path) -> None:
    """Take note that the home has no cluster now."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)
