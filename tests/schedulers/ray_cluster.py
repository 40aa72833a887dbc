"""A Ray cluster on this machine for tests: real nodes, each with a folder of its own that no other one uses."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.schedulers.bench import CHILDREN
from tunewell.schedulers.apart import SchedulerApart
from tunewell.schedulers.ray import ray_scheduler

REPOSITORY = Path(__file__).parents[2]


class RayCluster:
    """A cluster in processes of its own."""

    def __init__(self, orders: subprocess.Popen[str]) -> None:
        self._orders = orders
        #: Where it is reached, once it has a node.
        self.address = ""
        #: The nodes that live: name → number of the raylet's process. The first one is the head.
        self.nodes: dict[str, int] = {}

    def add_node(self, **resources: Any) -> dict[str, Any]:
        """Add a node of four cores, or what else is said; return its name and the number of its raylet's process."""
        answer = self._tell({"add": resources})
        self.address = answer["address"]
        self.nodes[answer["node"]] = answer["pid"]
        return answer

    def kill_head(self) -> None:
        """End all of the head, and with it the cluster, as a power failure does."""
        self._tell({"kill head": True})
        self.nodes.clear()

    def kill_node(self, name: str) -> None:
        """End a node as a power failure does."""
        del self.nodes[name]
        self._tell({"kill": name})

    def slots(self, node: str | None = None) -> list[psutil.Process]:
        """Return the processes of slots, on one node or on all."""
        raylets = self.nodes.values() if node is None else [self.nodes[node]]
        found = [child for raylet in raylets for child in psutil.Process(raylet).children()]
        return [process for process in found if _is_slot(process)]

    def _tell(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._orders.stdin is not None and self._orders.stdout is not None
        self._orders.stdin.write(json.dumps(order) + "\n")
        self._orders.stdin.flush()
        answer: dict[str, Any] = json.loads(self._orders.stdout.readline())
        return answer


def _is_slot(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE and "Slot" in " ".join(process.cmdline())
    return False


@contextmanager
def running_cluster(
    nodes: int = 1, variables: Mapping[str, str] | None = None, head: Mapping[str, Any] | None = None, **fields: Any
) -> Iterator[RayCluster]:
    """Run a cluster; skip the test where there is no Ray.

    Args:
        nodes: how many there are.
        variables: added to the environment of all of them.
        head: what is said of the first one alone.
        fields: what is said of each; see `children/ray_nodes.py`.
    """
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: tunewell[ray]")
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    program = [sys.executable, str(CHILDREN / "ray_nodes.py")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(program, text=True, env={**os.environ, **(variables or {})}, **pipes) as orders:
        cluster = RayCluster(orders)
        for number in range(nodes):
            cluster.add_node(**fields, **(head or {} if number == 0 else {}))
        yield cluster


def scheduler_of(
    cluster: RayCluster, home: Path, root: Path, fence: Sequence[Path] = (), **options: Any
) -> SchedulerApart:
    """Return a scheduler that has joined a cluster; nothing on its nodes can open what lies in the folders of `fence`.

    Whoever tries is refused, and listed in `fence.log` beside the root.
    """
    paths = [str(REPOSITORY), str(REPOSITORY / "src")]
    variables = {"PYTHONPATH": os.pathsep.join(paths)}
    if fence:
        variables["PYTHONPATH"] = os.pathsep.join([str(CHILDREN / "fence"), *paths])
        variables["TEST_FENCE"] = os.pathsep.join(map(str, fence))
        variables["TEST_FENCE_LOG"] = str(root.with_name("fence.log"))
    environment = {"env_vars": variables}
    scheduler = ray_scheduler(cluster.address, [str(home)], "home", root=str(root), environment=environment, **options)
    assert scheduler.wait_until_ready(), scheduler.problem
    return scheduler
