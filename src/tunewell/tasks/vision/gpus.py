"""What the GPUs of this machine can take, without PyTorch and without touching them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

#: First compute capability that computes with bfloat16 (Ampere).
_BFLOAT16_SINCE = 8


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as far as training is concerned."""

    memory_bytes: int
    #: Whether it computes with bfloat16, so that activations take half the memory.
    bfloat16: bool


def smallest_gpu(environment: Mapping[str, str] = os.environ) -> Gpu | None:
    """Return what every GPU of this machine has at least; None without a GPU that trials may use."""
    if environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return None
    found = _gpus_of_driver()
    if not found:
        return None
    return Gpu(min(gpu.memory_bytes for gpu in found), all(gpu.bfloat16 for gpu in found))


def _gpus_of_driver() -> list[Gpu]:
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
        return [
            Gpu(
                int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                pynvml.nvmlDeviceGetCudaComputeCapability(handle)[0] >= _BFLOAT16_SINCE,
            )
            for handle in handles
        ]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
