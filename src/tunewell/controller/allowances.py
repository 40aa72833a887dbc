"""What users may have, and have used up, by the record: kept in the ledger that work is started by."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tunewell.controller.disk import DiskCounter
from tunewell.controller.fair import Ledger, Terms
from tunewell.spec.errors import UserError
from tunewell.spec.quota import Quota, month_of, parse_quota
from tunewell.store.rows import UsageRow, UserRow
from tunewell.store.store import Store

log = logging.getLogger(__name__)


class Allowances:
    """Brings a ledger up to date, and has it counted what users take up of the disk."""

    def __init__(self, store: Store, ledger: Ledger, clock: Callable[[], float], disk: DiskCounter | None) -> None:
        """Know nobody yet; `disk` is None where others count."""
        self._store, self._ledger, self._clock, self._disk = store, ledger, clock, disk
        #: Which month what users have used is of.
        self._month = ""
        #: What was told of quotas that can't be read.
        self._bad_quotas: set[str] = set()

    def look(self) -> None:
        """Read what is on record; raise `StoreError` if that can't be done."""
        store, ledger = self._store, self._ledger
        users = [(row, self._quota_of(row)) for row in store.users()]
        monthly = any(quota.cpu_hours is not None or quota.gpu_hours is not None for _, quota in users)
        month, last = month_of(self._clock()), self._month
        spent = {row.owner: row for row in store.usage(month)} if monthly else {}
        known, self._month = ledger.terms if month == last else {}, month
        ledger.terms = {
            row.name: _terms(row, quota, spent.get(row.name), known.get(row.name, Terms()), self._stored(row, quota))
            for row, quota in users
        }
        if self._disk is not None:
            for name, size in self._disk.counted([row.name for row, _ in users]).items():
                store.set_user(name, {"disk_bytes": size})

    def _stored(self, user: UserRow, quota: Quota) -> int:
        """Return how many bytes of the disk a user takes up; without a limit, that makes no difference."""
        return user.disk_bytes + self._store.stored_bytes(user.name) if quota.disk_bytes is not None else 0

    def _quota_of(self, user: UserRow) -> Quota:
        try:
            return parse_quota(user.quota)
        except UserError as error:  # recorded by another version; nobody's work is to stand still for that
            told = f"the quota of {user.name} counts for nothing ({error})"
            if told not in self._bad_quotas:
                log.error(told)
            self._bad_quotas.add(told)
            return Quota()


def _terms(user: UserRow, quota: Quota, spent: UsageRow | None, known: Terms, stored: int) -> Terms:
    """Return what a user may have, and has used up: by the record, or by what is known here alone as yet."""
    cpu_seconds, gpu_seconds = (spent.cpu_seconds, spent.gpu_seconds) if spent is not None else (0.0, 0.0)
    cpu_seconds, gpu_seconds = max(cpu_seconds, known.cpu_seconds), max(gpu_seconds, known.gpu_seconds)
    return Terms(user.weight, quota, cpu_seconds, gpu_seconds, stored)
