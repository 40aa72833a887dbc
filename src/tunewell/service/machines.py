"""What there is for trials and jobs, and who uses it."""

from __future__ import annotations

import socket
from collections import defaultdict
from dataclasses import asdict

from tunewell.controller.job_run import owner_of_job
from tunewell.home.home import Home
from tunewell.schedulers import hardware
from tunewell.schedulers.claims import Claims, left_by
from tunewell.service.rights import Rights
from tunewell.service.types import Capacity, Node, Used
from tunewell.spec.launch import Resources
from tunewell.spec.states import JobState
from tunewell.store.rows import JsonObject
from tunewell.store.store import Store

_NOTHING: JsonObject = Resources(cpus=0).to_json()


def capacity(store: Store, home: Home, rights: Rights) -> Capacity:
    """Return this machine, what of it is free and who uses it, and what runs on others."""
    (found,) = hardware.machine().nodes
    node, used = left_by(found, Claims(home.claims).held()), _used(store, rights)
    here = Node.model_validate({**asdict(node), "used": used.pop(socket.gethostname(), [])})
    return Capacity(nodes=(here,), elsewhere={host: tuple(some) for host, some in sorted(used.items())})


def _used(store: Store, rights: Rights) -> dict[str, list[Used]]:
    """Return what runs on each machine."""
    used: defaultdict[str, list[Used]] = defaultdict(list)
    for row in store.running_trials():
        seen = rights.sees(row.experiment)
        used[row.host or ""].append(
            Used(
                owner=row.owner if seen else None,
                experiment=row.experiment if seen else None,
                job=None,
                **_amounts(row.resources, row.attempts),
            )
        )
    for job in store.open_jobs():
        if job.state is not JobState.RUNNING:
            continue
        owner = owner_of_job(job)
        seen = rights.sees_job(job)
        used[job.host or ""].append(
            Used(
                owner=owner if seen else None,
                experiment=job.experiment if seen else None,
                job=job.id if seen else None,
                **_amounts(job.resources, 1),
            )
        )
    return used


def used_by(store: Store, user: str) -> dict[str, float]:
    """Return what a user has running, and uses now: `running`, `cpus`, `gpus`."""
    trials = [_amounts(row.resources, row.attempts) for row in store.running_trials() if row.owner == user]
    jobs = [job for job in store.open_jobs() if job.state is JobState.RUNNING and owner_of_job(job) == user]
    parts = [*trials, *(_amounts(job.resources, 1) for job in jobs)]
    names = {"running": "attempts", "cpus": "cpus", "gpus": "gpus"}
    return {name: sum(part[amount] for part in parts) for name, amount in names.items()}


def _amounts(resources: JsonObject | None, attempts: int) -> JsonObject:
    each = resources or _NOTHING
    return {"attempts": attempts, **{name: attempts * (amount or 0) for name, amount in each.items()}}
