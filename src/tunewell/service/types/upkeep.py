"""The disk of a home, and what of it is not needed any more."""

from __future__ import annotations

from typing import Literal

from tunewell.service.types.base import Moment, Wire


class DiskPart(Wire):
    """A part of what a home takes up."""

    #: What it is, or whose.
    name: str
    size_bytes: int


class GarbageGroup(Wire):
    """What is not needed any more, of one kind."""

    kind: Literal["leftovers", "bin", "cache", "attempts", "jobs", "checkpoints", "artifacts"]
    #: What it is, and why it may go.
    what: str
    why: str
    count: int
    size_bytes: int
    #: Whether users' programs have written it.
    by_programs: bool


class Garbage(Wire):
    """All that is not needed any more, the least valuable first."""

    groups: tuple[GarbageGroup, ...]
    size_bytes: int


class Collection(Wire):
    """What was removed at one time."""

    #: When; None: there was nothing to remove.
    at: Moment | None
    #: Who had it done: a user, or the disk budget.
    by: str
    groups: tuple[GarbageGroup, ...]
    size_bytes: int


class Disk(Wire):
    """How it stands with the disk of a home."""

    #: Of the disk that the home lies on.
    total_bytes: int
    free_bytes: int
    #: What the home takes up, and when that was counted.
    taken_bytes: int
    counted_at: Moment
    #: What takes it up, the largest first: by what it is, and by whose it is, as far as it is anybody's.
    by_kind: tuple[DiskPart, ...]
    by_owner: tuple[DiskPart, ...]
    #: What the home may take up; None: nothing was said.
    budget_bytes: int | None
    #: What is kept free on the disk, and whether somebody has said so.
    reserve_bytes: int
    reserve_is_set: bool
    #: Why nothing starts, a sentence; empty: there is room.
    problem: str
    #: What was removed, the latest first.
    collections: tuple[Collection, ...]
