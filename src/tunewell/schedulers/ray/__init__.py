"""Trials and jobs on the machines of a Ray cluster, without a file system that they share.

::

    RayScheduler ──► slot (an actor with the resources of an attempt) ──► LocalScheduler ──► supervisor ──► trial
          ▲               │ on some node of the cluster                                          │
          │  new bytes    ▼                                                                      ▼
    the attempt's   ◄── the attempt's folder on that node ◄──────────────────────────────────────┘
    folder at home

A slot runs one attempt after the other, each in supervised processes of its own, as on the machine of the controller.
Slots are detached and have names: a controller that is killed finds them again, and what they have run meanwhile. What
an attempt needs is sent to the node once; what it writes is fetched as it grows, so whoever looks at a trial looks at
files here. Ray itself never runs an attempt twice: attempts are the controller's.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewell.schedulers.apart import SchedulerApart
from tunewell.trial.files import read_json

#: In an attempt's folder: which slot has it. Whoever writes it first decides whether the attempt can begin.
SLOT = "slot.json"


def ray_scheduler(
    address: str,
    homes: Sequence[str],
    identity: str,
    *,
    root: str,
    cache_bytes: int | None = None,
    environment: Mapping[str, Any] | None = None,
) -> SchedulerApart:
    """Return the scheduler of a Ray cluster, in a process of its own, which joins the cluster.

    Args:
        address: of the cluster's head, `HOST:PORT`, or `auto`: the cluster that this machine is a node of.
        homes: names of the home, absolute, that attempts lie in.
        identity: the home's.
        root: folder of every node below which files for attempts, and theirs, are kept.
        cache_bytes: how much of a node's disk files may take that attempts share; None: half of it.
        environment: Ray's runtime environment for attempts.
    """
    arguments = {
        "address": address,
        "homes": tuple(homes),
        "identity": identity,
        "root": root,
        "cache_bytes": cache_bytes,
        "environment": dict(environment or {}),
    }
    # A head that is gone is noticed soon: attempts live on without this process, which is started again.
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": "20"}
    if _is_on_loopback(address):
        # Else Ray takes the machine's own address instead, where the cluster can't be reached.
        variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Ray ends a process that has found something else at the address, and says nothing that could be caught.
    silent = "what answers there does not speak as the head of a Ray cluster"
    entry = "tunewell.schedulers.ray.scheduler:join"
    return SchedulerApart(entry, arguments, variables=variables, address=address, silent=silent)


def node_of(folder: Path) -> str:
    """Return Ray's name for the node on which the attempt in a folder runs, or ran; empty if it is not known."""
    return str((read_json(folder / SLOT) or {}).get("node") or "")


def _is_on_loopback(address: str) -> bool:
    """Whether something listens there, on an address that only this machine reaches."""
    host, _, port = address.rpartition(":")
    if host not in ("localhost", "127.0.0.1", "[::1]") or not port.isdecimal():
        return False
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
