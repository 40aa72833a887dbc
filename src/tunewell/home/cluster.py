"""What a home knows of the cluster that its service drives: a file that the controller writes and everybody reads.

So whoever checks a spec, or shows what there is, need not join the cluster.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunewell.spec.capacity import Capacity, Gpu, Node
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
    """Return the cluster as it was when it was last looked at; None if this home has none."""
    record = read_json(home / FILE)
    if record is None:
        return None
    capacity = Capacity(tuple(map(_node, record["capacity"]["nodes"])))
    return Cluster(record["address"], capacity, record["away_since"], record["problem"])


def has_cluster(home: Path) -> bool:
    """Whether it is on record that the home has a cluster."""
    return (home / FILE).exists()


def forget_cluster(home: Path) -> None:
    """Take note that the home has no cluster now."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)


def _node(fields: dict[str, Any]) -> Node:
    pairs = {name: tuple(map(tuple, fields[name])) for name in ("labels", "custom", "free_custom")}
    lists = {name: tuple(fields[name]) for name in ("free_gpus", "free_gpu_parts")}
    return Node(**{**fields, **lists, **pairs, "gpus": tuple(map(_gpu, fields["gpus"]))})


def _gpu(fields: dict[str, Any]) -> Gpu:
    capability = fields["compute_capability"]
    return Gpu(**{**fields, "compute_capability": tuple(capability) if capability else None})
