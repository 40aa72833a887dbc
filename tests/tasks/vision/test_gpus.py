"""What is known of GPUs without using them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tunewell.tasks.vision.gpus import Gpu, smallest_gpu


class NVMLError(Exception):
    """The driver's error."""


def driver(monkeypatch: pytest.MonkeyPatch, *gpus: tuple[int, int], broken: str = "") -> list[str]:
    """Put a driver that knows GPUs (bytes, major compute capability) in place; return what is called of it."""
    called: list[str] = []

    def call(name: str, answer: Any) -> Any:
        def function(*arguments: Any) -> Any:
            called.append(name)
            if name == broken:
                raise NVMLError
            return answer(*arguments)

        return function

    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: len(gpus),
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda index: SimpleNamespace(total=gpus[index][0]),
        "nvmlDeviceGetCudaComputeCapability": lambda index: (gpus[index][1], 0),
    }
    functions = {name: call(name, answer) for name, answer in answers.items()}
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(NVMLError=NVMLError, **functions))
    return called


def test_the_smallest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several GPUs, each trial gets at least the least memory, and bfloat16 only if all have it."""
    called = driver(monkeypatch, (80, 9), (24, 8))
    assert smallest_gpu({}) == Gpu(24, bfloat16=True)
    assert called[-1] == "nvmlShutdown"
    driver(monkeypatch, (80, 9), (16, 7))
    assert smallest_gpu({"CUDA_VISIBLE_DEVICES": "0"}) == Gpu(16, bfloat16=False)


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo"])
def test_a_driver_that_fails_has_no_gpu(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Without a working driver there is no GPU, and no error."""
    driver(monkeypatch, (80, 9), broken=broken)
    assert smallest_gpu({}) is None


@pytest.mark.parametrize("visible", ["", "-1"])
def test_hidden_gpus_do_not_count(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    """GPUs that CUDA may not see are none, and neither is a missing library's."""
    driver(monkeypatch, (80, 9))
    assert smallest_gpu({"CUDA_VISIBLE_DEVICES": visible}) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert smallest_gpu({}) is None
