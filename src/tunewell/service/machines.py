"""What there is for trials and jobs."""

from __future__ import annotations

from dataclasses import asdict

from tunewell.schedulers.hardware import machine
from tunewell.service.types import Capacity


def capacity() -> Capacity:
    """Return this machine as the only node."""
    return Capacity.model_validate(asdict(machine()))
