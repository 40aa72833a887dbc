"""What this machine has for trials and jobs."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import psutil

from tunewell.schedulers import cgroups
from tunewell.spec.capacity import Capacity, Gpu, Node


@cache
def machine() -> Capacity:
    """Return what this process may use of this machine, all of it free. It is looked up once."""
    return Capacity((empty_node(detect_cpus(), detect_memory(), detect_gpus()),))


def empty_node(cpus: int, memory_bytes: int, gpus: tuple[Gpu, ...]) -> Node:
    """Return this machine as if it had just this, all of it free."""
    devices = tuple(gpu.device for gpu in gpus)
    return Node(socket.gethostname(), cpus, memory_bytes, gpus, cpus, memory_bytes, devices)


def detect_cpus() -> int:
    """Return the number of cores that this process may use: its affinity, or less if its container has less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroups.cpu_quota()
    return max(1, cores if quota is None else min(cores, math.floor(quota)))


def detect_memory() -> int:
    """Return the main memory that this process may use, in bytes: the machine's, or less if its container has less."""
    limit, total = cgroups.memory_limit(), psutil.virtual_memory().total
    return total if limit is None else min(total, limit)


def detect_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Return the GPUs that this process may use; none without a driver.

    An existing CUDA_VISIBLE_DEVICES is obeyed as CUDA does it: what follows an unknown device does not count.
    """
    found = _gpus_of_driver()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not found:
        return found
    chosen: list[Gpu] = []
    for name in (part.strip() for part in visible.split(",")):
        gpu = _find(name, found)
        if gpu is None or any(gpu.uuid == other.uuid for other in chosen):
            break
        chosen.append(gpu)
    return tuple(chosen)


def _find(name: str, found: tuple[Gpu, ...]) -> Gpu | None:
    """Return the GPU that CUDA_VISIBLE_DEVICES calls `name`; None if there is no such GPU."""
    if name.isdecimal():
        return found[int(name)] if int(name) < len(found) else None
    if name.startswith("MIG-"):  # a part of a GPU is in no list; whoever names one has looked it up
        return Gpu(name, uuid=name)
    matching = [gpu for gpu in found if len(name) > 4 and gpu.uuid.startswith(name)]
    return replace(matching[0], device=name) if matching else None


def _gpus_of_driver() -> tuple[Gpu, ...]:
    """Return each GPU that the driver knows, in its order."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_describe(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _describe(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    gpu = Gpu(str(index), uuid=_text(nvml.nvmlDeviceGetUUID(handle)))
    # A GPU in parts, or one whose memory is the machine's own, does not tell all.
    with suppress(nvml.NVMLError):
        gpu = replace(gpu, name=_text(nvml.nvmlDeviceGetName(handle)))
    with suppress(nvml.NVMLError):
        gpu = replace(gpu, memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
    with suppress(nvml.NVMLError):
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        gpu = replace(gpu, compute_capability=(int(major), int(minor)))
    return gpu


def _text(given: str | bytes) -> str:
    """Return text of the driver's library, of which some versions give bytes."""
    return given.decode() if isinstance(given, bytes) else given
