"""Reading trials: one, pages of them in several orders, the best, their attempts, and the history of a tuner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, select

from tunewell.spec.errors import NotFoundError
from tunewell.spec.states import FINAL_TRIAL_STATES, Cause, TrialState
from tunewell.store import convert, statements
from tunewell.store.queries.reader import PAGE, Reader
from tunewell.store.queries.trial_list import Cursor, Sort, TrialList
from tunewell.store.rows import AttemptRow, HistoryEntry, RunningRow, TrialPage, TrialRow
from tunewell.store.tables import event, experiment, trial


class TrialQueries(Reader):
    """The part of the store that reads trials."""

    def running_trials(self) -> list[RunningRow]:
        """Return what trials run, of each experiment on each machine, by the names of the experiments."""
        query = (
            select(
                experiment.c.name.label("experiment"),
                experiment.c.owner,
                trial.c.host,
                func.count().label("attempts"),
                experiment.c.resources,
            )
            .join(trial, trial.c.experiment_id == experiment.c.id)
            .where(experiment.c.running_trials > 0, trial.c.state == TrialState.RUNNING)
            .group_by(experiment.c.id, trial.c.host)
            .order_by(experiment.c.name)
        )
        return [RunningRow(**row._mapping) for row in self._read(query)]

    def trial(self, name: str, number: int) -> TrialRow:
        """Return a trial; raise `NotFoundError` if there is none of this number."""
        this = (trial.c.experiment_id == self._id(name), trial.c.number == number)
        rows = self._read(select(trial).where(*this))
        if not rows:
            raise NotFoundError(f"Experiment '{name}' has no trial {number}.")
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
        chosen = None if states is None else set(states)
        return list(self._page(name, "number", False, chosen, cause, Cursor(None, after), limit).trials)

    def trials_page(
        self,
        name: str,
        sort: Sort = "number",
        descending: bool = False,
        states: Collection[TrialState] | None = None,
        cause: Cause | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> TrialPage:
        """Return a part of the list of trials.

        Args:
            name: of the experiment.
            sort: by number, by value, or in the order of their ends. Those without a value, or not ended, come last in
                either direction; of equal values the lower number comes first, or last if `descending`.
            descending: whether the highest, or the latest, comes first.
            states: only trials in these.
            cause: only trials that failed for this.
            cursor: what the part before gave as `next`; None: begin with the first.
            limit: most trials in the part.

        Raises `SpecError` for a cursor that no such list gives.
        """
        begin = None if cursor is None else Cursor.parse(cursor)
        return self._page(name, sort, descending, states, cause, begin, limit)

    def _page(
        self,
        name: str,
        sort: Sort,
        descending: bool,
        states: Collection[TrialState] | None,
        cause: Cause | None,
        cursor: Cursor | None,
        limit: int,
    ) -> TrialPage:
        chosen = TrialList(self._id(name), sort, descending, states, cause)
        rows: list[Row[Any]] = []
        if chosen.has_key and (cursor is None or cursor.key is not None):
            rows = self._read(chosen.keyed(cursor, limit + 1))
            cursor = None
        if len(rows) <= limit:
            rows += self._read(chosen.unkeyed(cursor, limit + 1 - len(rows)))
        following = str(chosen.cursor(rows[limit - 1])) if len(rows) > limit else None
        return TrialPage(tuple(map(convert.trial_row, rows[:limit])), following)

    def last_ended(self, name: str, limit: int) -> list[TrialRow]:
        """Return the trials that ended last, the latest first."""
        page = self.trials_page(name, "ended", descending=True, states=FINAL_TRIAL_STATES, limit=limit)
        return list(page.trials)

    def noted(self, name: str) -> tuple[int, TrialRow | None]:
        """Return how many trials have notes, and the first one of them."""
        this = self._id(name)
        first = select(trial).where(trial.c.experiment_id == this, trial.c.notes.is_not(None))
        (counted,) = self._read(select(experiment.c.noted_trials).where(experiment.c.id == this))
        rows = self._read(first.order_by(trial.c.number).limit(1)) if counted.noted_trials else []
        return counted.noted_trials, convert.trial_row(rows[0]) if rows else None

    def iterate_trials(self, name: str, after: int = 0) -> Iterator[TrialRow]:
        """Yield all trials behind number `after` in the order of their numbers, reading a page at a time."""
        while page := self.trials(name, after=after, limit=PAGE):
            yield from page
            after = page[-1].number

    def top(self, name: str, limit: int = 5) -> list[TrialRow]:
        """Return the best of the succeeded and stopped trials that have a value, best first by the experiment's goal.

        Those with the full training come before all others; of equal values the lower number comes first.
        """
        this: ColumnElement[int] = literal(self._id(name))
        rows = self._read(statements.ranking(trial, this, in_full=True).limit(limit))
        if len(rows) < limit:
            rows += self._read(statements.ranking(trial, this, in_full=False).limit(limit - len(rows)))
        return [convert.trial_row(row) for row in rows]

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

    def hosts(self, name: str) -> frozenset[str]:
        """Return the machines that running trials are bound to."""
        running = (trial.c.experiment_id == self._id(name), trial.c.state == TrialState.RUNNING.value)
        return frozenset(row.host for row in self._read(select(trial.c.host).where(*running).distinct()) if row.host)

    def has_attempt(self, name: str, number: int, identity: str | None) -> bool:
        """Whether an attempt of this identity is on record at the trial of this number."""
        this = (event.c.experiment_id == self._id(name), event.c.trial == number, event.c.kind == "started")
        started = self._read(select(event.c.data).where(*this))
        return identity is not None and any((row.data or {}).get("identity") == identity for row in started)

    def history(self, name: str) -> Iterator[HistoryEntry]:
        """Yield the suggestions made and the outcomes of trials in their order, reading a page at a time."""
        identity, after = self._id(name), 0
        suggested = (trial.c.experiment_id == event.c.experiment_id) & (trial.c.number == event.c.trial)
        facts = (trial.c.parameters, trial.c.origin, trial.c.fidelity, trial.c.resume_from)
        query = select(event, *facts).join(trial, suggested)
        query = query.where(event.c.experiment_id == identity, event.c.kind.in_(["suggested", "ended"]))
        query = query.order_by(event.c.id).limit(PAGE)
        while page := self._read(query.where(event.c.id > after)):
            yield from (convert.history_entry(row) for row in page)
            after = page[-1].id
