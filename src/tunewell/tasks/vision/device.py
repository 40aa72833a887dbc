"""Where PyTorch computes, and how."""

from __future__ import annotations

import os

import torch
from torch import nn


def configure_torch() -> None:
    """Make this process's computations repeatable, on as many threads as it was given.

    Must run before any other operation: a forked process has none of its parent's threads and would wait for
    them forever.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def best_device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Take a network to the device, its weights in the order in which convolutions are fastest; return it."""
    moved: nn.Module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return a context with mixed precision where the hardware computes with bfloat16, which needs no loss scaling."""
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)
