"""What machines have for trials and jobs, and how many of them fit: plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tunewell.spec.launch import Resources

#: What fits where nothing is needed.
NO_LIMIT = 10**6
#: Rounding errors that are forgiven when fractions of cores are added up: ten times 0.1 is 1.
_SLACK = 1e-9


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


@dataclass(frozen=True, slots=True)
class Capacity:
    """All machines of a scheduler."""

    nodes: tuple[Node, ...]

    def slots(self, resources: Resources) -> int:
        """Return how many attempts that need `resources` each fit on the empty machines at once (0: none ever)."""
        return sum(_fit(resources, node.cpus, node.memory_bytes, len(node.gpus), node.places) for node in self.nodes)

    def free(self, resources: Resources) -> int:
        """Return how many more attempts that need `resources` each can be started now."""
        return sum(_free(resources, node) for node in self.nodes)

    def fits(self, resources: Resources) -> bool:
        """Whether one more attempt that needs `resources` can be started now."""
        return any(_free(resources, node) for node in self.nodes)

    def less(self, *taken: Resources) -> Capacity:
        """Return what is left with more attempts, each on the first machine where it fits.

        Where one fits on none, the machine with most cores free has less than nothing then.
        """
        if not self.nodes or not taken:
            return self
        nodes = list(self.nodes)
        for resources in taken:
            index = next((index for index, node in enumerate(nodes) if _free(resources, node)), None)
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


def _free(resources: Resources, node: Node) -> int:
    return _fit(resources, node.free_cpus, node.free_memory_bytes, len(node.free_gpus), node.free_places)


def _with_one_more(resources: Resources, node: Node) -> Node:
    """Return a machine as it is when an attempt has its `resources` there."""
    return replace(
        node,
        free_cpus=node.free_cpus - resources.cpus,
        free_memory_bytes=node.free_memory_bytes - (resources.memory_bytes or 0),
        free_gpus=node.free_gpus[resources.gpus :],
        free_places=None if node.free_places is None else node.free_places - 1,
    )


def _fit(resources: Resources, cpus: float, memory_bytes: int, gpus: int, places: int | None) -> int:
    """Return how often `resources` fit into what one machine has. An attempt never spreads over two."""
    fitting = NO_LIMIT if places is None else places
    if resources.cpus:
        fitting = min(fitting, math.floor(cpus / resources.cpus + _SLACK))
    if resources.gpus:
        fitting = min(fitting, gpus // resources.gpus)
    if resources.memory_bytes:
        fitting = min(fitting, memory_bytes // resources.memory_bytes)
    return max(0, fitting)
