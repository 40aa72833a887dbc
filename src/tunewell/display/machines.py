"""What nodes of a cluster have, in words that pages and commands share."""

from __future__ import annotations

from collections import Counter

from tunewell.service.types import Cluster, Node
from tunewell.spec.errors import count
from tunewell.spec.format import number, size
from tunewell.spec.names import cluster_called

#: A label that each node has from Ray, with a name for the node, which is told as that.
_NAME_LABEL = "ray.io/node-id"


def away_text(cluster: Cluster) -> str:
    """Return why a cluster can't be used: one sentence, empty if it can be."""
    if cluster.away_since is None:
        return ""
    called = cluster_called(cluster.address)
    why = f"can't be used: {cluster.problem}" if cluster.problem else "has not answered yet"
    return f"{called[0].upper()}{called[1:]} {why}."


def gpus_text(node: Node) -> str:
    """Return `1.5 of 2 free (2 H100, 80 GiB each)`; of a cluster's node it is not known which are free."""
    kinds = Counter((gpu.name, gpu.memory_bytes) for gpu in node.gpus)
    told = [_kind_text(amount, *kind) for kind, amount in kinds.items() if kind[0] or kind[1] is not None]
    return f"{number(node.free_gpus)} of {len(node.gpus)} free" + (f" ({', '.join(told)})" if told else "")


def _kind_text(amount: int, name: str, memory_bytes: int | None) -> str:
    what = f"{amount} {name}" if name else count(amount, "GPU")
    each = " each" if amount > 1 else ""
    return what if memory_bytes is None else f"{what}, {size(memory_bytes)}{each}"


def custom_texts(node: Node) -> dict[str, str]:
    """Return what a node offers under names of its own → how much of it is free: `1 of 2 free`."""
    free = {name: number(max(0.0, node.free_custom.get(name, 0.0))) for name in node.custom}
    return {name: f"{free[name]} of {number(amount)} free" for name, amount in node.custom.items()}


def labels_of(node: Node) -> dict[str, str]:
    """Return the labels of a node that tell something about it."""
    return {name: value for name, value in node.labels.items() if name != _NAME_LABEL}
