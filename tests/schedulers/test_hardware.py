"""Cores and GPUs, as containers and drivers show them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tunewell.schedulers import cgroups, hardware
from tunewell.schedulers.hardware import detect_cpus, detect_gpus, detect_memory
from tunewell.schedulers.local import LocalScheduler
from tunewell.spec.capacity import Gpu
from tunewell.spec.launch import Resources


def tree(root: Path, files: dict[str, str]) -> Path:
    """Write files below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/x\n1:name=systemd:/\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/path/of/the/host\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    """The tightest quota from the process's own group upwards counts, in both versions of control groups."""
    assert cgroups.cpu_quota(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 0),
        ({"proc/vmstat": "pgfault 1\noom_kill 4\n"}, 4),
        (
            {
                "proc/self/cgroup": "0::/a\n",
                "sys/fs/cgroup/a/memory.events": "low 0\noom 3\noom_kill 2\n",
                "proc/vmstat": "oom_kill 9\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/a\n",
                "sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\noom_kill 7\n",
            },
            7,
        ),
    ],
)
def test_oom_kills(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    """Kills for memory are counted in the process's own group, else on the whole machine."""
    assert cgroups.oom_kills(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/memory.max": "4096\n",
            },
            4096,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/a\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "8192\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            8192,
        ),
    ],
)
def test_memory_limit(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    """The tightest limit on memory from the process's own group upwards counts, in both versions."""
    assert cgroups.memory_limit(tree(tmp_path, files)) == expected


@pytest.mark.parametrize(("limit", "expected"), [(None, 8192), (4096, 4096), (1 << 62, 8192)])
def test_detect_memory(monkeypatch: pytest.MonkeyPatch, limit: int | None, expected: int) -> None:
    """Memory is the machine's, or what the container may take of it."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8192))
    monkeypatch.setattr(cgroups, "memory_limit", lambda: limit)
    assert detect_memory() == expected


@pytest.mark.parametrize(("quota", "expected"), [(None, 3), (2.5, 2), (0.5, 1), (64.0, 3)])
def test_detect_cpus(monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int) -> None:
    """Cores are those of the affinity, or whole ones of the quota if that is less, but at least one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5})
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    assert detect_cpus() == expected


def fake_driver(count: int) -> SimpleNamespace:
    """Return a stand-in for pynvml with so many GPUs."""

    class NVMLError(Exception):
        pass

    def start() -> None:
        if count == 0:
            raise NVMLError("no driver")

    def memory(index: int) -> SimpleNamespace:
        if index == 1:
            raise NVMLError("not supported")
        return SimpleNamespace(total=80 << 30)

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}{index}{index}-abc",
        nvmlDeviceGetName=lambda index: b"NVIDIA H100" if index == 0 else "NVIDIA H100",
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetCudaComputeCapability=lambda index: (9, 0),
    )


@pytest.mark.parametrize(
    ("count", "visible", "expected"),
    [
        (0, None, ()),
        (0, "0", ()),
        (2, None, ("0", "1")),
        (2, "", ()),
        (2, "-1", ()),
        (2, "1", ("1",)),
        (4, "3, 1", ("3", "1")),
        (2, "0,7,1", ("0",)),
        (2, "1,1", ("1",)),
        (2, "1,GPU-111", ("1",)),
        (2, "GPU-111", ("GPU-111",)),
        (2, "GPU-777", ()),
        (2, "MIG-123", ("MIG-123",)),
    ],
)
def test_detect_gpus(
    monkeypatch: pytest.MonkeyPatch, count: int, visible: str | None, expected: tuple[str, ...]
) -> None:
    """GPUs are the driver's, as far as CUDA_VISIBLE_DEVICES lets them be seen."""
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver(count))
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert tuple(gpu.device for gpu in detect_gpus(environment)) == expected


def test_what_a_gpu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, memory and abilities are the driver's word; what it does not tell is not known."""
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver(2))
    first = Gpu("0", "NVIDIA H100", 80 << 30, "GPU-000-abc", (9, 0))
    second = Gpu("1", "NVIDIA H100", None, "GPU-111-abc", (9, 0))
    assert detect_gpus({}) == (first, second)
    assert detect_gpus({"CUDA_VISIBLE_DEVICES": "GPU-000"}) == (replace(first, device="GPU-000"),)
    assert detect_gpus({"CUDA_VISIBLE_DEVICES": "MIG-1"}) == (Gpu("MIG-1", uuid="MIG-1"),)


def test_no_driver_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library there are no GPUs, and no error."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert detect_gpus({}) == ()


def test_scheduler_uses_what_is_detected(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """By default a local scheduler divides what the machine has, which is looked up once."""
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver(3))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    hardware.machine.cache_clear()
    request.addfinalizer(hardware.machine.cache_clear)
    scheduler = LocalScheduler()
    monkeypatch.setattr(hardware, "detect_gpus", None)
    assert scheduler.capacity() == LocalScheduler().capacity() == hardware.machine()
    assert scheduler.capacity().slots(Resources()) == hardware.detect_cpus()
    assert scheduler.capacity().slots(Resources(cpus=1, gpus=3)) == 1
    assert scheduler.capacity().slots(Resources(cpus=1, gpus=4)) == 0
    scheduler.close()
