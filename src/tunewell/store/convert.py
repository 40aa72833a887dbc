"""From database rows to what the store hands out."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Row

from tunewell.spec.states import Cause, Cut, ExperimentState, JobState, TrialState
from tunewell.store.rows import (
    AttemptRow,
    EventRow,
    ExperimentRow,
    HistoryEntry,
    JobRow,
    ReportRow,
    RequestRow,
    ResultRow,
    TrialRow,
)
from tunewell.store.tables import COUNTS

#: Columns of `trial` that only queries need.
_ORDER = ("experiment_id", "loss")


def _cause(value: str | None) -> Cause | None:
    return None if value is None else Cause(value)


def experiment_row(row: Row[Any]) -> ExperimentRow:
    """Return a row of `experiment`."""
    fields = dict(row._mapping)
    counts = {state: fields.pop(column) for state, column in COUNTS.items()}
    fields |= {"state": ExperimentState(row.state), "notes": tuple(row.notes), "tags": tuple(row.tags)}
    return ExperimentRow(**fields, counts=counts)


def trial_row(row: Row[Any]) -> TrialRow:
    """Return a row of `trial`."""
    fields = dict(row._mapping)
    for name in _ORDER:
        del fields[name]
    return TrialRow(
        **fields
        | {
            "state": TrialState(row.state),
            "cause": _cause(row.cause),
            "notes": tuple(row.notes or ()),
            "cut_by": None if row.cut_by is None else Cut(row.cut_by),
        }
    )


def attempt_row(row: Row[Any]) -> AttemptRow:
    """Return the attempt that a row of `event` tells the end of."""
    facts = row.data
    return AttemptRow(
        attempt=row.attempt,
        identity=facts["identity"],
        state=facts.get("state", "lost"),
        cause=_cause(facts.get("cause")),
        detail=facts.get("detail", ""),
        notes=tuple(facts.get("notes", ())),
        value=facts.get("value"),
        exit_code=facts.get("exit_code"),
        peak_memory_bytes=facts.get("peak_memory_bytes"),
        started_at=facts["started_at"],
        ended_at=row.time,
    )


def running_attempt(trial: TrialRow) -> AttemptRow:
    """Return the attempt that a running trial is at."""
    assert trial.started_at is not None and trial.identity is not None
    return AttemptRow(
        attempt=trial.attempt,
        identity=trial.identity,
        state="running",
        cause=None,
        detail="",
        notes=(),
        value=None,
        exit_code=None,
        peak_memory_bytes=None,
        started_at=trial.started_at,
        ended_at=None,
    )


def report_row(row: Row[Any]) -> ReportRow:
    """Return a row of `report`."""
    metrics = {name: math.nan if value is None else value for name, value in row.metrics.items()}
    return ReportRow(row.attempt, row.step, metrics, row.time)


def event_row(row: Row[Any]) -> EventRow:
    """Return a row of `event`."""
    return EventRow(row.id, row.time, row.kind, row.trial, row.attempt, row.job, row.data or {})


def history_entry(row: Row[Any]) -> HistoryEntry:
    """Return a row of `event` with its trial's parameters, origin, fidelity and resume_from."""
    if row.kind == "suggested":
        return HistoryEntry(
            "suggested",
            row.trial,
            parameters=row.parameters,
            origin=row.origin,
            fidelity=row.fidelity,
            resume_from=row.resume_from,
            known=(row.data or {}).get("known"),
        )
    return HistoryEntry(
        "ended",
        row.trial,
        state=TrialState(row.data["state"]),
        value=row.data.get("value"),
        cause=_cause(row.data.get("cause")),
        cost_seconds=row.data["cost_seconds"],
        attempt=row.attempt,
        identity=row.data.get("identity"),
    )


def request_row(row: Row[Any]) -> RequestRow:
    """Return a row of `request` with its experiment's name as `experiment`."""
    return RequestRow(row.id, row.verb, row.experiment, row.job, row.trial, row.key, row.data, row.created_at)


def job_row(row: Row[Any]) -> JobRow:
    """Return a row of `job` with its experiment's name as `experiment`."""
    fields = dict(row._mapping)
    del fields["experiment_id"]
    return JobRow(**fields | {"state": JobState(row.state), "cause": _cause(row.cause), "notes": tuple(row.notes)})


def result_row(row: Row[Any]) -> ResultRow:
    """Return a row of `result`."""
    fields = dict(row._mapping)
    del fields["experiment_id"]
    return ResultRow(job=fields.pop("job_id"), **fields)
