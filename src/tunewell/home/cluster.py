"""What a home knows of the cluster that its service drives: a file that the controller writes and everybody reads.

So whoever checks a spec, or shows what there is, need not join the cluster.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunewell.spec.capacity import Capacity, Gpu, Node
from tunewell.trial.files import read_json, write_json

#: Its name in the home.
FILE = "cluster.json"


def write_cluster(home: Path, capacity: Capacity) -> None:
    """Put on record what the cluster has, and what of it is free; raise OSError."""
    write_json(home / FILE, asdict(capacity))


def read_cluster(home: Path) -> Capacity | None:
    """Return what the cluster had when it was last seen; None if this home has none."""
    record = read_json(home / FILE)
    if record is None:
        return None
    return Capacity(tuple(_node(node) for node in record["nodes"]))


def has_cluster(home: Path) -> bool:
    """Whether it is on record that the home has a cluster."""
    return (home / FILE).exists()


def forget_cluster(home: Path) -> None:
    """Take note that the home has no cluster now."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)


def _node(fields: dict[str, Any]) -> Node:
    pairs = {name: tuple(map(tuple, fields[name])) for name in ("labels", "custom", "free_custom")}
    gpus = {"gpus": tuple(map(_gpu, fields["gpus"])), "free_gpus": tuple(fields["free_gpus"])}
    return Node(**{**fields, **gpus, **pairs})


def _gpu(fields: dict[str, Any]) -> Gpu:
    capability = fields["compute_capability"]
    return Gpu(**{**fields, "compute_capability": tuple(capability) if capability else None})
