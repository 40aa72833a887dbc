"""From exit codes and logs of many frameworks to causes."""

from __future__ import annotations

import pytest

from tunewell.schedulers.classify import classify_exit, classify_text, last_meaningful_line, shorten
from tunewell.spec.states import Cause

TRACEBACK = """\
epoch 1
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
  File "train.py", line 2, in main
    raise {error}
{error}
"""


@pytest.mark.parametrize(
    "text",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of",
        "torch.cuda.OutOfMemoryError: CUDA out of memory.",
        "RuntimeError: CUDA error: out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2 GiB",
        "RuntimeError: MPS backend out of memory (MPS allocated: 9 GB)",
        "ResourceExhaustedError: OOM when allocating tensor with shape[1,2] and type float on "
        "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc",
        "failed to alloc 17179869184 bytes on host: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes.",
        "ResourceExhaustedError: Out of memory error on GPU 0. Cannot allocate 1.0GB memory on GPU 0",
    ],
)
def test_gpu_oom(text: str) -> None:
    """What frameworks say when a GPU is full is recognised."""
    assert classify_text(text) is Cause.GPU_OOM


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
        "RuntimeError: HIP error: hardware stack error",
        "INTERNAL: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered",
        "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost. Reboot the system to recover this GPU",
    ],
)
def test_gpu_error(text: str) -> None:
    """What is said of a GPU that has failed is recognised."""
    assert classify_text(text) is Cause.GPU_ERROR


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: CUDA error: device-side assert triggered",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "RuntimeError: No CUDA GPUs are available",
    ],
)
def test_errors_of_programs_that_use_a_gpu(text: str) -> None:
    """What a program may do to a GPU that works is not laid at the GPU's door."""
    assert classify_text(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OSError: [Errno 12] Cannot allocate memory",
        "OOM when allocating tensor with shape[9] on /job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
    ],
)
def test_host_oom(text: str) -> None:
    """What programs say when the machine's memory is full is recognised."""
    assert classify_text(text) is Cause.HOST_OOM


@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 28] No space left on device",
        "OSError: [Errno 122] Disk quota exceeded: 'model.pt'",
        "RuntimeError: [enforce fail at inline_container.cc:664] . unexpected pos\n"
        "RuntimeError: [enforce fail at inline_container.cc:659] . PytorchStreamWriter failed writing file data/0",
        "sqlite3.OperationalError: database or disk is full",
        "sh: 3: echo: echo: I/O error: no space left on device",
        "Error: ENOSPC: no space left on device, write",
    ],
)
def test_disk_full(text: str) -> None:
    """What programs say when a disk is full, or a quota used up, is recognised."""
    assert classify_text(text) is Cause.DISK_FULL
    assert classify_exit(1, TRACEBACK.format(error=text), oom_killed=False)[0] is Cause.DISK_FULL


@pytest.mark.parametrize("text", ["", "ValueError: bad", "I have a good memory", "room for more", "MemoryErrors: 0"])
def test_neither(text: str) -> None:
    """Other messages are not taken for a lack of memory or room."""
    assert classify_text(text) is None


def test_success_is_success() -> None:
    """Exit code 0 is success, whatever the log says."""
    assert classify_exit(0, "CUDA out of memory", oom_killed=True) == (None, "")


@pytest.mark.parametrize("code", [-9, 137])
def test_oom_killer(code: int) -> None:
    """SIGKILL means lack of memory where the kernel has killed for it, and somebody from outside otherwise."""
    assert classify_exit(code, "", oom_killed=True)[0] is Cause.HOST_OOM
    assert classify_exit(code, "", oom_killed=False)[0] is Cause.KILLED


def test_crash_is_no_oom_kill() -> None:
    """A program that crashes while the kernel kills another one for its memory has crashed."""
    assert classify_exit(1, "bad", oom_killed=True) == (Cause.CRASHED, "exit code 1: bad")


def test_handled_oom_does_not_count() -> None:
    """A lack of memory that the program got over is not the cause of what ended it."""
    log = "CUDA out of memory: halving the batch\n" + TRACEBACK.format(error="ValueError: bad")
    assert classify_exit(1, log, oom_killed=False) == (Cause.CRASHED, "ValueError: bad")


def test_chained_exceptions() -> None:
    """A lack of memory counts where it led to the exception that ended the program."""
    first = TRACEBACK.format(error="torch.OutOfMemoryError: CUDA out of memory.")
    marker = "\nDuring handling of the above exception, another exception occurred:\n\n"
    log = first + marker + TRACEBACK.removeprefix("epoch 1\n").format(error="RuntimeError: training failed")
    assert classify_exit(1, log, oom_killed=False) == (Cause.GPU_OOM, "RuntimeError: training failed")


def test_exception_line() -> None:
    """The line of the exception is what matters, not what is printed after it."""
    log = TRACEBACK.format(error="ValueError: bad") + "Goodbye.\n"
    assert last_meaningful_line(log) == "ValueError: bad"


def test_last_line_with_text() -> None:
    """Without a traceback it is the last line with letters or digits in it."""
    assert last_meaningful_line("one\nerror: no data\n\n-----\n") == "error: no data"
    assert last_meaningful_line("\n \n") == ""


def test_unknown_signal() -> None:
    """A signal without a name is given by its number."""
    assert classify_exit(-50, "", oom_killed=False) == (Cause.CRASHED, "it died of signal 50")


def test_shorten() -> None:
    """A detail is one line of bounded length."""
    assert shorten(" a\n\tb ") == "a b"
    assert len(shorten("x" * 10_000)) == 500


def test_details_are_plain_text() -> None:
    """What a program prints last can neither command a terminal nor turn the line round that it is shown in."""
    line = "\x1b]8;;http://evil\x07click\x1b]8;;\x07 \x1b[31mred\x1b[0m \u202egnp.exe\x00"
    assert shorten(line) == "click red \N{REPLACEMENT CHARACTER}gnp.exe\N{REPLACEMENT CHARACTER}"
