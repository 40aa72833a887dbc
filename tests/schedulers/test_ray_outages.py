"""What takes a whole Ray cluster away, or a node's link or memory: said in a sentence, and gone through."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.schedulers.bench import processes_below, wait_until
from tests.schedulers.ray_cluster import RayCluster, running_cluster
from tests.schedulers.test_apart import counting, steps_of
from tests.schedulers.test_ray import python
from tests.schedulers.test_ray_faults import bench_on, there
from tunewell.schedulers.ray import node_of
from tunewell.spec.launch import Resources
from tunewell.spec.states import Cause

#: The network namespace of this process's tests, and what its addresses have in the middle.
NAMESPACE, NUMBER = f"tunewell-{os.getpid()}", 20 + os.getpid() % 200
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_the_head_dies(tmp_path: Path) -> None:
    """While the cluster is away, that is said, and it is not tried without end; back again, attempts are lost, once."""
    with ExitStack() as stack:
        first = stack.enter_context(running_cluster(num_cpus=2))
        bench = stack.enter_context(bench_on(first, tmp_path))
        scheduler = bench.scheduler
        launch = bench.start(bench.launch(command=counting()))
        bench.wait_until(lambda: bench.reports_of(launch))
        port = int(first.address.rpartition(":")[2])
        first.kill_head()
        began = time.monotonic()
        while not scheduler.problem:  # type: ignore[attr-defined]
            assert time.monotonic() < began + 60, "nobody says that the cluster is gone"
            bench.poll()
        assert bench.scheduler.capacity().free(Resources()) == 0
        assert bench.exit_of(launch) is None or bench.exit_of(launch).cause is Cause.NODE_LOST  # type: ignore[union-attr]
        tries = set()
        began = time.monotonic()
        while time.monotonic() < began + 10:
            bench.poll()
            tries.add(scheduler.pid)  # type: ignore[attr-defined]
        assert len(tries - {None}) <= 5, "a crash loop"
        assert scheduler.problem  # type: ignore[attr-defined]
        second = stack.enter_context(running_cluster(head={"gcs_server_port": port}, num_cpus=2))
        assert second.address == first.address
        began = time.monotonic()
        while scheduler.problem:  # type: ignore[attr-defined]
            assert time.monotonic() < began + 90, "it is not found again"
            bench.poll()
        assert bench.finish(launch).cause is Cause.NODE_LOST
        steps = steps_of(bench, launch)
        assert steps == list(range(1, len(steps) + 1))
        bench.wait_until(lambda: bench.scheduler.capacity().free(Resources()))
        assert bench.run(bench.launch(2, command=("true",))).cause is None


def test_memory_is_full(tmp_path: Path) -> None:
    """An attempt whose slot is ended by Ray's memory monitor has run out of memory."""
    used = psutil.virtual_memory()
    share = (used.total - used.available + (1 << 30)) / used.total
    variables = {"RAY_memory_usage_threshold": f"{share:.3f}", "RAY_memory_monitor_refresh_ms": "200"}
    with running_cluster(variables=variables, num_cpus=2) as cluster, bench_on(cluster, tmp_path) as bench:
        code = "import time\nprint('ready', flush=True)\nhog = b'x' * (3 << 30)\ntime.sleep(60)"
        launch = bench.start(bench.launch(command=python(code)))
        exit_ = bench.finish(launch)
        assert exit_.cause is Cause.HOST_OOM, exit_
        assert "memory" in exit_.detail
        folder = there(launch, tmp_path)
        wait_until(lambda: not processes_below(folder))


@contextmanager
def namespace(name: str, number: int) -> Iterator[str]:
    """Make a network namespace with a link to this one; gives its address. Skip the test where that can't be done."""
    here, there_, link = f"10.199.{number}.1", f"10.199.{number}.2", f"tw{number}"
    steps = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["ip", "addr", "add", f"{here}/24", "dev", link],
        ["ip", "link", "set", link, "up"],
        ["ip", "-n", name, "addr", "add", f"{there_}/24", "dev", "eth0"],
        ["ip", "-n", name, "link", "set", "eth0", "up"],
        ["ip", "-n", name, "link", "set", "lo", "up"],
        ["ip", "-n", name, "route", "add", "default", "via", here],
    ]
    try:
        for step in steps:
            if shutil.which("ip") is None or subprocess.run(step, capture_output=True).returncode:
                pytest.skip("needs the right to make network namespaces")
        yield there_
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", link], capture_output=True)


def cut(up: bool = False) -> None:
    """Cut the link to the namespace, or restore it."""
    subprocess.run(["ip", "link", "set", f"tw{NUMBER}", "up" if up else "down"], check=True)


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    """A cluster of a head and a node that is reached over a link."""
    variables = {
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
    }
    with ExitStack() as stack:
        address = stack.enter_context(namespace(NAMESPACE, NUMBER))
        cluster = stack.enter_context(running_cluster(variables=variables, ip=f"10.199.{NUMBER}.1", num_cpus=0))
        cluster.add_node(num_cpus=2, namespace=NAMESPACE, ip=address)
        yield cluster


def test_a_link_is_cut_for_a_moment(linked: RayCluster, tmp_path: Path) -> None:
    """A link that comes back soon costs nothing: the attempt goes on, and each report is told once."""
    with bench_on(linked, tmp_path) as bench:
        launch = bench.start(bench.launch(command=counting()))
        bench.wait_until(lambda: len(bench.reports_of(launch)) > 3)
        cut()
        began = time.monotonic()
        while time.monotonic() < began + 2:
            bench.poll()
        cut(up=True)
        count = len(bench.reports_of(launch))
        bench.wait_until(lambda: len(bench.reports_of(launch)) > count + 20)
        bench.scheduler.stop(launch.key, 0.0)
        assert bench.finish(launch).stopped
        steps = steps_of(bench, launch)
        assert steps == list(range(1, len(steps) + 1))


def test_a_link_is_cut(linked: RayCluster, tmp_path: Path) -> None:
    """With its link an attempt is lost; once that is back, nothing runs on there, and nothing of it is told."""
    with bench_on(linked, tmp_path) as bench:
        launch = bench.start(bench.launch(command=counting()))
        bench.wait_until(lambda: len(bench.reports_of(launch)) > 3)
        folder = there(launch, tmp_path)
        cut()
        exit_ = bench.finish(launch)
        assert exit_.cause is Cause.NODE_LOST, exit_
        told = len(bench.events)
        bench.wait_until(lambda: node_of(launch.folder) not in {one.name for one in bench.scheduler.capacity().nodes})
        assert processes_below(folder), "it can't know yet"
        cut(up=True)
        began = time.monotonic()
        while processes_below(folder):  # Ray ends the node, as soon as that hears that it was given up
            assert time.monotonic() < began + 200
            bench.poll()
        assert len(bench.events) == told
