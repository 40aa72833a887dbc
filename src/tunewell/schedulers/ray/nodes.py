"""The nodes of a cluster as the scheduler sees them: on which attempts can run, and what of them is free."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import ray
import ray._private.state
from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tunewell.schedulers.ray.greeting import Greeting, greet
from tunewell.spec.capacity import Capacity, Gpu, Node, part_of_gpu
from tunewell.spec.launch import Resources

log = logging.getLogger(__name__)

#: How old what is known of the nodes may be, in seconds.
FRESH_SECONDS = 0.5
#: When a node is greeted again: that could not be greeted, where attempts can't run, where some were about to end.
AGAIN_SECONDS, UNFIT_SECONDS, LEFT_SECONDS = 5.0, 60.0, 3.0
#: What the names of resources that tell a GPU's type begin with.
_GPU_TYPE = "accelerator_type:"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a slot of ours holds, and where; None: it has no place yet."""

    node: str | None
    resources: Resources
    #: Whether an attempt has it, or is about to.
    busy: bool
    #: Its GPUs, once it has a place.
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Acquaintance:
    """What is known of a node."""

    #: What it has said; None: nothing yet.
    greeting: Greeting | None = None
    #: Why attempts can't run there, for people; empty if they can.
    problem: str = ""
    #: The answer that is waited for, and when it is greeted next, on the monotonic clock.
    answer: Any = None
    greet_at: float = 0.0


class Nodes:
    """The nodes of the cluster that this process has joined."""

    def __init__(self, root: str, home: str, environment: Mapping[str, Any]) -> None:
        """Know nothing yet. See `RayScheduler` for the arguments."""
        self._root, self._home, self._environment = root, home, dict(environment)
        self._known: dict[str, _Acquaintance] = {}
        #: What Ray has said last of the living nodes, when, and what there was of them with nothing of ours on them.
        self._entries: list[Mapping[str, Any]] = []
        self._looked_at = -math.inf
        self._without_ours: dict[str, Node] = {}

    # Which there are --------------------------------------------------------------------------------------

    @property
    def problem(self) -> str:
        """Why nothing can run on any node, for people; empty if something can, or that is not known yet."""
        if not self._entries:
            return "it has no nodes"
        problems = [self._of(entry).problem for entry in self._entries]
        return problems[0] if all(problems) else ""

    @property
    def unfit(self) -> list[str]:
        """Ray's names for the living nodes where attempts can't run."""
        return [entry["NodeID"] for entry in self._entries if self._of(entry).problem]

    def machine(self, node: str | None) -> str:
        """Return the name of a node's machine, for people."""
        return next((str(one["NodeManagerHostname"]) for one in self._entries if one["NodeID"] == node), "a node")

    def are_known(self) -> bool:
        """Whether all nodes have said what they are."""
        return all(self._of(entry).greeting is not None or self._of(entry).problem for entry in self._entries)

    def look_after(self, holdings: Sequence[Holding]) -> None:
        """Look at the nodes again, if it is time to, greet those that are new, and take their answers."""
        now = time.monotonic()
        if now - self._looked_at < FRESH_SECONDS:
            return
        self._look(holdings)
        for entry in self._entries:
            known = self._of(entry)
            if known.answer is not None and ray.wait([known.answer], timeout=0)[0]:
                answer, known.answer = known.answer, None
                self._on_answer(entry, known, answer)
            elif known.answer is None and now >= known.greet_at:
                known.greet_at, known.answer = math.inf, self._greet(entry["NodeID"])

    def forget(self) -> None:
        """Look at the nodes again when asked next: what is known of their room may be wrong."""
        self._looked_at = -math.inf

    def avoid(self, node: str, problem: str) -> None:
        """Have nothing run on a node for a while, since nothing can; `problem` is for people."""
        known = self._known.setdefault(node, _Acquaintance())
        if not known.problem:
            log.warning("nothing runs on a node of the Ray cluster: %s", problem)
        known.problem, known.greet_at = problem, time.monotonic() + UNFIT_SECONDS

    def clean(self, node: str | None) -> None:
        """Have a node looked at soon: a slot of ours that was there is gone, and may have left something."""
        if node in self._known and not self._known[node].problem:
            known = self._known[node]
            known.greet_at = min(known.greet_at, time.monotonic() + FRESH_SECONDS)

    def _of(self, entry: Mapping[str, Any]) -> _Acquaintance:
        return self._known.setdefault(entry["NodeID"], _Acquaintance())

    def _greet(self, node: str) -> Any:
        options: dict[str, Any] = {
            "num_cpus": 0,
            "max_retries": 0,
            "runtime_env": self._environment,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
        }
        task: Any = ray.remote(greet)
        living = [entry["NodeID"] for entry in self._entries]
        return task.options(**options).remote(self._root, self._home, node, living)

    def _on_answer(self, entry: Mapping[str, Any], known: _Acquaintance, answer: Any) -> None:
        now, machine = time.monotonic(), str(entry["NodeManagerHostname"])
        try:
            greeting = ray.get(answer)
        except Exception as error:
            known.greet_at = now + AGAIN_SECONDS
            if problem := why_unfit(machine, error):
                self.avoid(entry["NodeID"], problem)
            return
        if problem := why_other(greeting.machine, greeting.version):
            self.avoid(entry["NodeID"], problem)
            return
        known.greeting, known.problem = greeting, ""
        if greeting.left:
            known.greet_at = now + LEFT_SECONDS

    # What they have ---------------------------------------------------------------------------------------

    def capacity(self, holdings: Sequence[Holding]) -> Capacity:
        """Return all nodes where attempts can run; free of them is what neither others nor busy slots of ours hold."""
        if self._looked_at < 0:
            self._look(holdings)
        fit = [node for name, node in self._without_ours.items() if self._is_fit(name)]
        capacity = Capacity(tuple(_less(node, [one for one in holdings if one.node == node.name]) for node in fit))
        for one in holdings:
            if one.busy and one.node is None:
                capacity = capacity.less(one.resources)
        return capacity

    def _is_fit(self, node: str) -> bool:
        known = self._known.get(node)
        return known is not None and known.greeting is not None and not known.problem

    def _look(self, holdings: Iterable[Holding]) -> None:
        self._looked_at = time.monotonic()
        state: Any = ray._private.state
        available: Mapping[str, Mapping[str, float]] = state.available_resources_per_node()
        everything: Any = ray.nodes
        self._entries = [entry for entry in everything() if entry["Alive"]]
        ours: dict[str | None, list[Resources]] = {}
        for one in holdings:
            ours.setdefault(one.node, []).append(one.resources)
        self._without_ours = {
            (name := entry["NodeID"]): self._node(entry, available.get(name, {}), ours.get(name, []))
            for entry in self._entries
        }
        for name in self._known.keys() - self._without_ours.keys():
            del self._known[name]

    def _node(self, entry: Mapping[str, Any], available: Mapping[str, float], ours: Sequence[Resources]) -> Node:
        """Return a node as if none of ours ran there: all that is not used by others is free."""
        total = entry["Resources"]
        cpus, memory, gpus = total.get("CPU", 0.0), int(total.get("memory", 0)), self._gpus(entry)
        free_cpus = min(cpus, available.get("CPU", 0.0) + math.fsum(one.cpus for one in ours))
        free_memory = min(memory, int(available.get("memory", 0)) + sum(one.memory_bytes or 0 for one in ours))
        free_gpus = min(float(len(gpus)), available.get("GPU", 0.0) + math.fsum(one.gpus for one in ours))
        devices = tuple(gpu.device for gpu in gpus)
        custom = tuple(sorted((name, amount) for name, amount in total.items() if _is_custom(name)))
        return Node(
            entry["NodeID"],
            int(cpus),
            memory,
            gpus,
            free_cpus,
            free_memory,
            devices[: int(free_gpus)],
            called=f"{entry['NodeManagerHostname']}, node {entry['NodeID'][:8]}",
            free_gpu_parts=part_of_gpu(free_gpus % 1),
            labels=tuple(sorted(entry.get("Labels", {}).items())),
            custom=custom,
            free_custom=tuple((name, _free_of(name, amount, available, ours)) for name, amount in custom),
        )

    def _gpus(self, entry: Mapping[str, Any]) -> tuple[Gpu, ...]:
        """Return the GPUs of a node with what its driver tells, named as Ray names their type."""
        total, greeting = entry["Resources"], self._of(entry).greeting
        count = int(total.get("GPU", 0))
        kind = next((name.removeprefix(_GPU_TYPE) for name in total if name.startswith(_GPU_TYPE)), "")
        told = greeting.gpus if greeting is not None and len(greeting.gpus) == count else (Gpu(""),) * count
        # What a spec asks for is the type as Ray names it.
        return tuple(replace(gpu, device=str(number), name=kind or gpu.name) for number, gpu in enumerate(told))


