"""What there is for trials and jobs, and who uses it."""

from __future__ import annotations

import math
import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewell.controller.job_run import owner_of_job
from tunewell.home.cluster import Cluster as KnownCluster
from tunewell.home.cluster import read_cluster
from tunewell.home.home import Home
from tunewell.schedulers import hardware
from tunewell.schedulers.claims import Claim, Claims, left_by, name_of
from tunewell.schedulers.ray import node_of
from tunewell.service.rights import Rights
from tunewell.service.types import Capacity, Cluster, Gpu, Node, Used
from tunewell.service.wire import moment
from tunewell.spec import capacity as spec
from tunewell.spec.launch import AttemptKey, Resources
from tunewell.spec.states import JobState
from tunewell.store.rows import JobRow, JsonObject
from tunewell.store.store import Store

_NOTHING: JsonObject = Resources(cpus=0).to_json()


def capacity(store: Store, home: Home, rights: Rights) -> Capacity:
    """Return this machine and the nodes of the cluster, what is free and who uses it, and what runs on others."""
    (found,) = hardware.machine().nodes
    claims, cluster = Claims(home.claims).held(), read_cluster(home.folder)
    node, used = left_by(found, claims), _used(store, home, rights, _devices(found, claims))
    here = _node(node, used.pop(socket.gethostname(), []), free_devices=node.free_gpus)
    others = [
        _node(node, used.pop(node.name, []), cluster=True)
        for node in (cluster.capacity.nodes if cluster is not None else ())
    ]
    return Capacity(
        nodes=(here, *others),
        cluster=_cluster(cluster) if cluster is not None else None,
        elsewhere={host: tuple(some) for host, some in sorted(used.items())},
    )


def _node(node: spec.Node, used: Sequence[Used], **more: Any) -> Node:
    return Node(
        name=node.name,
        called=node.called,
        cpus=node.cpus,
        memory_bytes=node.memory_bytes,
        gpus=tuple(Gpu(device=gpu.device, name=gpu.name, memory_bytes=gpu.memory_bytes) for gpu in node.gpus),
        free_cpus=node.free_cpus,
        free_memory_bytes=node.free_memory_bytes,
        free_gpus=round(len(node.free_gpus) + math.fsum(node.free_gpu_parts), 4),
        labels=dict(node.labels),
        custom=dict(node.custom),
        free_custom=dict(node.free_custom),
        used=tuple(used),
        **more,
    )


def _cluster(known: KnownCluster) -> Cluster:
    return Cluster(address=known.address, away_since=moment(known.away_since), problem=known.problem)


def _devices(node: spec.Node, claims: Sequence[Claim]) -> dict[Path, tuple[str, ...]]:
    """Return the folder of an attempt → the GPUs that it holds, as they are called here."""
    called = {name_of(gpu): gpu.device for gpu in node.gpus}
    return {claim.folder: tuple(called[gpu] for gpu in claim.gpus if gpu in called) for claim in claims if claim.gpus}


def _used(
    store: Store, home: Home, rights: Rights, devices: Mapping[Path, tuple[str, ...]]
) -> defaultdict[str, list[Used]]:
    """Return what runs on each machine."""
    used: defaultdict[str, list[Used]] = defaultdict(list)
    for row in store.running_trials():
        folder = home.place(AttemptKey(row.experiment, row.number, row.attempt))
        seen = rights.sees(row.experiment)
        used[row.host or node_of(folder)].append(
            Used(
                owner=row.owner if seen else None,
                experiment=row.experiment if seen else None,
                trial=row.number if seen else None,
                job=None,
                since=moment(row.started_at) if seen else None,
                devices=devices.get(folder, ()),
                **_amounts(row.resources),
            )
        )
    for job in _running_jobs(store):
        seen = rights.sees_job(job)
        used[job.host or node_of(home.job(job.id) / str(job.attempt))].append(
            Used(
                owner=owner_of_job(job) if seen else None,
                experiment=job.experiment if seen else None,
                trial=None,
                job=job.id if seen else None,
                since=moment(job.started_at) if seen else None,
                devices=devices.get(home.job(job.id) / str(job.attempt), ()),
                **_amounts(job.resources),
            )
        )
    return used


def used_by_users(store: Store) -> dict[str, dict[str, float]]:
    """Return user → what they have running, and use now: `running`, `cpus`, `gpus`; of those who have anything."""
    parts = [(row.owner, _amounts(row.resources)) for row in store.running_trials()]
    parts += [(owner_of_job(job), _amounts(job.resources)) for job in _running_jobs(store)]
    found: dict[str, dict[str, float]] = {}
    for user, part in parts:
        known = found.get(user, {"running": 0, "cpus": 0, "gpus": 0})
        found[user] = {name: known[name] + {"running": 1, **part}[name] for name in known}
    return found


def _running_jobs(store: Store) -> list[JobRow]:
    return [job for job in store.open_jobs() if job.state is JobState.RUNNING]


def _amounts(resources: JsonObject | None) -> JsonObject:
    return {name: amount or 0 for name, amount in (resources or _NOTHING).items()}
