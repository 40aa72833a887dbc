"""What the control groups of this process allow and tell (Linux, versions 1 and 2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the number of cores that this process may use; None: no limit. `root` is for tests."""
    quotas = [quota for folder in _folders("cpu", root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the memory in bytes that this process may use; None: no limit. `root` is for tests."""
    names = ("memory.max", "memory.limit_in_bytes")
    texts = [_read(folder / name) for folder in _folders("memory", root) for name in names]
    limits = [int(text) for text in texts if text is not None and text.strip().isdecimal()]
    return min(limits, default=None)


def oom_kills(root: Path = Path("/")) -> int:
    """Return how many processes of this group, or else of the whole machine, the kernel has killed for memory."""
    for folder in _folders("memory", root):
        for name in ("memory.events", "memory.oom_control"):
            count = _field(folder / name, "oom_kill")
            if count is not None:
                return count
    return _field(root / "proc/vmstat", "oom_kill") or 0


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """Give the groups of this process that `controller` may limit, innermost first."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controller
        else:
            continue
        # In a container the path can be the host's, which is not there; its own group is the mount itself.
        inner = mount / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _quota(folder: Path) -> float | None:
    version_2 = (_read(folder / "cpu.max") or "").split()
    if len(version_2) == 2 and version_2[0] != "max":
        return int(version_2[0]) / int(version_2[1])
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _field(path: Path, name: str) -> int | None:
    for line in (_read(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 65536).decode()
    finally:
        os.close(descriptor)
