"""The disk of a home as verbs tell of it: what takes it up, what is kept free, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewell.controller.disk import Low
from tunewell.home.disk import DiskUse, disk_use, reserve_of
from tunewell.home.home import Home
from tunewell.service import wire
from tunewell.service.idempotency import Asked, once, repeatable
from tunewell.service.types import Collection, Disk, DiskPart, Garbage, GarbageGroup, JsonObject
from tunewell.service.upkeep.collecting import Collected, collect, sums_of
from tunewell.service.upkeep.garbage import KINDS, WORDS, find_garbage
from tunewell.service.upkeep.usage import Usage
from tunewell.spec.errors import ArgumentError, DataError, nearest, shown
from tunewell.spec.format import size
from tunewell.spec.quantities import LARGEST_INTEGER, parse_size
from tunewell.store.rows import HomeEventRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

#: How many collections are told of.
_LATEST = 10
_FIELDS = ("budget_bytes", "reserve_bytes")
#: Kinds of garbage that programs of users have written, at least in part.
_BY_PROGRAMS = frozenset({"bin", "attempts", "jobs", "checkpoints", "artifacts"})


def told(store: Store, home: Home, usage: Usage) -> Disk:
    """Return how it stands with the disk."""
    use, counted, settings = _use(home), usage.counted(store, home), store.disk()
    reserve = reserve_of(use, settings.reserve_bytes)
    problem = ""
    if use.free_bytes < reserve:
        problem = Low(use.free_bytes, reserve).reason.detail
    elif settings.budget_bytes is not None and counted.total > settings.budget_bytes:
        problem = f"{size(counted.total)} are taken up, and {size(settings.budget_bytes)} is the budget."
    return Disk(
        total_bytes=use.total_bytes,
        free_bytes=use.free_bytes,
        taken_bytes=counted.total,
        counted_at=wire.moment(counted.at),
        by_kind=_parts(counted.by_kind),
        by_owner=_parts(counted.by_owner),
        budget_bytes=settings.budget_bytes,
        reserve_bytes=reserve,
        reserve_is_set=settings.reserve_bytes is not None,
        problem=problem,
        collections=tuple(map(_collection, store.home_events(["collected"], _LATEST))),
    )


def change(store: Store, changes: Mapping[str, Any], asked: Asked) -> None:
    """Change what is said about the disk: `budget_bytes`, `reserve_bytes`; None: say nothing."""
    wanted = {name: _size(name, value) for name, value in changes.items()}

    def act(tx: Transaction) -> JsonObject:
        tx.set_disk(wanted)
        return {}

    once(store, asked, act)


def _size(name: str, value: Any) -> int | None:
    if name not in _FIELDS:
        raise ArgumentError(name, "there is no such setting of the disk", nearest(name, _FIELDS), value)
    if value is None or (name == "reserve_bytes" and value in (0, "0")):
        return value if value is None else 0
    try:
        found = parse_size(value)
    except ValueError as error:
        what, remedy = error.args
        raise ArgumentError(name, what, remedy, value) from None
    if found > LARGEST_INTEGER:
        raise ArgumentError(name, f"{shown(value)} is more than any disk has", "Write it like 200G", value)
    return found


def garbage(store: Store, home: Home) -> Garbage:
    """Return what may go."""
    groups = _groups(sums_of(find_garbage(store, home)))
    return Garbage(groups=groups, size_bytes=sum(group.size_bytes for group in groups))


def collect_garbage(store: Store, home: Home, usage: Usage, asked: Asked) -> Collection:
    """Remove it."""

    def act() -> JsonObject:
        gone = collect(store, home, asked.caller.name)
        usage.forget()
        latest = store.home_events(["collected"], 1) if gone else []
        groups = _groups(gone)
        return Collection(
            at=wire.moment(latest[0].time) if latest else None,
            by=asked.caller.name,
            groups=groups,
            size_bytes=sum(group.size_bytes for group in groups),
        ).to_json()

    return Collection.model_validate(repeatable(store, asked, act))


def _use(home: Home) -> DiskUse:
    try:
        return disk_use(home.folder)
    except OSError as error:
        raise DataError(f"it can't be read ({error.strerror})", field=str(home.folder)) from None


def _parts(sizes: Mapping[str, int]) -> tuple[DiskPart, ...]:
    return tuple(DiskPart(name=name, size_bytes=amount) for name, amount in sizes.items())


def _groups(sums: Sequence[Collected]) -> tuple[GarbageGroup, ...]:
    return tuple(
        GarbageGroup(
            kind=one.kind,
            what=WORDS[one.kind][0],
            why=WORDS[one.kind][1],
            count=one.count,
            size_bytes=one.size_bytes,
            by_programs=one.kind in _BY_PROGRAMS,
        )
        for one in sums
    )


def _collection(row: HomeEventRow) -> Collection:
    known = [Collected(**group) for group in row.data["groups"] if group["kind"] in KINDS]
    groups = _groups(known)
    total = sum(group.size_bytes for group in groups)
    return Collection(at=wire.moment(row.time), by=row.data["by"], groups=groups, size_bytes=total)
