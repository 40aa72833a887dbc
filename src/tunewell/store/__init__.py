"""Experiments, trials, reports and jobs on disk: SQLite by default, or PostgreSQL."""

from tunewell.store.rows import (
    AttemptEnd,
    AttemptRow,
    Changed,
    EventRow,
    ExperimentRow,
    HistoryEntry,
    JobEnd,
    JobRow,
    ReportRow,
    RequestRow,
    ResultRow,
    TrialRow,
)
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

__all__ = [
    "AttemptEnd",
    "AttemptRow",
    "Changed",
    "EventRow",
    "ExperimentRow",
    "HistoryEntry",
    "JobEnd",
    "JobRow",
    "ReportRow",
    "RequestRow",
    "ResultRow",
    "Store",
    "Transaction",
    "TrialRow",
]
