"""What this machine has for trials."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from tunewell.schedulers import cgroups


def detect_cpus() -> int:
    """Return the number of cores that this process may use: its affinity, or less if its container has less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroups.cpu_quota()
    return max(1, cores if quota is None else min(cores, math.floor(quota)))


def detect_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none without a driver.

    An existing CUDA_VISIBLE_DEVICES is obeyed as CUDA does it: what follows an unknown device does not count.
    """
    found = _gpus_of_driver()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not found:
        return tuple(str(index) for index in range(len(found)))
    chosen: list[str] = []
    for name in (part.strip() for part in visible.split(",")):
        if not _exists(name, found) or name in chosen:
            break
        chosen.append(name)
    return tuple(chosen)


def _exists(name: str, found: list[str]) -> bool:
    if name.isdecimal():
        return int(name) < len(found)
    # Parts of GPUs are not in the list of GPUs; whoever names one has looked it up.
    return name.startswith("MIG-") or (len(name) > 4 and any(uuid.startswith(name) for uuid in found))


def _gpus_of_driver() -> list[str]:
    """Return the UUID of each GPU that the driver knows, in its order."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
