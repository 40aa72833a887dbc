"""What is bound to an experiment's name for good, and so need be read only once."""

from __future__ import annotations

from dataclasses import dataclass

from tunewell.store.rows import Goal


@dataclass(frozen=True, slots=True)
class Bound:
    """An experiment's name with what never changes about it."""

    name: str
    id: int
    identity: str
    goal: Goal
