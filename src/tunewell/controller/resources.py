"""What each trial of an experiment gets of a machine or a cluster, and how many run at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunewell.spec.capacity import NO_LIMIT, Capacity
from tunewell.spec.errors import SpecError, count, listed
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.launch import Resources
from tunewell.spec.rules import RAY, WORKERS
from tunewell.tuners.contract import Tuner

#: Of how many values of a label it is said that there are these.
_MOST_VALUES = 8


def plan_resources(spec: ExperimentSpec, capacity: Capacity) -> Resources:
    """Return what each trial of an experiment gets of these machines.

    GPUs: one a trial where a machine that has all else has any. Cores: all, divided among the trials that run at once.
    Memory: its limit.
    What workers train elsewhere gets nothing.

    Raises:
        SpecError: the spec asks for more than there is.
    """
    if spec.scheduler == WORKERS:
        return Resources(cpus=0)
    wanted, memory, where = spec.resources.cpus, spec.resources.memory, _where(spec)
    if not capacity.nodes:
        raise SpecError("scheduler", "the cluster has no nodes", "Add some", spec.scheduler)
    # A trial never spreads over two machines.
    cores = max(1, *(node.cpus for node in capacity.nodes))
    most_gpus = max(len(node.gpus) for node in capacity.nodes)
    _check_there_is("cpus", wanted or 0, cores, where)
    _check_there_is("gpus", spec.resources.gpus or 0, most_gpus, where)
    kind = _kind_of_node(spec, capacity)
    if memory is not None and not capacity.slots(Resources(cpus=0, memory_bytes=memory)):
        largest = max(node.memory_bytes for node in capacity.nodes) >> 20
        problem = f"{memory >> 20} MiB a trial, but {where} offers trials {largest} MiB"
        raise SpecError("resources.memory", problem, f"Give {largest}M at most")
    needs = replace(kind, cpus=1 if wanted is None else wanted, memory_bytes=memory)
    needs = replace(needs, gpus=_gpus(spec, needs, capacity))
    if spec.scheduler == RAY and not capacity.slots(needs):
        problem = f"no node of the cluster has all of it together ({_listed(needs)})"
        raise SpecError("resources", problem, "Ask for less, or add a node that has it")
    return needs if wanted is not None else _with_most_cores(needs, capacity, most_at_once(spec, needs.gpus))


def _gpus(spec: ExperimentSpec, others: Resources, capacity: Capacity) -> float:
    """Return how many GPUs a trial gets beside what else it needs."""
    if spec.resources.gpus is not None:
        return spec.resources.gpus
    return 1 if others.gpu_type or capacity.slots(replace(others, gpus=1)) else 0


def _listed(needs: Resources) -> str:
    """Return what a trial needs: `2 cores, 1 H100 GPU, 512 MiB, zone: a, 2 licence`."""
    parts = [count(needs.cpus, "core")]
    if needs.gpus:
        parts.append(count(needs.gpus, f"{needs.gpu_type} GPU".lstrip()))
    if needs.memory_bytes:
        parts.append(f"{needs.memory_bytes >> 20} MiB")
    parts += [f"{name}: {value}" for name, value in needs.labels]
    return ", ".join([*parts, *(f"{amount:g} {name}" for name, amount in needs.custom)])


def plan_again(spec: ExperimentSpec, capacity: Capacity, before: Mapping[str, Any] | None) -> Resources:
    """Return what each trial gets of these machines; what it had before, if nodes that have so much are away just now.

    Args:
        spec: the experiment's.
        capacity: what there is.
        before: what is on record of it; None: nothing yet.

    Raises:
        SpecError: the spec asks for more than there is, and not for nodes that may come back.
    """
    try:
        return plan_resources(spec, capacity)
    except SpecError:
        if spec.scheduler != RAY or before is None:
            raise
        return Resources.from_json(before)


def _kind_of_node(spec: ExperimentSpec, capacity: Capacity) -> Resources:
    """Return what is asked of a node beside amounts of cores, GPUs and memory.

    Raises:
        SpecError: no node has it.
    """
    asked = spec.resources
    types = sorted({gpu.name for gpu in capacity.gpus if gpu.name})
    if asked.gpu_type and asked.gpu_type not in types:
        remedy = f"There are: {', '.join(types)}" if types else "Drop it"
        problem = f"no node of the cluster has GPUs of the type {asked.gpu_type}"
        raise SpecError("resources.gpu_type", problem, remedy, asked.gpu_type)
    labels, custom = tuple(sorted(asked.labels.items())), tuple(sorted(asked.custom.items()))
    for label in labels:
        if not any(label in node.labels for node in capacity.nodes):
            problem = f"no node of the cluster has the label {label[0]}: {label[1]}"
            known = sorted({value for node in capacity.nodes for name, value in node.labels if name == label[0]})
            remedy = f"There are: {listed(known, _MOST_VALUES)}" if known else "Drop it, or give a node that label"
            raise SpecError("resources.labels", problem, remedy, label[1])
    for name, amount in custom:
        most = max(dict(node.custom).get(name, 0.0) for node in capacity.nodes)
        if amount > most:
            offer = f"more than {most:g}" if most else "any"
            problem = f"{amount:g} of {name} a trial, but no node of the cluster offers {offer}"
            remedy = f"Give {most:g} at most" if most else "Drop it, or start a node that offers it"
            raise SpecError("resources.custom", problem, remedy, amount)
    return Resources(gpu_type=asked.gpu_type or "", labels=labels, custom=custom)


def _with_most_cores(needs: Resources, capacity: Capacity, limit: int | None) -> Resources:
    """Return what a trial takes, with as many cores as it can have while as many run at once as is asked, or as fit."""
    at_once = min(limit or NO_LIMIT, capacity.slots(needs))
    cores = max(1, *(node.cpus for node in capacity.nodes))
    larger = (replace(needs, cpus=cpus) for cpus in range(cores, 1, -1))
    return next((one for one in larger if capacity.slots(one) >= at_once), needs)


def _where(spec: ExperimentSpec) -> str:
    return "no node of the cluster" if spec.scheduler == RAY else "this machine"


def most_at_once(spec: ExperimentSpec, gpus: float) -> int | None:
    """Return how many trials with so many GPUs each may run at once; None: the user has said nothing about that."""
    limits = [spec.max_concurrency, max(1, int(spec.max_gpus // gpus)) if spec.max_gpus is not None and gpus else None]
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
    here = "the cluster" if spec.scheduler == RAY else "this machine"
    bound = _bound(resources, capacity, here)
    if bound:
        return f"At most {count(slots, 'trial')} at once: {bound}."
    bound = f"{here} has {count(capacity.cpus, 'core')} and each trial takes {resources.cpus:g}"
    remedy = "; `resources: {cpus: …}` with a fraction lets more run" if asked is not None else ""
    return f"At most {count(slots, 'trial')} at once: {bound}{remedy}."


def _bound(resources: Resources, capacity: Capacity, here: str) -> str:
    """Return what other than cores bounds the trials at once; empty if it is the cores."""
    slots, memory = capacity.slots(resources), resources.memory_bytes
    if resources.gpus and slots == capacity.slots(Resources(cpus=0, gpus=resources.gpus)):
        return f"{here} offers trials {count(len(capacity.gpus), 'GPU')} and each takes {resources.gpus:g}"
    if memory and slots == capacity.slots(Resources(cpus=0, memory_bytes=memory)):
        total = sum(node.memory_bytes for node in capacity.nodes)
        return f"{here} offers trials {total >> 20} MiB of memory and each takes {memory >> 20}"
    return ""


def _check_there_is(what: str, wanted: float, found: int, where: str) -> None:
    if wanted > found:
        remedy = f"Give {found} at most" if found else "Drop it"
        more = f"{found}" if where == "this machine" else f"more than {found}"
        raise SpecError(f"resources.{what}", f"{wanted:g} a trial, but {where} offers trials {more}", remedy, wanted)
