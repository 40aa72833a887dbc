"""What the service offers: tasks, networks, algorithms, machines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from tunewell.api.answers import whole
from tunewell.api.asked import AsCaller
from tunewell.service.types import About, Algorithm, Capacity, Network, Page, Queue, Task
from tunewell.spec.errors import NotFoundError, nearest

router = APIRouter(tags=["catalogue"])

_Task = Annotated[str, Path(description="Name of a task.", max_length=100, examples=["image-classification"])]
_Network = Annotated[str, Path(description="Name of a network.", max_length=100, examples=["resnet18"])]


@router.get("/tasks", summary="List the built-in tasks")
def tasks(verbs: AsCaller) -> Page[Task]:
    """Return the built-in tasks with their networks."""
    return whole(verbs.tasks())


@router.get("/tasks/{task}/networks/{network}", summary="Read a network of a task")
def network_of_task(verbs: AsCaller, task: _Task, network: _Network) -> Network:
    """Return a network that a task offers, with defaults, ranges and where they come from."""
    found = verbs.network(network)
    if task not in found.tasks:
        raise NotFoundError(f"Task '{task}' has no network '{network}'", remedy=nearest(task, found.tasks))
    return found


@router.get("/networks/{network}", summary="Read a network")
def network(verbs: AsCaller, network: _Network) -> Network:
    """Return a network with its parameters."""
    return verbs.network(network)


@router.get("/algorithms", summary="List the search algorithms")
def algorithms(verbs: AsCaller) -> Page[Algorithm]:
    """Return the search algorithms with their options, the one that chooses among the others first."""
    return whole(verbs.algorithms())


@router.get("/queue", summary="Read what waits, and why")
def queue(verbs: AsCaller) -> Queue:
    """Return what has something to start and does not: what waits for room first, in its order."""
    return verbs.queue()


@router.get("/about", summary="Read what this service is")
def about(verbs: AsCaller) -> About:
    """Return the version, the kind of database, and how much is taken."""
    return verbs.about()


@router.get("/resources", summary="Read what there is for trials and jobs")
def resources(verbs: AsCaller) -> Capacity:
    """Return the machines, what of them is free, and who uses what."""
    return verbs.resources()
