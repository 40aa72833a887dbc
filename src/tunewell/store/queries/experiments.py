"""Reading experiments: one, lists of them, their audit trail and results, and what has changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, func, literal, select

from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import ExperimentOrder
from tunewell.spec.states import ExperimentState, JobState, TrialState
from tunewell.store import convert
from tunewell.store.bound import Bound
from tunewell.store.queries.merging import first_of
from tunewell.store.queries.reader import PAGE, Reader
from tunewell.store.queries.visible import sees, sees_event, sees_job, sees_model
from tunewell.store.rows import AccessRow, Changed, EventRow, ExperimentRow, ResultKind, ResultRow, Tallies
from tunewell.store.tables import COUNTS, change, event, experiment, job, model, result, trial

_OPEN_STATES = [state for state in ExperimentState if not state.final]
_access = select(
    *(experiment.c[name] for name in ("name", "id", "identity", "goal")),
    *(experiment.c[name] for name in ("owner", "visibility", "deleted_at")),
)
_valued_default = and_(  # a value counts that has a rank
    trial.c.experiment_id == experiment.c.id,
    trial.c.number == experiment.c.default_trial,
    trial.c.loss.is_not(None),
    trial.c.fidelity == 1,
)
_experiments = select(experiment, trial.c.value.label("default_value")).outerjoin(trial, _valued_default)
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
        found = self._rows_of(_experiments.where(experiment.c.name == name))
        return found[0] if found else None

    def _rows_of(self, query: Any) -> list[ExperimentRow]:
        """Return experiments, and know from now on what is bound to their names."""
        rows = [convert.experiment_row(row) for row in self._read(query)]
        for row in rows:
            self._known[row.name] = Bound(row.name, row.id, row.identity, row.goal)
        return rows

    def find_access(self, name: str) -> AccessRow | None:
        """Return what of an experiment says who may do what with it, None if there is none of this name."""
        rows = self._read(_access.where(experiment.c.name == name))
        if not rows:
            self._known.pop(name, None)
            return None
        facts = dict(rows[0]._mapping)
        self._known[name] = Bound(name, facts.pop("id"), facts["identity"], facts.pop("goal"))
        return AccessRow(**facts)

    def experiments(
        self,
        limit: int = 100,
        after: int | str | None = None,
        states: Collection[ExperimentState] | None = None,
        search: str = "",
        seen_by: str | None = None,
        where: Collection[tuple[str, str]] = (),
        deleted: bool = False,
        order: ExperimentOrder = "-created",
    ) -> list[ExperimentRow]:
        """Return experiments in an order, at most `limit`, beginning after that with this id, or name, as it goes by.

        With `states` only those in one of them, with `search` only those whose name contains it, in any case; with
        `seen_by` only those that this user sees; with `where` only those of an `owner` or a `project`, or with each
        `tag` in it. Those in the bin (`deleted`) are in a list of their own.
        """
        key = experiment.c.name if order.endswith("name") else experiment.c.id
        descending = order.startswith("-")
        chosen = select(experiment.c.id, experiment.c.name).where(experiment.c.deleted_at.is_not(None) == deleted)
        for column, value in where:
            is_there = literal(value).in_(select(self._elements(experiment.c.tags)))
            chosen = chosen.where(is_there if column == "tag" else experiment.c[column] == value)
        if seen_by is not None:
            chosen = chosen.where(sees(seen_by))
        if after is not None:
            chosen = chosen.where(key < after if descending else key > after)
        if search:
            chosen = chosen.where(experiment.c.name.icontains(search, autoescape=True))
        parts = [chosen] if states is None else [chosen.where(experiment.c.state == state) for state in set(states)]
        if not parts:
            return []
        first = first_of(parts, [key.name], descending, limit).subquery()
        query = _experiments.where(experiment.c.id.in_(select(first.c.id)))
        return self._rows_of(query.order_by(key.desc() if descending else key))

    def _elements(self, column: Column[Any]) -> ColumnElement[str]:
        """Return the texts in a list of a row, as a column of a table of their own."""
        on_file = self._engine.dialect.name == "sqlite"
        function = func.json_each(column) if on_file else func.json_array_elements_text(column)
        return function.table_valued("value").c.value

    def names(self, seen_by: str, deleted: bool = False, limit: int = PAGE) -> list[str]:
        """Return the names of the experiments that a user sees, newest first; `deleted`: of those in the bin."""
        chosen = select(experiment.c.name).where(sees(seen_by), experiment.c.deleted_at.is_not(None) == deleted)
        return [row.name for row in self._read(chosen.order_by(experiment.c.id.desc()).limit(limit))]

    def holds_identity(self, identity: str) -> bool:
        """Whether there is an experiment of this identity, in the bin or not."""
        return bool(self._read(select(experiment.c.id).where(experiment.c.identity == identity)))

    def open_experiments(self) -> list[ExperimentRow]:
        """Return the experiments that have not ended, oldest first."""
        query = _experiments.where(experiment.c.state.in_(_OPEN_STATES)).order_by(experiment.c.id)
        return self._rows_of(query)

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

    def tallies(self) -> Tallies:
        """Return how many experiments, trials and jobs are in each state, zeros included; those in the bin left out."""
        sums = (func.sum(experiment.c[column]).label(column) for column in COUNTS.values())
        kept = experiment.c.deleted_at.is_(None)
        query = select(experiment.c.state, func.count().label("number"), *sums).where(kept)
        rows = [row._mapping for row in self._read(query.group_by(experiment.c.state))]
        jobs = self._read(select(job.c.state, func.count().label("number")).group_by(job.c.state))
        return Tallies(
            dict.fromkeys(ExperimentState, 0) | {ExperimentState(row["state"]): int(row["number"]) for row in rows},
            {state: sum(int(row[column]) for row in rows) for state, column in COUNTS.items()},
            dict.fromkeys(JobState, 0) | {JobState(row.state): int(row.number) for row in jobs},
        )

    def version(self) -> int:
        """Return the number of the latest transaction: while it stays the same, nothing has changed."""
        (row,) = self._read(_change)
        return int(row.number)

    def changed(self, after: int, seen_by: str | None = None) -> list[Changed]:
        """Return the experiments, jobs and models that transactions after number `after` have touched, the latest last.

        With `seen_by`, only those that this user sees, or saw until they came into the bin.

        A loss of power may take reports back, and their numbers with them: if `after` is above `version()`, begin
        again.
        """
        experiments = select(experiment.c.id, experiment.c.name, experiment.c.version)
        jobs = select(job.c.id, job.c.version).outerjoin(experiment, job.c.experiment_id == experiment.c.id)
        models = select(model.c.id, model.c.name, model.c.version)
        if seen_by is not None:
            experiments, jobs = experiments.where(sees(seen_by)), jobs.where(sees_job(seen_by))
            models = models.where(sees_model(seen_by))
        found = [
            Changed("experiment", row.id, row.name, row.version)
            for row in self._read(experiments.where(experiment.c.version > after))
        ]
        found += [Changed("job", row.id, "", row.version) for row in self._read(jobs.where(job.c.version > after))]
        found += [
            Changed("model", row.id, row.name, row.version) for row in self._read(models.where(model.c.version > after))
        ]
        return sorted(found, key=lambda one: one.version)

    def events(
        self, name: str, after: int = 0, limit: int = 1000, number: int | None = None, seen_by: str | None = None
    ) -> list[EventRow]:
        """Return the audit trail, at most `limit` entries, beginning after the one with id `after`.

        Of the trial with this number; None: all of it. With `seen_by` without what is about others' own jobs.
        """
        query = select(event).where(event.c.experiment_id == self._id(name), event.c.id > after)
        if seen_by is not None:
            query = query.where(sees_event(seen_by))
        if number is not None:
            query = query.where(event.c.trial == number)
        return [convert.event_row(row) for row in self._read(query.order_by(event.c.id).limit(limit))]

    def results(self, name: str, kind: ResultKind, after: int = 0, limit: int = PAGE) -> list[ResultRow]:
        """Return what was found out about trials, in the order of their numbers, beginning after number `after`."""
        query = select(result).where(result.c.experiment_id == self._id(name), result.c.kind == kind)
        query = query.where(result.c.trial > after).order_by(result.c.trial).limit(limit)
        return [convert.result_row(row) for row in self._read(query)]
