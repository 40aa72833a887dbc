"""Reports that a transaction holds back until their order against another write matters, or its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from tunewell.spec.launch import AttemptKey, Report
from tunewell.store import job_statements, statements
from tunewell.store.dialect import Dialect
from tunewell.store.rows import JsonObject


class HeldReports:
    """Reports of attempts at trials, and the progress of jobs."""

    def __init__(self) -> None:
        """Begin with none."""
        #: (experiment, trial, attempt) → step → row.
        self._reports: dict[tuple[int, int, int], dict[int, JsonObject]] = {}
        #: (job, attempt) → progress.
        self._progress: dict[tuple[int, int], JsonObject] = {}

    def add(self, experiment_id: int, key: AttemptKey, reports: Sequence[Report]) -> None:
        """Add reports of an attempt; of several values for a metric at one step the last counts."""
        place = dict(zip(_ATTEMPT, (experiment_id, key.trial, key.attempt), strict=True))
        attempt = self._reports.setdefault((experiment_id, key.trial, key.attempt), {})
        for report in reports:
            metrics = {name: value if math.isfinite(value) else None for name, value in report.metrics.items()}
            known = attempt.get(report.step)
            if known is None:
                attempt[report.step] = {**place, "step": report.step, "metrics": metrics, "time": report.time}
            else:
                known["metrics"].update(metrics)

    def add_progress(self, job: int, attempt: int, progress: Mapping[str, float]) -> None:
        """Replace the progress of an attempt at a job."""
        self._progress[job, attempt] = {"of_job": job, "of_attempt": attempt, "new_progress": dict(progress)}

    def write(self, connection: Connection, dialect: Dialect) -> None:
        """Write those of attempts that run, and forget all."""
        reports, self._reports = self._reports, {}
        if reports:
            rows = [row for attempt in reports.values() for row in attempt.values()]
            added = connection.execute(statements.add_reports(dialect.insert), rows).rowcount if rows else 0
            if added != len(rows):  # some steps were there already, or are none of the running attempt's
                for attempt in reports.values():
                    _add_metrics(connection, attempt)
        progress, self._progress = self._progress, {}
        if progress:
            connection.execute(job_statements.REPORT_JOB, list(progress.values()))


_ATTEMPT = ("of_experiment", "of_trial", "of_attempt")


def _add_metrics(connection: Connection, attempt: Mapping[int, JsonObject]) -> None:
    """Add metrics to what is there of an attempt, given by step."""
    if not attempt:
        return
    any_report = next(iter(attempt.values()))
    place: dict[str, Any] = {name: any_report[name] for name in _ATTEMPT}
    steps = {"first": min(attempt), "last": max(attempt)}
    known = connection.execute(statements.REPORTED, {**place, **steps}).all()
    changed = [
        {**place, "of_step": row.step, "merged": merged}
        for row in known
        if row.step in attempt and (merged := {**row.metrics, **attempt[row.step]["metrics"]}) != row.metrics
    ]
    if changed:
        connection.execute(statements.SET_METRICS, changed)
