"""Experiments, trials and reports on disk: SQLite by default, or PostgreSQL."""

from tunewell.store.rows import (
    AttemptRow,
    EventRow,
    ExperimentRow,
    HistoryEntry,
    ReportRow,
    RequestRow,
    TrialRow,
)
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

__all__ = [
    "AttemptRow",
    "EventRow",
    "ExperimentRow",
    "HistoryEntry",
    "ReportRow",
    "RequestRow",
    "Store",
    "Transaction",
    "TrialRow",
]
