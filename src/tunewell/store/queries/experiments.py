"""Reading experiments: one, lists of them, their audit trail and results, and what has changed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from tunewell.spec.errors import NotFoundError
from tunewell.spec.states import ExperimentState, TrialState
from tunewell.store import convert
from tunewell.store.bound import Bound
from tunewell.store.queries.merging import first_of
from tunewell.store.queries.reader import PAGE, Reader
from tunewell.store.rows import Changed, EventRow, ExperimentRow, ResultKind, ResultRow
from tunewell.store.tables import COUNTS, change, event, experiment, job, result

_OPEN_STATES = [state for state in ExperimentState if not state.final]
_change = select(change)  # controllers look at it many times a second, and building it costs more than executing it


class ExperimentQueries(Reader):
    """The part of the store that reads experiments."""

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

    def experiments(
        self,
        limit: int = 100,
        before: str | None = None,
        states: Collection[ExperimentState] | None = None,
        search: str = "",
    ) -> list[ExperimentRow]:
        """Return experiments, newest first, at most `limit`, beginning before (older than) the one named `before`.

        With `states` only those in one of them, with `search` only those whose name contains it, in any case.
        """
        chosen = select(experiment.c.id)
        if before is not None:
            chosen = chosen.where(experiment.c.id < self._id(before))
        if search:
            chosen = chosen.where(experiment.c.name.icontains(search, autoescape=True))
        parts = [chosen] if states is None else [chosen.where(experiment.c.state == state) for state in set(states)]
        if not parts:
            return []
        newest = first_of(parts, ["id"], True, limit).subquery()
        query = select(experiment).where(experiment.c.id.in_(select(newest.c.id))).order_by(experiment.c.id.desc())
        rows = [convert.experiment_row(row) for row in self._read(query)]
        for row in rows:
            self._known[row.name] = Bound(row.name, row.id, row.identity, row.goal)
        return rows

    def open_experiments(self) -> list[ExperimentRow]:
        """Return the experiments that have not ended, oldest first."""
        query = select(experiment).where(experiment.c.state.in_(_OPEN_STATES)).order_by(experiment.c.id)
        return [convert.experiment_row(row) for row in self._read(query)]

    def experiment_id(self, name: str) -> int:
        """Return the id of an experiment."""
        return self._id(name)

    def identity(self, name: str) -> str | None:
        """Return the random identity of an experiment, None if there is none of this name."""
        try:
            return self._bound(name).identity
        except NotFoundError:
            return None

    def counts(self, name: str) -> dict[TrialState, int]:
        """Return how many trials are in each state, zeros included."""
        this = experiment.c.id == self._id(name)
        (row,) = self._read(select(*(experiment.c[column] for column in COUNTS.values())).where(this))
        return {state: row._mapping[column] for state, column in COUNTS.items()}

    def version(self) -> int:
        """Return the number of the latest transaction: while it stays the same, nothing has changed."""
        (row,) = self._read(_change)
        return int(row.number)

    def changed(self, after: int) -> list[Changed]:
        """Return the experiments and jobs that transactions after number `after` have touched, the latest last.

        A loss of power may take reports back, and their numbers with them: if `after` is above `version()`, begin
        again.
        """
        experiments = select(experiment.c.id, experiment.c.name, experiment.c.version)
        jobs = select(job.c.id, job.c.version)
        found = [
            Changed("experiment", row.id, row.name, row.version)
            for row in self._read(experiments.where(experiment.c.version > after))
        ] + [Changed("job", row.id, "", row.version) for row in self._read(jobs.where(job.c.version > after))]
        return sorted(found, key=lambda one: one.version)

    def events(self, name: str, after: int = 0, limit: int = 1000) -> list[EventRow]:
        """Return the audit trail, at most `limit` entries, beginning after the one with id `after`."""
        query = select(event).where(event.c.experiment_id == self._id(name), event.c.id > after)
        return [convert.event_row(row) for row in self._read(query.order_by(event.c.id).limit(limit))]

    def results(self, name: str, kind: ResultKind, after: int = 0, limit: int = PAGE) -> list[ResultRow]:
        """Return what was found out about trials, in the order of their numbers, beginning after number `after`."""
        query = select(result).where(result.c.experiment_id == self._id(name), result.c.kind == kind)
        query = query.where(result.c.trial > after).order_by(result.c.trial).limit(limit)
        return [convert.result_row(row) for row in self._read(query)]
