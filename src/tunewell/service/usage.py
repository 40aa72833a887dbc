"""What users have used in a month, and use now, against what they may."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

from tunewell.service.machines import used_by_users
from tunewell.service.types import User, UserUsage
from tunewell.spec.errors import SpecError, shown
from tunewell.spec.quota import month_of
from tunewell.store.rows import UsageRow, UserRow
from tunewell.store.store import Store

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_NOTHING: Mapping[str, float] = {"running": 0, "cpus": 0, "gpus": 0}


def usage(store: Store, users: Iterable[User], month: str | None) -> tuple[UserUsage, ...]:
    """Return what each of some users has used in a month (None: the present one), and may have.

    Raises:
        SpecError: the month is none.
    """
    now = month_of(time.time())
    if month is not None and not _MONTH.fullmatch(month):
        raise SpecError("month", f"{shown(month)} is no month", "Write it as 2026-03", month)
    chosen = month or now
    spent = {row.owner: row for row in store.usage(chosen)}
    running = used_by_users(store) if chosen == now else {}

    def used(name: str) -> dict[str, float]:
        hours = _hours(spent.get(name))
        if chosen != now:
            return hours
        return {**running.get(name, _NOTHING), "disk_bytes": _stored(store, name, store.find_user(name)), **hours}

    return tuple(UserUsage(user=one.name, month=chosen, used=used(one.name), quota=one.quota) for one in users)


def used_now(store: Store, name: str, row: UserRow | None) -> dict[str, float]:
    """Return what a user has of everything that a quota can limit, the hours being those of the present month."""
    spent = {row.owner: row for row in store.usage(month_of(time.time()))}
    running = used_by_users(store).get(name, _NOTHING)
    return {**running, "disk_bytes": _stored(store, name, row), **_hours(spent.get(name))}


def _stored(store: Store, name: str, row: UserRow | None) -> int:
    return (row.disk_bytes if row is not None else 0) + store.stored_bytes(name)


def _hours(spent: UsageRow | None) -> dict[str, float]:
    cpu, gpu = (spent.cpu_seconds, spent.gpu_seconds) if spent is not None else (0.0, 0.0)
    return {"cpu_hours": cpu / 3600, "gpu_hours": gpu / 3600}
