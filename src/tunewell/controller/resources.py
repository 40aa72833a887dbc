"""What each trial of an experiment gets of a machine, and how many run at once."""

from __future__ import annotations

from tunewell.spec.capacity import NO_LIMIT, Capacity
from tunewell.spec.errors import SpecError, count
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Resources
from tunewell.spec.rules import WORKERS
from tunewell.tuners.contract import Tuner


def plan_resources(spec: ExperimentSpec, capacity: Capacity) -> Resources:
    """Return what each trial of an experiment gets of these machines.

    GPUs: one a trial where there are any. Cores: all, divided among the trials that run at once. Memory: its limit.
    What workers train elsewhere gets nothing.

    Raises:
        SpecError: the spec asks for more than there is.
    """
    if spec.scheduler == WORKERS:
        return Resources(cpus=0)
    cores, wanted, memory = max(1, capacity.cpus), spec.resources.cpus, spec.resources.memory
    found = capacity.slots(Resources(cpus=1, gpus=1))
    gpus = spec.resources.gpus if spec.resources.gpus is not None else min(found, 1)
    _check_there_is("cpus", wanted or 0, cores)
    _check_there_is("gpus", gpus, found)
    if memory is not None and not capacity.slots(Resources(cpus=0, memory_bytes=memory)):
        largest = max(node.memory_bytes for node in capacity.nodes) >> 20
        problem = f"{memory >> 20} MiB a trial, but this machine offers trials {largest} MiB"
        raise SpecError("resources.memory", problem, f"Give {largest}M at most")
    at_once = found // gpus if gpus else cores
    at_once = min(at_once, most_at_once(spec, gpus) or at_once, cores)
    at_once = max(1, min(at_once, capacity.slots(Resources(cpus=0, memory_bytes=memory))))
    return Resources(cpus=cores // at_once if wanted is None else wanted, gpus=gpus, memory_bytes=memory)


def most_at_once(spec: ExperimentSpec, gpus: int) -> int | None:
    """Return how many trials with so many GPUs each may run at once; None: the user has said nothing about that."""
    limits = [spec.max_concurrency, max(1, spec.max_gpus // gpus) if spec.max_gpus is not None and gpus else None]
    return min((limit for limit in limits if limit is not None), default=None)


def concurrency(spec: ExperimentSpec, resources: Resources, capacity: Capacity, tuner: Tuner) -> int:
    """Return how many trials run at once: what the user says, machines have room for and the algorithm makes use of."""
    limits = (capacity.slots(resources), most_at_once(spec, resources.gpus), tuner.concurrency())
    return min(limit for limit in limits if limit is not None)


def explain_concurrency(spec: ExperimentSpec, resources: Resources, capacity: Capacity, tuner: Tuner) -> str:
    """Return a sentence on how many trials run at once, and what bounds them."""
    slots, asked, useful = capacity.slots(resources), most_at_once(spec, resources.gpus), tuner.concurrency()
    if spec.scheduler == WORKERS:
        slots = NO_LIMIT
    if asked is not None and asked <= min(slots, useful or asked):
        limit = "max_concurrency" if asked == spec.max_concurrency else "max_gpus"
        return f"At most {count(asked, 'trial')} at once, as {limit} says."
    if useful is not None and useful <= slots:
        return f"At most {count(useful, 'trial')} at once: {tuner.name} learns from these before it proposes more."
    if spec.scheduler == WORKERS:
        return "As many trials at once as workers ask for."
    bound = _bound(resources, capacity)
    if bound:
        return f"At most {count(slots, 'trial')} at once: {bound}."
    bound = f"this machine has {count(capacity.cpus, 'core')} and each trial takes {resources.cpus:g}"
    remedy = "; `resources: {cpus: …}` with a fraction lets more run" if asked is not None else ""
    return f"At most {count(slots, 'trial')} at once: {bound}{remedy}."


def _bound(resources: Resources, capacity: Capacity) -> str:
    """Return what other than cores bounds the trials at once; empty if it is the cores."""
    slots, memory = capacity.slots(resources), resources.memory_bytes
    if resources.gpus and slots == capacity.slots(Resources(cpus=0, gpus=resources.gpus)):
        return f"this machine offers trials {count(len(capacity.gpus), 'GPU')} and each takes {resources.gpus}"
    if memory and slots == capacity.slots(Resources(cpus=0, memory_bytes=memory)):
        total = sum(node.memory_bytes for node in capacity.nodes)
        return f"this machine offers trials {total >> 20} MiB of memory and each takes {memory >> 20}"
    return ""


def _check_there_is(what: str, wanted: float, found: int) -> None:
    if wanted > found:
        remedy = f"Give {found} at most" if found else "Drop it"
        raise SpecError(
            f"resources.{what}", f"{wanted} a trial, but this machine offers trials {found}", remedy, wanted
        )
