"""Reading reports: those of an attempt, the latest ones, and curves of a metric."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Row, func, or_, select

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
_reported = report.alias()
_of_trial = (_reported.c.experiment_id == trial.c.experiment_id, _reported.c.trial == trial.c.number)
_last_attempt = select(func.max(_reported.c.attempt)).where(*_of_trial).correlate(trial).scalar_subquery()
_last_step = select(func.max(_reported.c.step)).where(*_of_trial, _reported.c.attempt == report.c.attempt)
#: The last report of each trial: each part of its key is looked up by itself.
_last_reports = select(report).where(
    report.c.experiment_id == trial.c.experiment_id,
    report.c.trial == trial.c.number,
    report.c.attempt == _last_attempt,
    report.c.step == _last_step.correlate(trial, report).scalar_subquery(),
)
_last_metrics = select(trial.c.number, _newest.scalar_subquery().label("metrics"))


class ReportQueries(Reader):
    """The part of the store that reads reports."""

    def reports(
        self,
        name: str,
        number: int,
        attempt: int | None = None,
        after: int | None = None,
        limit: int | None = None,
        points: int | None = None,
    ) -> list[ReportRow]:
        """Return an attempt's reports in the order of steps; by default of the latest attempt that reported.

        At most `limit` (None: all), beginning after step `after` (None: with the first). With `points`, of more than so
        many about so many, evenly spaced, and the last one.
        """
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        latest = select(func.max(report.c.attempt)).where(*this).scalar_subquery()
        query = select(report).where(*this, report.c.attempt == (latest if attempt is None else attempt))
        if after is not None:
            query = query.where(report.c.step > after)
        if points is not None:
            query = _thinned(query, points)
        by_step = query.order_by(query.selected_columns["step"]).limit(limit)
        return [convert.report_row(row) for row in self._read(by_step)]

    def last_steps(self, name: str, number: int) -> dict[int, int]:
        """Return attempt → the largest step that it reported, of all attempts at a trial that reported."""
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        query = select(report.c.attempt, func.max(report.c.step).label("step")).where(*this).group_by(report.c.attempt)
        return {row.attempt: row.step for row in self._read(query)}

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

    def latest_values(self, name: str, numbers: Collection[int], metric: str) -> dict[int, tuple[int, float]]:
        """Return trial number → step and value of the latest report of a metric, where it is finite.

        Among the last few reports of each trial's latest attempt that reported; of `PAGE` trials at most.
        """
        these = (trial.c.experiment_id == self._id(name), trial.c.number.in_(numbers))
        found: dict[int, tuple[int, float]] = {}
        for row in self._read(_last_reports.where(*these)):
            value = row.metrics.get(metric)
            latest = self._latest_value(name, row.trial, metric) if value is None else (row.step, value)
            if latest is not None:
                found[row.trial] = latest
        return found

    def _latest_value(self, name: str, number: int, metric: str) -> tuple[int, float] | None:
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        rows = self._read(
            select(report).where(*this).order_by(report.c.attempt.desc(), report.c.step.desc()).limit(_FEW)
        )
        latest = (row for row in rows if row.attempt == rows[0].attempt)
        return next(((row.step, row.metrics[metric]) for row in latest if row.metrics.get(metric) is not None), None)

    def curves(
        self, name: str, metric: str, numbers: Collection[int] | None = None, points: int | None = None
    ) -> dict[int, dict[int, float]]:
        """Return trial number → step → finite value of a metric, each trial by its latest attempt that reported.

        Of the trials of these numbers; None: of all. With `points`, of more than so many reports of a trial about so
        many, evenly spaced, and the last one.
        """
        query: Any = select(report.c.trial, report.c.attempt, report.c.step, report.c.metrics)
        query = query.where(report.c.experiment_id == self._id(name))
        if numbers is not None:
            query = query.where(report.c.trial.in_(numbers))
        if points is not None:
            query = _thinned(query, points)
        query = query.order_by(*list(query.selected_columns)[:3])
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


def _thinned(query: Any, points: int) -> Any:
    """Select about `points` of the reports of each attempt that a query selects, evenly spaced, and the last one."""
    of_attempt = (report.c.trial, report.c.attempt)
    place = func.row_number().over(partition_by=of_attempt, order_by=report.c.step)
    reports = func.count().over(partition_by=of_attempt)
    placed = query.add_columns(place.label("place"), reports.label("reports")).subquery()
    # An odd distance, since metrics may be reported by turns.
    distance = (placed.c.reports // points).bitwise_or(1)
    kept = or_(placed.c.place % distance == 0, placed.c.place == placed.c.reports)
    return select(*(placed.c[column.name] for column in query.selected_columns)).where(kept)
