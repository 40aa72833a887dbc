"""The built-in tasks and their networks, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewell.service import types, wire
from tunewell.spec.errors import NotFoundError, nearest
from tunewell.tasks.catalogue import TASKS, task_for


def list_tasks() -> tuple[types.Task, ...]:
    """Return the built-in tasks."""
    return tuple(
        types.Task(
            name=name,
            default_network=task.default_network,
            answering=tuple(sorted(task.answering)),
            networks={network: entry.description for network, entry in task.networks.items()},
            metrics=task.metrics,
        )
        for name, task in _tasks().items()
    )


def find_network(name: str) -> types.Network:
    """Return a network; raises `NotFoundError`."""
    known = _tasks()
    offering = {task: entry.networks[name] for task, entry in known.items() if name in entry.networks}
    if not offering:
        names = [*known, *(network for entry in known.values() for network in entry.networks)]
        raise NotFoundError(f"There is no task or network '{name}'", remedy=nearest(name, dict.fromkeys(names)))
    network = next(iter(offering.values()))
    return types.Network(
        name=name,
        tasks=tuple(offering),
        description=network.description,
        weights=network.weights,
        on_gpus=network.on_gpus,
        parameters=wire.parameters(network.space, network.sources),
    )


def _tasks() -> Mapping[str, Any]:
    return {name: task_for({"task": name}) for name in TASKS}
