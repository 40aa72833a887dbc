"""How a transaction writes: it takes its number, holds reports and events back, and sums up what it changes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Update, select

from tunewell.spec.errors import NotFoundError, TermOver
from tunewell.spec.states import TrialState
from tunewell.store import job_statements, statements
from tunewell.store.bound import Bound
from tunewell.store.dialect import Dialect
from tunewell.store.rows import EventKind, JsonObject
from tunewell.store.tables import COUNTS, experiment, job
from tunewell.store.writes import outbox
from tunewell.store.writes.reports import HeldReports


@dataclass(slots=True)
class _Touch:
    """What a transaction adds to an experiment's row in the end."""

    name: str
    #: Column → what is added to it.
    sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(int))
    #: Whether the ranking of its trials may have changed.
    ranked: bool = False


class Writer:
    """A transaction's connection, and what it has not written yet."""

    def __init__(self, connection: Connection, dialect: Dialect, bound: Callable[[str], Bound]) -> None:
        """Take a connection on which nothing has begun, and what finds a committed experiment by its name."""
        self._connection = connection
        self._dialect = dialect
        self._committed = bound
        # Experiments that this transaction has created.
        self._created: dict[str, Bound] = {}
        #: Names of those that it has removed.
        self.removed: set[str] = set()
        # Job → experiment, by their ids.
        self._job_experiments: dict[int, int | None] = {}
        #: Its number; 0: it has not begun.
        self._number = 0
        self._ends = 0
        self._reports = HeldReports()
        # Written last, with few statements: nothing within a transaction depends on these.
        self._touched: dict[int, _Touch] = {}
        self._touched_jobs: set[int] = set()
        self._terms: dict[int, int] = {}
        self._job_terms: dict[int, int] = {}
        self._marks: dict[int, str | None] = {}
        self._job_marks: dict[int, str | None] = {}
        self._events: list[dict[str, Any]] = []
        # Ids of experiments that end in this transaction → when.
        self._ended: dict[int, float] = {}
        # User and month → seconds times cores and GPUs.
        self._spent: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        #: Whether the trials of an experiment are many, and twice as many as when stock was taken last.
        self._has_grown = False

    def begin(self) -> None:
        """Take the writer's lock now, without anything to write."""
        self._begin(durable=False)

    def flush(self) -> None:
        """Write what is still held back. Called by the store before it commits.

        Raises `TermOver` if another controller has taken over what was written to under a term.
        """
        if not self._touched and not self._touched_jobs and not self._events:
            return
        if not self._number:  # reports and elapsed time alone
            self._begin(durable=False)
        self._write_reports()
        self._write_spent()
        self._write_touched()
        if self._touched_jobs:
            self._write_touched_jobs()
        if self._events:
            self._connection.execute(statements.ADD_EVENT, self._events)
        for identity, now in self._ended.items():  # after all that changes its figures
            outbox.tell_end(self._connection, identity, now)
        if self._has_grown:
            self._dialect.take_stock(self._connection)

    def _begin(self, durable: bool) -> None:
        self._number = self._dialect.begin(self._connection, durable)

    def _begun(self) -> int:
        """Return the transaction's number, which begins it."""
        if not self._number:
            self._begin(durable=True)
        return self._number

    def _execute(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        self._begun()
        # Whether a report counts depends on the state at the time of its call, which this statement may end.
        self._write_reports()
        return self._connection.execute(statement, values)

    def _write_reports(self) -> None:
        self._reports.write(self._connection, self._dialect)

    def _find(self, name: str) -> Bound:
        return self._created.get(name) or self._committed(name)

    def _experiment_of(self, job_id: int) -> int | None:
        """Return the id of the experiment that a job is about; raise `NotFoundError` if there is no such job."""
        if job_id not in self._job_experiments:
            row = self._execute(select(job.c.experiment_id).where(job.c.id == job_id)).first()
            if row is None:
                raise NotFoundError(f"There is no job {job_id}.")
            self._job_experiments[job_id] = row.experiment_id
        return self._job_experiments[job_id]

    def _touch(self, bound: Bound) -> _Touch:
        touch = self._touched.get(bound.id)
        if touch is None:
            touch = self._touched[bound.id] = _Touch(bound.name)
        return touch

    def _moved(self, bound: Bound, old: TrialState | None, new: TrialState) -> _Touch:
        """Count a trial that went from one state to another; from None: it is new."""
        touch = self._touch(bound)
        if old is not None:
            touch.sums[COUNTS[old]] -= 1
        touch.sums[COUNTS[new]] += 1
        return touch

    def _next_end(self) -> int:
        """Return the place of a trial's end among all ends."""
        number = self._begun()
        self._ends += 1
        return (number << 20) + self._ends

    def _write_spent(self) -> None:
        for (owner, month), (cpu_seconds, gpu_seconds) in self._spent.items():
            values = {"owner": owner, "month": month, "cpu_seconds": cpu_seconds, "gpu_seconds": gpu_seconds}
            if cpu_seconds or gpu_seconds:
                self._connection.execute(statements.add_usage(self._dialect.insert), values)

    def _write_touched(self) -> None:
        by_statement: dict[Update, list[JsonObject]] = defaultdict(list)
        for identity, touch in self._touched.items():
            summed = {name: more for name, more in touch.sums.items() if more}
            values: JsonObject = {f"more_{name}": more for name, more in summed.items()}
            values |= {"of_experiment": identity, "named_term": self._terms.get(identity), "new_version": self._number}
            values["new_mark"] = self._marks.get(identity)
            by_statement[statements.touch(tuple(sorted(summed)), touch.ranked)].append(values)
        for statement, rows in by_statement.items():
            if self._execute_all(statement, rows) != len(rows):
                raise TermOver(experiment=self._taken_over())

    def _taken_over(self) -> str:
        query = select(experiment.c.id, experiment.c.term).where(experiment.c.id.in_(self._touched))
        terms = {row.id: row.term for row in self._connection.execute(query)}
        over = (identity for identity, term in self._terms.items() if terms.get(identity, term) != term)
        return self._touched[next(over)].name

    def _write_touched_jobs(self) -> None:
        rows: list[JsonObject] = [
            {
                "of_job": identity,
                "named_term": self._job_terms.get(identity),
                "new_version": self._number,
                "new_mark": self._job_marks.get(identity),
            }
            for identity in sorted(self._touched_jobs)
        ]
        if self._execute_all(job_statements.TOUCH_JOB, rows) != len(rows):
            query = select(job.c.id, job.c.term).where(job.c.id.in_(self._touched_jobs))
            terms = {row.id: row.term for row in self._connection.execute(query)}
            raise TermOver(job=next(n for n, term in self._job_terms.items() if terms.get(n, term) != term))

    def _execute_all(self, statement: Update, rows: Sequence[JsonObject]) -> int:
        """Execute a statement once for each of `rows`, and return how many rows of the table that changed."""
        return self._connection.execute(statement, rows[0] if len(rows) == 1 else rows).rowcount

    def _add_event(
        self,
        kind: EventKind,
        now: float,
        *,
        experiment: int | None = None,
        job: int | None = None,
        trial: int | None = None,
        attempt: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._events.append(
            {
                "experiment_id": experiment,
                "job": job,
                "time": now,
                "kind": kind,
                "trial": trial,
                "attempt": attempt,
                "data": data and {key: value for key, value in data.items() if value not in (None, "")},
            }
        )


def or_present(now: float | None) -> float:
    """Return a date, by default that of this moment."""
    return time.time() if now is None else now


def clean(text: str) -> str:
    """Replace what databases refuse in a text: lone surrogates, and the character NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def cleaned(notes: Sequence[str]) -> list[str] | None:
    """Return notes as they are stored; None: there are none."""
    return [clean(note) for note in notes] or None
