"""What machines have for trials and jobs, and how many of them fit: plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunewell.spec.launch import Resources

#: What fits where nothing is needed.
NO_LIMIT = 10**6
#: Rounding errors that are forgiven when fractions of cores are added up: ten times 0.1 is 1.
_SLACK = 1e-9
#: What is left of a GPU is told in steps of this; one step is none, as three thirds leave that.
_LEAST_PART = 1e-4


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as far as its driver tells; None and empty text: it does not."""

    #: As CUDA_VISIBLE_DEVICES names it.
    device: str
    name: str = ""
    #: All of its memory, taken or not.
    memory_bytes: int | None = None
    #: The driver's own name for it, the same for every process of the machine.
    uuid: str = ""
    #: Version of what it can do, by NVIDIA's numbers.
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One machine: what it has for trials and jobs together, and what of it nobody has taken."""

    name: str
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    free_cpus: float
    free_memory_bytes: int
    #: Devices of the GPUs that are free.
    free_gpus: tuple[str, ...]
    #: How many attempts it takes at once, whatever they need, and how many more now; None: as many as fit.
    places: int | None = None
    free_places: int | None = None
    #: What people call it, where its name tells them nothing.
    called: str = ""
    #: Of each GPU that attempts share, what is free.
    free_gpu_parts: tuple[float, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    #: What it has beside all that, and what of it is free; by name.
    custom: tuple[tuple[str, float], ...] = ()
    free_custom: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """All machines of a scheduler."""

    nodes: tuple[Node, ...]

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit on the empty machines at once (0: none ever)."""
        return sum(_fit(resources, node, _whole(node)) for node in self.nodes)

    def free(self, resources: Resources) -> int:
        """Return how many more attempts that need `resources` each can be started now."""
        return sum(_fit(resources, node, _free(node)) for node in self.nodes)

    def fits(self, resources: Resources) -> bool:
        """Whether one more attempt that needs `resources` can be started now."""
        return any(_fits(resources, node) for node in self.nodes)

    def less(self, *taken: Resources) -> Capacity:
        """Return what is left with more attempts, each on the first machine where it fits.

        Where one fits on none, the machine with most cores free has less than nothing then.
        """
        if not self.nodes or not taken:
            return self
        nodes = list(self.nodes)
        for resources in taken:
            index = next((index for index, node in enumerate(nodes) if _fits(resources, node)), None)
            if index is None:
                index = max(range(len(nodes)), key=lambda index: nodes[index].free_cpus)
            nodes[index] = _with_one_more(resources, nodes[index])
        return Capacity(tuple(nodes))

    @property
    def cpus(self) -> int:
        """Number of cores of all machines."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs of all machines."""
        return tuple(gpu for node in self.nodes for gpu in node.gpus)


def part_of_gpu(amount: float) -> tuple[float, ...]:
    """Return the part of a GPU that is left, as an item of `free_gpu_parts`; none if only a rounding error is."""
    return (round(amount, 4),) if amount > _LEAST_PART else ()


def with_nothing_free(node: Node) -> Node:
    """Return a machine of which nobody can have anything now."""
    free_custom = tuple((name, 0.0) for name, _ in node.free_custom)
    return replace(node, free_cpus=0.0, free_memory_bytes=0, free_gpus=(), free_gpu_parts=(), free_custom=free_custom)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What a node has, or has free."""

    cpus: float
    memory_bytes: int
    gpus: int
    gpu_parts: tuple[float, ...]
    places: int | None
    custom: tuple[tuple[str, float], ...]


def _whole(node: Node) -> _Amounts:
    return _Amounts(node.cpus, node.memory_bytes, len(node.gpus), (), node.places, node.custom)


def _free(node: Node) -> _Amounts:
    gpus = len(node.free_gpus)
    return _Amounts(
        node.free_cpus, node.free_memory_bytes, gpus, node.free_gpu_parts, node.free_places, node.free_custom
    )


def _fits(resources: Resources, node: Node) -> bool:
    return _fit(resources, node, _free(node)) > 0


def _with_one_more(resources: Resources, node: Node) -> Node:
    """Return a machine as it is when an attempt has its `resources` there."""
    gpus, parts = _gpus_less(node, resources.gpus)
    custom = dict(resources.custom)
    return replace(
        node,
        free_cpus=node.free_cpus - resources.cpus,
        free_memory_bytes=node.free_memory_bytes - (resources.memory_bytes or 0),
        free_gpus=gpus,
        free_gpu_parts=parts,
        free_places=None if node.free_places is None else node.free_places - 1,
        free_custom=tuple((name, amount - custom.get(name, 0.0)) for name, amount in node.free_custom),
    )


def _fit(resources: Resources, node: Node, amounts: _Amounts) -> int:
    """Return how often `resources` fit into what one machine has. An attempt never spreads over two."""
    if not _suits(resources, node):
        return 0
    fitting = NO_LIMIT if amounts.places is None else amounts.places
    if resources.cpus:
        fitting = min(fitting, math.floor(amounts.cpus / resources.cpus + _SLACK))
    if resources.gpus:
        fitting = min(fitting, _fit_gpus(resources.gpus, amounts))
    if resources.memory_bytes:
        fitting = min(fitting, amounts.memory_bytes // resources.memory_bytes)
    offered = dict(amounts.custom)
    for name, amount in resources.custom:
        fitting = min(fitting, math.floor(offered.get(name, 0.0) / amount + _SLACK))
    return max(0, fitting)


def _suits(resources: Resources, node: Node) -> bool:
    """Whether the machine is of the kind that is asked for."""
    if resources.gpu_type and not any(gpu.name == resources.gpu_type for gpu in node.gpus):
        return False
    return set(resources.labels) <= set(node.labels)


def _fit_gpus(gpus: float, amounts: _Amounts) -> int:
    if gpus >= 1:
        return int(amounts.gpus // gpus)
    in_parts = sum(math.floor((part + _LEAST_PART) / gpus) for part in amounts.gpu_parts)
    return amounts.gpus * math.floor(1 / gpus + _SLACK) + in_parts


def _gpus_less(node: Node, gpus: float) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the free GPUs of a node, and parts of others, with one attempt more that takes so many.

    A part comes from the GPU that has least free and enough, as Ray chooses it.
    """
    if gpus >= 1 or not gpus:
        return node.free_gpus[int(gpus) :], node.free_gpu_parts
    whole, parts = node.free_gpus, sorted(node.free_gpu_parts)
    fitting = next((index for index, part in enumerate(parts) if part + _LEAST_PART >= gpus), None)
    if fitting is not None:
        rest = parts.pop(fitting) - gpus
    elif whole:
        whole, rest = whole[1:], 1 - gpus
    else:  # it fits nowhere, and is left what may soon be enough
        parts, rest = parts[:-1], 0.0
    return whole, (*parts, *part_of_gpu(rest))
