"""Cores and GPUs, as containers and drivers show them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunewell.schedulers import cgroups, hardware
from tunewell.schedulers.hardware import detect_cpus, detect_gpus
from tunewell.schedulers.local import LocalScheduler
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

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda index: f"GPU-{index}{index}{index}-abc",
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
    assert detect_gpus(environment) == expected


def test_no_driver_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library there are no GPUs, and no error."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert detect_gpus({}) == ()


def test_scheduler_uses_what_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a local scheduler divides the cores and GPUs of the machine."""
    monkeypatch.setitem(sys.modules, "pynvml", fake_driver(3))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    scheduler = LocalScheduler()
    assert scheduler.slots(Resources()) == hardware.detect_cpus()
    assert scheduler.slots(Resources(cpus=1, gpus=3)) == 1
    assert scheduler.slots(Resources(cpus=1, gpus=4)) == 0
    scheduler.close()