def _is_custom(name: str) -> bool:
    """Whether a resource is none of those that Ray makes up for each node by itself."""
    known = ("CPU", "GPU", "memory", "object_store_memory")
    return name not in known and not name.startswith(("node:", _GPU_TYPE))


def _free_of(name: str, amount: float, available: Mapping[str, float], ours: Iterable[Resources]) -> float:
    return min(amount, available.get(name, 0.0) + math.fsum(dict(one.custom).get(name, 0.0) for one in ours))


def _less(node: Node, holdings: Iterable[Holding]) -> Node:
    """Return a node without what slots of ours hold of it for attempts."""
    shared: dict[str, float] = {}
    for one in holdings:
        if one.busy:
            needs = one.resources
            if needs.gpus < 1 and one.devices:
                shared[one.devices[0]] = shared.get(one.devices[0], 0.0) + needs.gpus
                needs = replace(needs, gpus=0)
            (node,) = Capacity((node,)).less(needs).nodes
    for taken in shared.values():
        if node.free_gpus:
            parts = (*node.free_gpu_parts, *part_of_gpu(1 - taken))
            node = replace(node, free_gpus=node.free_gpus[1:], free_gpu_parts=parts)
        else:  # others share it, too
            (node,) = Capacity((node,)).less(Resources(cpus=0, gpus=taken)).nodes
    return node


def why_unfit(machine: str, error: BaseException) -> str:
    """Return why nothing of ours can begin on a machine, for people; empty if that may have been chance."""
    text = str(error)
    if isinstance(error, RuntimeEnvSetupError):
        return f"what attempts need can't be set up on {machine}: {' '.join(text.split())[:300]}"
    if isinstance(error, RayError) and not isinstance(error, RayTaskError) and "creation task" not in text:
        return ""
    if "No module named 'tunewell'" in text:
        return f"{machine} has no Tunewell: install tunewell[ray] {version('tunewell')} there"
    last = text.strip().splitlines()[-1] if text.strip() else type(error).__name__
    return f"nothing can begin on {machine}: {last[:300]}"


def why_other(machine: str, theirs: str) -> str:
    """Return that a machine has another version of Tunewell; empty if it has this one."""
    ours = version("tunewell")
    if theirs == ours:
        return ""
    return f"{machine} has Tunewell {theirs}, and this service {ours}: install the same version there"
