"""Joining the Ray cluster that the searches of a home use."""

from __future__ import annotations

import importlib.util
import os
import time

from tunewell.home.cluster import Cluster, read_cluster, write_cluster
from tunewell.home.home import Home
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.ray import ray_scheduler
from tunewell.spec.errors import ArgumentError, UserError
from tunewell.spec.names import cluster_called

#: Variable with the folder of nodes below which files of attempts are kept.
NODE_FOLDER_VARIABLE = "TUNEWELL_NODE_FOLDER"
#: How long somebody who submits a search is kept waiting for a cluster that has just been joined.
JOIN_SECONDS = 20.0


def await_cluster(home: Home) -> None:
    """Wait a while for the nodes of a cluster that is being joined: what is planned for it depends on them.

    Of one that can't be reached nothing is to be waited for.
    """
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        known = read_cluster(home.folder)
        if known is not None and (known.capacity.nodes or known.problem):
            return
        time.sleep(0.1)


def check_address(address: str) -> None:
    """Check the form in which a cluster's address is given; raise ArgumentError."""
    host, _, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_named = host != "" and not any(char.isspace() or char in "/[]@?#" for char in host)
    if address != "auto" and not (is_named and port.isdecimal() and port.isascii() and 0 < int(port) < 1 << 16):
        remedy = "Give HOST:PORT of its head, such as 10.0.0.1:6379, or `auto` on one of its nodes"
        raise ArgumentError("ray", f"{address!r} is no address of a Ray cluster", remedy, address)


def join_cluster(home: Home, address: str, *, wait: bool) -> SchedulerApart:
    """Return the scheduler of a Ray cluster, for the home that is settled.

    Args:
        home: the home whose searches use it.
        address: of the cluster's head; see `ray_scheduler`.
        wait: whether it is waited for; else it is joined meanwhile, and as often as it goes away.

    Raises:
        UserError: Ray is not installed; it is no address of a cluster; or it was waited for, and can't be reached.
    """
    check_address(address)
    if importlib.util.find_spec("ray") is None:
        raise UserError("Ray is not installed", field="ray", remedy="Install tunewell[ray]", kind="library-missing")
    root = os.environ.get(NODE_FOLDER_VARIABLE) or f"/tmp/tunewell-{os.getuid()}"
    scheduler = ray_scheduler(address, home.folders, home.identity, root=root)
    if wait:
        if not scheduler.wait_until_ready():
            scheduler.close()
            problem = scheduler.problem or "it does not answer"
            raise UserError(
                f"{cluster_called(address)} can't be joined ({problem})",
                field="ray",
                remedy="See whether it runs (`ray status`), and whether its address and token are right",
                kind="no-cluster",
            )
        write_cluster(home.folder, Cluster(address, scheduler.capacity()))
    return scheduler
