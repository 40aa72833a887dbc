"""Reports of an attempt whose program can't write into the attempt's folder: on another machine, or in a container.

They are appended there as the program would have done it, and go on from there like all others.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from tunewell.home.home import Home
from tunewell.schedulers import leases
from tunewell.schedulers.records import identity_of
from tunewell.service.types import GivenReport, Taken
from tunewell.service.verbs import MOST
from tunewell.spec.errors import ConflictError, DataError, SpecError
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import TrialState
from tunewell.store.store import Store
from tunewell.trial import files

#: Bytes of reports that are taken at once.
_MOST_BYTES = 1 << 20


def take(store: Store, home: Home, key: AttemptKey, reports: Sequence[GivenReport], mark: str | None = None) -> Taken:
    """Append reports of the attempt that runs; they are on the disk when this returns.

    Raises:
        SpecError: they are too many, or too large.
        ConflictError: the attempt does not run.
        DataError: they can't be written.
    """
    if not 1 <= len(reports) <= MOST:
        raise SpecError("reports", f"{len(reports)} at once are not possible", f"Give 1 to {MOST}")
    marked = "" if mark is None else hashlib.sha256(mark.encode()).hexdigest()
    data = _lines(reports, marked)
    if len(data) > _MOST_BYTES:
        raise SpecError("reports", f"they have {len(data):,} bytes", f"Send {_MOST_BYTES:,} at once at most")
    folder = running_folder(store, home, key)
    try:
        with leases.living(folder) as descriptor:
            if descriptor is None:
                raise over(key)
            files.append_durably(descriptor, folder, data, marked.encode())
    except OSError as error:
        raise DataError(f"the reports can't be written ({error.strerror})", field=str(folder)) from None
    # An attempt has all its reports read after its end was written: what was there before that is not lost.
    if leases.has_ended(folder):
        raise over(key)
    leases.touch(folder)
    return Taken(reports=len(reports), should_stop=(folder / files.STOP).exists())


def _lines(reports: Sequence[GivenReport], mark: str) -> bytes:
    now = time.time()
    lines = [files.report_line(report.step, report.metrics, _dated(report, now)) for report in reports[:-1]]
    last = reports[-1]
    # The last line says of which sending all of them are: where it is, they all are.
    more = {"sending": mark} if mark else {}
    return b"".join([*lines, files.report_line(last.step, last.metrics, _dated(last, now), **more)])


def _dated(report: GivenReport, now: float) -> float:
    """Return when a report was made, in seconds since the epoch; a time without a zone is one of this machine's."""
    if report.time is None:
        return now
    try:
        return report.time.timestamp()
    except (ValueError, OverflowError, OSError):
        raise SpecError("time", "it is too long ago, or too far away", "Give a time with its zone, or none") from None


def running_folder(store: Store, home: Home, key: AttemptKey) -> Path:
    """Return the folder of an attempt that runs; raise `ConflictError` if it does not."""
    row = store.trial(key.experiment, key.trial)
    if row.state is not TrialState.RUNNING or row.attempt != key.attempt:
        raise over(key)
    folder = home.attempt(key, row.identity)
    if identity_of(folder) != row.identity or leases.has_ended(folder):
        raise over(key)
    return folder


def over(key: AttemptKey) -> ConflictError:
    """Return the error of whoever tells something of an attempt that does not run, or runs no more."""
    what = f"attempt {key.attempt} at trial {key.trial} of '{key.experiment}' does not run"
    return ConflictError(what, remedy="Report while it runs", kind="attempt-over")
