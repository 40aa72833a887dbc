"""Reading reports: those of an attempt, the latest ones, and curves of a metric."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Row, func, select

from tunewell.store import convert
from tunewell.store.queries.reader import PAGE, Reader
from tunewell.store.rows import ReportRow
from tunewell.store.tables import report, trial

_FEW = 20
_newest = (
    select(report.c.metrics)
    .where(report.c.experiment_id == trial.c.experiment_id, report.c.trial == trial.c.number)
    .order_by(report.c.attempt.desc(), report.c.step.desc())
    .limit(1)
)
_last_metrics = select(trial.c.number, _newest.scalar_subquery().label("metrics"))


class ReportQueries(Reader):
    """The part of the store that reads reports."""

    def reports(
        self, name: str, number: int, attempt: int | None = None, after: int | None = None, limit: int | None = None
    ) -> list[ReportRow]:
        """Return an attempt's reports in the order of steps; by default of the latest attempt that reported.

        At most `limit` (None: all), beginning after step `after` (None: with the first).
        """
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        latest = select(func.max(report.c.attempt)).where(*this).scalar_subquery()
        query = select(report).where(*this, report.c.attempt == (latest if attempt is None else attempt))
        if after is not None:
            query = query.where(report.c.step > after)
        return [convert.report_row(row) for row in self._read(query.order_by(report.c.step).limit(limit))]

    def latest_reports(self, name: str, numbers: Collection[int]) -> dict[int, list[ReportRow]]:
        """Return trial number → reports of its latest attempt that reported, in the order of steps.

        Trials without a report are left out. Of `PAGE` trials at most.
        """
        query = select(report).where(report.c.experiment_id == self._id(name), report.c.trial.in_(numbers))
        found: dict[int, list[ReportRow]] = {}
        for row in self._read(query.order_by(report.c.trial, report.c.attempt, report.c.step)):
            reports = found.setdefault(row.trial, [])
            if reports and reports[0].attempt != row.attempt:
                reports.clear()
            reports.append(convert.report_row(row))
        return found

    def latest_value(self, name: str, number: int, metric: str) -> tuple[int, float] | None:
        """Return step and value of the latest report of a metric among the latest attempt's last few; None: none."""
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        newest = select(report).where(*this).order_by(report.c.attempt.desc(), report.c.step.desc()).limit(_FEW)
        rows = [convert.report_row(row) for row in self._read(newest)]
        found = (
            (row.step, row.metrics[metric]) for row in rows if row.attempt == rows[0].attempt and metric in row.metrics
        )
        return next(found, None)

    def curves(self, name: str, metric: str, numbers: Collection[int] | None = None) -> dict[int, dict[int, float]]:
        """Return trial number → step → finite value of a metric, each trial by its latest attempt that reported.

        Of the trials of these numbers; None: of all.
        """
        query = select(report.c.trial, report.c.attempt, report.c.step, report.c.metrics)
        query = query.where(report.c.experiment_id == self._id(name))
        if numbers is not None:
            query = query.where(report.c.trial.in_(numbers))
        query = query.order_by(report.c.trial, report.c.attempt, report.c.step)
        curves: dict[int, dict[int, float]] = {}
        latest = (0, 0)
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                if (row.trial, row.attempt) != latest:
                    latest = (row.trial, row.attempt)
                    curves[row.trial] = {}
                value = row.metrics.get(metric)
                if value is not None:
                    curves[row.trial][row.step] = value
        return {number: curve for number, curve in curves.items() if curve}

    def last_metrics(self, name: str, numbers: Iterable[int]) -> dict[int, Mapping[str, float | None]]:
        """Return trial number → metrics at the last step of its latest attempt that reported, None for NaN.

        Trials without a report are left out.
        """
        wanted = list(numbers)
        rows: list[Row[Any]] = []
        for first in range(0, len(wanted), PAGE):
            these = trial.c.number.in_(wanted[first : first + PAGE])
            rows += self._read(_last_metrics.where(trial.c.experiment_id == self._id(name), these))
        return {row.number: row.metrics for row in rows if row.metrics is not None}
