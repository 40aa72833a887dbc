"""What the trials of the contract suite do, as functions that any scheduler can run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tunewell.trial import Trial, current
from tunewell.trial.function import call


def run(folder: Path) -> None:
    """Entry: call the function that the environment names."""
    call(getattr(sys.modules[__name__], os.environ["BEHAVIOUR"]), current(), os.environ["TUNEWELL_METRIC"])


def report_three(trial: Trial, x: float) -> float:
    """Report twice and return a number."""
    trial.report(score=x)
    trial.report({"score": 2 * x, "loss": 0.5}, step=5)
    return 3 * x


def describe(trial: Trial, x: float, name: str, on: bool) -> dict[str, float]:
    """Use everything that a trial has."""
    for folder in (trial.output_dir, trial.checkpoint_dir):
        (folder / "kept").touch()
    return {"number": trial.number, "fidelity": trial.fidelity, "x": x, "sound": name == "adam" and on is True}


def report_for_ever(trial: Trial) -> None:
    """Report the same until asked to end."""
    while True:
        trial.report(score=1)


def crash() -> None:
    """Raise."""
    raise ValueError("bad luck")


def exhaust_memory() -> None:
    """Act as if the machine's memory were full."""
    raise MemoryError


def exhaust_gpu() -> None:
    """Act as if the GPU's memory were full."""
    raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


def give_up(trial: Trial) -> None:
    """Declare the parameters invalid."""
    trial.fail("invalid_parameters", "depth exceeds width")
