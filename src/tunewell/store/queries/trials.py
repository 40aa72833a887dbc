"""Reading trials: one, pages of them in several orders, the best, their attempts, and the history of a tuner."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, and_, case, cast, func, literal, select, true

from tunewell.spec.errors import NotFoundError
from tunewell.spec.states import FINAL_TRIAL_STATES, Cause, Cut, TrialState
from tunewell.store import convert, statements
from tunewell.store.queries.merging import first_of
from tunewell.store.queries.reader import PAGE, Reader
from tunewell.store.rows import AttemptRow, CutTrials, FailedTrials, HistoryEntry, RunningRow, TrialRow
from tunewell.store.tables import event, experiment, trial

#: The best trials are read so many at a time, and so many at most: in a space of few points most of them are alike.
_RANKED_PAGE = 10
MOST_RANKED = 100


class TrialQueries(Reader):
    """The part of the store that reads trials."""

    def running_trials(self) -> list[RunningRow]:
        """Return the trials that run, by the names of their experiments, and their numbers."""
        query = (
            select(
                experiment.c.name.label("experiment"),
                experiment.c.owner,
                trial.c.number,
                trial.c.attempt,
                trial.c.host,
                trial.c.started_at,
                experiment.c.resources,
            )
            .join(trial, trial.c.experiment_id == experiment.c.id)
            .where(experiment.c.running_trials > 0, trial.c.state == TrialState.RUNNING)
            .order_by(experiment.c.name, trial.c.number)
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
        wanted = set(TrialState if states is None else states)
        if cause is not None:  # no other state has one
            parts = [trial.c.cause == cause] if TrialState.FAILED in wanted else []
        elif states is None:
            parts = [true()]
        else:
            parts = [trial.c.state == state for state in wanted]
        return self._first(name, [and_(part, trial.c.number > after) for part in parts], "number", limit)

    def trials_of(self, name: str, numbers: Collection[int]) -> list[TrialRow]:
        """Return the trials of these numbers, a thousand at most, in the order of `numbers`."""
        these = (trial.c.experiment_id == self._id(name), trial.c.number.in_(numbers))
        found = {row.number: convert.trial_row(row) for row in self._read(select(trial).where(*these))}
        return [found[number] for number in numbers if number in found]

    def last_ended(self, name: str, limit: int) -> list[TrialRow]:
        """Return the trials that ended last, the latest first."""
        ended = trial.c.ended_order.is_not(None)
        parts = [and_(trial.c.state == state, ended) for state in FINAL_TRIAL_STATES]
        return self._first(name, parts, "ended_order", limit, descending=True)

    def _first(
        self, name: str, parts: Sequence[ColumnElement[bool]], order: str, limit: int, descending: bool = False
    ) -> list[TrialRow]:
        """Return the first trials in an order for which one of `parts` holds, each of which has an index."""
        if not parts:
            return []
        of_experiment = trial.c.experiment_id == self._id(name)
        # Keys first, which the index holds: for whole rows SQLite would rather walk through all of them.
        columns = [trial.c[one] for one in dict.fromkeys([order, "number"])]
        keys = [select(*columns).where(of_experiment, part) for part in parts]
        first = first_of(keys, [order], descending, limit).subquery()
        query = select(trial).where(of_experiment, trial.c.number.in_(select(first.c.number)))
        rows = self._read(query.order_by(trial.c[order].desc() if descending else trial.c[order]))
        return [convert.trial_row(row) for row in rows]

    def noted(self, name: str) -> tuple[int, TrialRow | None]:
        """Return how many trials have notes, and the first one of them."""
        this = self._id(name)
        first = select(trial).where(trial.c.experiment_id == this, trial.c.notes.is_not(None))
        (counted,) = self._read(select(experiment.c.noted_trials).where(experiment.c.id == this))
        rows = self._read(first.order_by(trial.c.number).limit(1)) if counted.noted_trials else []
        return counted.noted_trials, convert.trial_row(rows[0]) if rows else None

    def failures(self, name: str) -> list[FailedTrials]:
        """Return how many trials failed for each cause, the most frequent first, and the first one of them."""
        this = (trial.c.experiment_id == self._id(name), trial.c.cause.is_not(None))
        query = select(trial.c.cause, func.count().label("trials"), func.min(trial.c.number).label("first"))
        rows = self._read(query.where(*this).group_by(trial.c.cause))
        found = [FailedTrials(Cause(row.cause), row.trials, row.first) for row in rows]
        return sorted(found, key=lambda one: (-one.trials, one.first))

    def cut_trials(self, name: str, by: Collection[Cut]) -> list[CutTrials]:
        """Return how many trials each of `by` has cut off, those that have cut off any."""
        share = cast(trial.c.epochs, Double) / trial.c.planned_epochs
        # What went on from another trial's checkpoint has not paid for all that it has learned.
        whole = case((trial.c.resume_from.is_(None), trial.c.cost_seconds / func.nullif(share, 0)))
        query = (
            select(trial.c.cut_by, func.count(), func.coalesce(func.sum(share), 0.0), func.max(whole))
            .where(trial.c.experiment_id == self._id(name), trial.c.cut_by.in_([one.value for one in by]))
            .group_by(trial.c.cut_by)
            .order_by(trial.c.cut_by.desc())
        )
        rows: Sequence[Any] = self._read(query)
        return [CutTrials(Cut(row[0]), row[1], row[2], row[3]) for row in rows]

    def iterate_trials(self, name: str, after: int = 0) -> Iterator[TrialRow]:
        """Yield all trials behind number `after` in the order of their numbers, reading a page at a time."""
        while page := self.trials(name, after=after, limit=PAGE):
            yield from page
            after = page[-1].number

    def top(self, name: str, limit: int = 5) -> list[TrialRow]:
        """Return the best of the succeeded and stopped trials that have a value, best first by the experiment's goal.

        Those with the full training come before all others; of equal values the lower number comes first. Of trials
        with the same parameters, as the parts of one promoted training are, only the first one is listed; no more than
        `MOST_RANKED` are looked at for that.
        """
        best: dict[str, TrialRow] = {}
        for row in self._ranked(name):
            if len(best) == limit:
                break
            best.setdefault(json.dumps(row.parameters, sort_keys=True), row)
        return list(best.values())

    def _ranked(self, name: str) -> Iterator[TrialRow]:
        this: ColumnElement[int] = literal(self._id(name))
        left = MOST_RANKED
        for in_full in (True, False):
            query, read = statements.ranking(trial, this, in_full).limit(_RANKED_PAGE), 0
            while left > 0 and (rows := self._read(query.offset(read))):
                yield from map(convert.trial_row, rows[:left])
                read, left = read + len(rows), left - len(rows)

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
