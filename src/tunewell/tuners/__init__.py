"""The search algorithms and what they share; pure. `create` makes one by name."""

from __future__ import annotations

from tunewell.tuners.catalogue import create

__all__ = ["create"]
