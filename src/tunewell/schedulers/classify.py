"""From the traces that a process left to the cause of its end."""

from __future__ import annotations

import re
import signal

from tunewell.spec.states import Cause
from tunewell.spec.text import clean, without_colours

#: Bytes at the end of the log that are looked at.
TAIL_BYTES = 65536

_GPU_OOM = re.compile(
    r"(?:CUDA|HIP|XPU|MPS backend|GPU) out of memory"  # PyTorch
    r"|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation"
    r"|\bOutOfMemoryError\b(?!.*\bCPU\b)"
    r"|CU(?:BLAS|DNN|SOLVER|SPARSE)_STATUS_ALLOC_FAILED"
    r"|OOM when allocating tensor(?!.*\bdevice:CPU)"  # TensorFlow
    r"|RESOURCE_EXHAUSTED: Out of memory"  # JAX
    r"|Out of memory error on GPU",  # Paddle
    re.IGNORECASE,
)
_GPU_ERROR = re.compile(
    r"(?:CUDA|HIP)(?: driver| runtime)? error: "
    r"(?:uncorrectable (?:ECC|NVLink) error|hardware stack error|\S+-capable device\(s\) is/are busy or unavailable)"
    r"|CUDA_ERROR_(?:(?:ECC|NVLINK)_UNCORRECTABLE|HARDWARE_STACK_ERROR|DEVICE_UNAVAILABLE)"
    r"|\bGPU (?:is lost|has fallen off the bus)\b",
    re.IGNORECASE,
)
_HOST_OOM = re.compile(
    r"^(?:\w+\.)*_?(?:Array)?MemoryError\b"  # Python, NumPy
    r"|DefaultCPUAllocator: (?:can't allocate|not enough) memory"  # PyTorch
    r"|OOM when allocating tensor.*\bdevice:CPU"  # TensorFlow
    r"|std::bad_alloc|Cannot allocate memory"
    r"|java\.lang\.OutOfMemoryError",
    re.MULTILINE,
)
_NO_ROOM = re.compile(
    r"No space left on device|Disk quota exceeded|\bENOSPC\b|\bEDQUOT\b"
    r"|database or disk is full"  # SQLite
    r"|PytorchStreamWriter failed writing",
    re.IGNORECASE,
)
_TRACEBACK = "Traceback (most recent call last):"
_CHAIN = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w+(?:: .*)?$")
#: Signals that come from outside, as when a machine shuts down, and say nothing about the program.
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU})
_LAST_LINES = 20
_LONGEST_DETAIL = 500


def classify_exit(exit_code: int, log: str, oom_killed: bool) -> tuple[Cause | None, str]:
    """Return cause and detail of the end of a process that nobody had asked to end.

    Args:
        exit_code: minus the number of the signal that ended it, if one did.
        log: the last part of its output.
        oom_killed: whether the kernel killed a process of this machine or container for its memory meanwhile.
    """
    if exit_code == 0:
        return None, ""
    # A shell reports the signal that ended its own child as 128 + the signal's number.
    number = -exit_code if exit_code < 0 else exit_code - 128
    if number == signal.SIGKILL and oom_killed:
        return Cause.HOST_OOM, "the kernel killed it: the machine or container was out of memory"
    if number in _FROM_OUTSIDE:
        return Cause.KILLED, f"it was ended from outside by {signal.Signals(number).name}"
    block = _last_exception(log) or "\n".join(log.splitlines()[-_LAST_LINES:])
    line = last_meaningful_line(log)
    how = f"it died of {_signal_name(number)}" if exit_code < 0 else f"exit code {exit_code}"
    detail = line if _TRACEBACK in log and line else f"{how}: {line}" if line else how
    return classify_text(block) or Cause.CRASHED, shorten(detail)


def classify_text(text: str) -> Cause | None:
    """Return what an error message says has run out, memory or disk, or failed; None: it says nothing like it."""
    if _NO_ROOM.search(text):
        return Cause.DISK_FULL
    if _HOST_OOM.search(text):
        return Cause.HOST_OOM
    if _GPU_ERROR.search(text):
        return Cause.GPU_ERROR
    return Cause.GPU_OOM if _GPU_OOM.search(text) else None


def last_meaningful_line(log: str) -> str:
    """Return the line of `log` that says best what went wrong: the last exception's, else the last one."""
    block = _last_exception(log)
    if block:
        after = block.rpartition(_TRACEBACK)[2].splitlines()[1:]
        for line in after:
            if not line.startswith((" ", "\t")) and _EXCEPTION.match(line.strip()):
                return line.strip()
    lines = [line.strip() for line in log.splitlines() if any(c.isalnum() for c in line)]
    return lines[-1] if lines else ""


def shorten(text: str) -> str:
    """Return `text` as one line that is not too long for a table."""
    line = clean(" ".join(without_colours(text).split()))
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"


def _last_exception(log: str) -> str:
    """Return the last traceback with those that led to it; empty if there is none."""
    *earlier, last = log.split(_TRACEBACK)
    if not earlier:
        return ""
    parts = [_TRACEBACK + last]
    while len(earlier) > 1 and earlier[-1].rstrip().endswith(_CHAIN):
        parts.insert(0, _TRACEBACK + earlier.pop())
    return "".join(parts)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
