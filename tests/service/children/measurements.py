"""Measurements of trainings, as entries of jobs."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from tunewell.trial.files import write_json


def seen(folder: Path) -> None:
    """Leave what a training would see of the machine."""
    write_json(folder / "result.json", {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES")})


def endless(folder: Path) -> None:
    """Tell the number of this process, and go on for ever, whatever asks it to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    write_json(folder.parent / "pid.json", {"pid": os.getpid()})
    while not threading.Event().wait(60):
        pass
