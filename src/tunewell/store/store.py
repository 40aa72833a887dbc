"""The store: the only truth about experiments, trials and reports."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

from sqlalchemy import Row, func, null, select

from tunewell.spec.errors import NotFoundError, nearest
from tunewell.spec.states import FINAL_TRIAL_STATES, Cause, TrialState
from tunewell.store import convert, schema
from tunewell.store.dialect import LOCK_SECONDS, Busy, dialect_of
from tunewell.store.rows import (
    AttemptRow,
    EventRow,
    ExperimentRow,
    HistoryEntry,
    HomeRow,
    JsonObject,
    ReportRow,
    RequestRow,
    TrialRow,
    Verb,
)
from tunewell.store.tables import event, experiment, home, report, request, trial
from tunewell.store.transaction import Transaction

_PAGE = 1000
_FEW = 20


class Store:
    """One database. Any thread may read; one thread at a time writes; several processes may have it open.

    Reads see what has been committed, not what a transaction of the same thread holds open. Where nothing else is
    said, an unknown experiment raises `NotFoundError`, and a database that can't be read or written `DataError`.
    """

    def __init__(self, url: str, create: bool = True) -> None:
        """Open the database at `url`, such as `sqlite:////folder/tunewell.db`; make or upgrade it if need be.

        Without `create`, there must be one. One that we may only read is read, and nothing else.

        Raises `SpecError` for a URL that can't be used, `DataError` for a database that can't be, `NotFoundError` for
        one that is not there.
        """
        self._dialect = dialect_of(url, create)
        self._engine = self._dialect.engine()
        self._writing = threading.Lock()
        # Names, ids and identities are bound for good.
        self._ids: dict[str, int] = {}
        self._identities: dict[str, str] = {}
        try:
            schema.prepare(self._engine, self._dialect)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections; twice is once."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give a transaction that is committed when the block ends, and undone if it raises.

        Raises `ConflictError` if another writer keeps it waiting for too long. Not to be nested.
        """
        if not self._writing.acquire(timeout=LOCK_SECONDS):
            raise Busy("another thread has been writing for too long", field=self._dialect.place)
        try:
            with self._engine.connect() as connection:
                transaction = Transaction(connection, self._dialect, self._id)
                yield transaction
                transaction.flush()
                connection.commit()
        finally:
            self._writing.release()

    def create_experiment(
        self,
        name: str,
        spec: JsonObject,
        space: JsonObject,
        algorithm: JsonObject,
        now: float | None = None,
        home: str = "",
    ) -> ExperimentRow:
        """Add an experiment in state `created`; raise `ConflictError` if the name is taken."""
        with self.transaction() as transaction:
            transaction.create_experiment(name, spec, space, algorithm, now, home)
        return self.experiment(name)

    def request(
        self,
        name: str,
        verb: Verb,
        trial: int | None = None,
        key: str | None = None,
        data: JsonObject | None = None,
        now: float | None = None,
    ) -> int:
        """Ask the controller of an experiment for something and return the request's id.

        Asking again under the same `key` adds nothing; raises `ConflictError` if it is for something else.
        """
        with self.transaction() as transaction:
            return transaction.add_request(name, verb, trial, key, data or {}, now)

    def requests(self, name: str) -> list[RequestRow]:
        """Return the requests that have not been handled yet, in order."""
        open_ones = (request.c.experiment_id == self._id(name), request.c.handled_at.is_(None))
        rows = self._read(select(request).where(*open_ones).order_by(request.c.id))
        return [convert.request_row(row) for row in rows]

    def experiment(self, name: str) -> ExperimentRow:
        """Return an experiment."""
        found = self.find_experiment(name)
        if found is None:
            raise self._no_experiment(name)
        return found

    def find_experiment(self, name: str) -> ExperimentRow | None:
        """Return an experiment, None if there is none of this name."""
        rows = self._read(select(experiment).where(experiment.c.name == name))
        return convert.experiment_row(rows[0]) if rows else None

    @property
    def place(self) -> str:
        """What people call the database: its file, or its URL without the password."""
        return self._dialect.place

    def home(self) -> HomeRow | None:
        """Return the home whose folders belong to this database; None: it has had none yet."""
        rows = self._read(select(home))
        return HomeRow(rows[0].identity, rows[0].folder) if rows else None

    def set_home(self, row: HomeRow) -> None:
        """Have the folders of a home belong to this database."""
        with self.transaction() as transaction:
            transaction.set_home(row)

    def identity(self, name: str) -> str | None:
        """Return the random identity of an experiment, None if there is none of this name."""
        found = self._identities.get(name)
        if found is None and (row := self.find_experiment(name)) is not None:
            found = self._identities[name] = row.identity
        return found

    def add_note(self, name: str, note: str) -> None:
        """Add a note for people to an experiment, if it is not there yet."""
        with self.transaction() as transaction:
            transaction.add_notes(name, [note])

    def experiments(self, limit: int = 100, after: str | None = None) -> list[ExperimentRow]:
        """Return experiments, newest first, at most `limit`, beginning after (older than) the one named `after`."""
        query = select(experiment).order_by(experiment.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(experiment.c.id < self._id(after))
        return [convert.experiment_row(row) for row in self._read(query)]

    def trial(self, name: str, number: int) -> TrialRow:
        """Return a trial; raise `NotFoundError` if there is none of this number."""
        this = (trial.c.experiment_id == self._id(name), trial.c.number == number)
        rows = self._read(select(trial).where(*this))
        if not rows:
            raise NotFoundError(f"Experiment '{name}' has no trial {number}")
        return convert.trial_row(rows[0])

    def trials(
        self,
        name: str,
        *,
        states: Iterable[TrialState] | None = None,
        cause: Cause | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[TrialRow]:
        """Return trials in the order of their numbers, at most `limit`, beginning after number `after`."""
        of_experiment = trial.c.experiment_id == self._id(name)
        chosen = select(trial.c.number).where(of_experiment, trial.c.number > after)
        if cause is not None:
            chosen = chosen.where(trial.c.cause == cause)
        chosen = chosen.order_by(trial.c.number).limit(limit)
        # State by state, each in the order of its index: several at once would be a walk through all trials. Numbers
        # first, which the index holds: for whole rows SQLite would rather walk through all of them, too.
        parts = [chosen] if states is None else [chosen.where(trial.c.state == state) for state in set(states)]
        queries = [select(trial).where(of_experiment, trial.c.number.in_(part)) for part in parts]
        rows = [row for query in queries for row in self._read(query)]
        return [convert.trial_row(row) for row in sorted(rows, key=lambda row: row.number)[:limit]]

    def last_ended(self, name: str, limit: int) -> list[TrialRow]:
        """Return the trials that ended last, the latest first."""
        # In the order of events, not of dates, which a clock that is set makes wrong. A retried trial has several ends.
        later = event.alias("later")
        of_trial = (later.c.experiment_id == event.c.experiment_id, later.c.trial == event.c.trial)
        last = select(func.max(later.c.id)).where(*of_trial, later.c.kind == "ended").scalar_subquery()
        of_event = (trial.c.experiment_id == event.c.experiment_id) & (trial.c.number == event.c.trial)
        query = select(trial).join(event, of_event).where(trial.c.state.in_(list(FINAL_TRIAL_STATES)))
        query = query.where(event.c.experiment_id == self._id(name), event.c.kind == "ended", event.c.id == last)
        rows = self._read(query.order_by(event.c.id.desc()).limit(limit))
        return [convert.trial_row(row) for row in rows]

    def noted(self, name: str) -> tuple[int, TrialRow | None]:
        """Return how many trials have notes, and the first one of them."""
        noted = (trial.c.experiment_id == self._id(name), trial.c.notes.is_not(null()))
        (counted,) = self._read(select(func.count().label("trials")).select_from(trial).where(*noted))
        rows = self._read(select(trial).where(*noted).order_by(trial.c.number).limit(1)) if counted.trials else []
        return counted.trials, convert.trial_row(rows[0]) if rows else None

    def iterate_trials(self, name: str, after: int = 0) -> Iterator[TrialRow]:
        """Yield all trials behind number `after` in the order of their numbers, reading a page at a time."""
        while page := self.trials(name, after=after, limit=_PAGE):
            yield from page
            after = page[-1].number

    def top(self, name: str, goal: Literal["maximize", "minimize"], limit: int = 5) -> list[TrialRow]:
        """Return the best of the succeeded and stopped trials that have a value, best first.

        Those with the full training come before all others; of equal values the lower number comes first.
        """
        order = trial.c.value.desc() if goal == "maximize" else trial.c.value.asc()
        ranked = (
            select(trial)
            .where(trial.c.experiment_id == self._id(name), trial.c.value.is_not(None))
            .where(trial.c.state.in_([TrialState.SUCCEEDED, TrialState.STOPPED]))
            .order_by(order, trial.c.number)
        )
        rows = self._read(ranked.where(trial.c.fidelity == 1.0).limit(limit))
        if len(rows) < limit:
            rows += self._read(ranked.where(trial.c.fidelity < 1.0).limit(limit - len(rows)))
        return [convert.trial_row(row) for row in rows]

    def counts(self, name: str) -> dict[TrialState, int]:
        """Return how many trials are in each state, zeros included."""
        counted = select(trial.c.state, func.count().label("trials")).where(trial.c.experiment_id == self._id(name))
        found = {row.state: row.trials for row in self._read(counted.group_by(trial.c.state))}
        return {state: found.get(state.value, 0) for state in TrialState}

    def attempts(self, name: str, number: int) -> list[AttemptRow]:
        """Return the attempts at a trial in their order; raise `NotFoundError` if there is no such trial."""
        this = self.trial(name, number)
        ends = select(event).where(event.c.experiment_id == self._id(name), event.c.trial == number)
        ends = ends.where(event.c.kind.in_(["lost", "ended"])).order_by(event.c.id)
        # A trial that was stopped while it waited ended without an attempt.
        rows = [convert.attempt_row(row) for row in self._read(ends) if "started_at" in row.data]
        if this.state is TrialState.RUNNING:
            rows.append(convert.running_attempt(this))
        return rows

    def has_attempt(self, name: str, number: int, identity: str | None) -> bool:
        """Whether an attempt of this identity is on record at the trial of this number."""
        this = (event.c.experiment_id == self._id(name), event.c.trial == number, event.c.kind == "started")
        started = self._read(select(event.c.data).where(*this))
        return identity is not None and any((row.data or {}).get("identity") == identity for row in started)

    def reports(self, name: str, number: int, attempt: int | None = None) -> list[ReportRow]:
        """Return an attempt's reports in the order of steps; by default of the latest attempt that reported."""
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        latest = select(func.max(report.c.attempt)).where(*this).scalar_subquery()
        of_attempt = report.c.attempt == (latest if attempt is None else attempt)
        rows = self._read(select(report).where(*this, of_attempt).order_by(report.c.step))
        return [convert.report_row(row) for row in rows]

    def latest_value(self, name: str, number: int, metric: str) -> tuple[int, float] | None:
        """Return step and value of the latest report of a metric among the latest attempt's last few; None: none."""
        this = (report.c.experiment_id == self._id(name), report.c.trial == number)
        newest = select(report).where(*this).order_by(report.c.attempt.desc(), report.c.step.desc()).limit(_FEW)
        rows = [convert.report_row(row) for row in self._read(newest)]
        found = (
            (row.step, row.metrics[metric]) for row in rows if row.attempt == rows[0].attempt and metric in row.metrics
        )
        return next(found, None)

    def curves(self, name: str, metric: str) -> dict[int, dict[int, float]]:
        """Return trial number → step → finite value of a metric, each trial by its latest attempt that reported."""
        query = select(report.c.trial, report.c.attempt, report.c.step, report.c.metrics)
        query = query.where(report.c.experiment_id == self._id(name))
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
        identity = self._id(name)
        newest = (report.c.attempt.desc(), report.c.step.desc())
        found: dict[int, Mapping[str, float | None]] = {}
        with self._engine.connect() as connection:
            for number in numbers:
                this = (report.c.experiment_id == identity, report.c.trial == number)
                query = select(report.c.metrics).where(*this).order_by(*newest).limit(1)
                metrics = connection.execute(query).scalar()
                if metrics is not None:
                    found[number] = metrics
        return found

    def history(self, name: str) -> Iterator[HistoryEntry]:
        """Yield the suggestions made and the outcomes of trials in their order, reading a page at a time."""
        identity, after = self._id(name), 0
        suggested = (trial.c.experiment_id == event.c.experiment_id) & (trial.c.number == event.c.trial)
        facts = (trial.c.parameters, trial.c.origin, trial.c.fidelity, trial.c.resume_from)
        query = select(event, *facts).join(trial, suggested)
        query = query.where(event.c.experiment_id == identity, event.c.kind.in_(["suggested", "ended"]))
        query = query.order_by(event.c.id).limit(_PAGE)
        while page := self._read(query.where(event.c.id > after)):
            yield from (convert.history_entry(row) for row in page)
            after = page[-1].id

    def events(self, name: str, after: int = 0, limit: int = 1000) -> list[EventRow]:
        """Return the audit trail, at most `limit` entries, beginning after the one with id `after`."""
        query = select(event).where(event.c.experiment_id == self._id(name), event.c.id > after)
        return [convert.event_row(row) for row in self._read(query.order_by(event.c.id).limit(limit))]

    def _read(self, query: Any) -> list[Row[Any]]:
        with self._engine.connect() as connection:
            return list(connection.execute(query))

    def _id(self, name: str) -> int:
        found = self._ids.get(name)
        if found is None:
            rows = self._read(select(experiment.c.id).where(experiment.c.name == name))
            if not rows:
                raise self._no_experiment(name)
            found = self._ids[name] = rows[0].id
        return found

    def _no_experiment(self, name: str) -> NotFoundError:
        query = select(experiment.c.name).order_by(experiment.c.id.desc()).limit(_PAGE)
        names = [row.name for row in self._read(query)]
        remedy = nearest(name, names) if names else "There is none yet"
        return NotFoundError(f"There is no experiment '{name}'", remedy=remedy)
