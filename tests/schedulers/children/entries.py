"""Entries for tests: functions that are called in the trial's process with the attempt's folder."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path

import tunewell.trial as trial

state: list[str] = []


def describe(folder: Path) -> None:
    """Write what the process finds around it to `seen.json`."""
    state.append("called")
    seen = {
        "state": state,
        "random": random.random(),
        "numpy": sys.modules["numpy"].random.random() if "numpy" in sys.modules else None,
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "session": os.getsid(0),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "descriptors": sorted(str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()),
        "parameters": trial.parameters(),
        "fidelity": trial.fidelity(),
        "modules": [name for name in ("colorsys", "psutil") if name in sys.modules],
    }
    os.environ["LEAK"] = "yes"
    (folder / "seen.json").write_text(json.dumps(seen))


def report_until_pruned(folder: Path) -> None:
    """Report for ever."""
    while True:
        trial.report(accuracy=0.5)


def wait(folder: Path) -> None:
    """Wait for SIGTERM, and tell what it looks like from inside."""
    try:
        print("ready")
        signal.pause()
    finally:
        print(f"leaving because of {sys.exc_info()[0].__name__}")


def fail(folder: Path) -> None:
    """Declare the data wrong."""
    trial.fail("data_error", "picture 7 is broken")


def raise_error(folder: Path) -> None:
    """Raise."""
    raise ValueError("the learning rate\nis too high")


def fork_and_wait(folder: Path) -> None:
    """Fork a child that leaves the session without executing anything, and wait with it."""
    if os.fork() == 0:
        os.setsid()
        print(f"child {os.getpid()}", flush=True)
    else:
        print("ready", flush=True)
    signal.pause()
