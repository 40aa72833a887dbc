"""Reading what is on record about the home as a whole."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from tunewell.spec.states import TrialState
from tunewell.store.queries.reader import Reader
from tunewell.store.rows import DiskRow, HomeEventKind, HomeEventRow, StandingRow
from tunewell.store.tables import dataset, disk, event, result, trial


class UpkeepQueries(Reader):
    """The part of the store that reads what is about the home as a whole."""

    def disk(self) -> DiskRow:
        """Return what administrators have said about the disk of the home, and whether it is low."""
        rows = self._read(select(disk.c.budget_bytes, disk.c.reserve_bytes, disk.c.low_at))
        return DiskRow(**rows[0]._mapping) if rows else DiskRow()

    def standings(self, name: str) -> list[StandingRow]:
        """Return all trials of an experiment, in the order of their numbers, with what their files are kept for."""
        columns = (trial.c.number, trial.c.state, trial.c.attempt, trial.c.identity)
        query = select(*columns, trial.c.fidelity, trial.c.loss, trial.c.resume_from).order_by(trial.c.number)
        rows = self._read(query.where(trial.c.experiment_id == self._id(name)))
        return [StandingRow(**{**row._mapping, "state": TrialState(row.state)}) for row in rows]

    def identities(self, name: str) -> dict[tuple[int, int], str]:
        """Return trial and attempt → identity, of all attempts at the trials of an experiment."""
        query = select(event.c.trial, event.c.attempt, event.c.data)
        query = query.where(event.c.experiment_id == self._id(name), event.c.kind == "started", event.c.job.is_(None))
        return {(row.trial, row.attempt): (row.data or {}).get("identity", "") for row in self._read(query)}

    def result_files(self) -> list[str]:
        """Return all paths of files, in the home, that results name."""
        return [row.file for row in self._read(select(result.c.file).where(result.c.file.is_not(None)))]

    def trials_with_results(self, name: str) -> set[int]:
        """Return the trials of an experiment about which there are results."""
        query = select(result.c.trial).where(result.c.experiment_id == self._id(name)).distinct()
        return {row.trial for row in self._read(query)}

    def jobs_of_datasets(self) -> set[int]:
        """Return the jobs that looked at data sets last."""
        return {row.job for row in self._read(select(dataset.c.job).where(dataset.c.job.is_not(None)))}

    def home_events(self, kinds: Collection[HomeEventKind], limit: int) -> list[HomeEventRow]:
        """Return what happened to the home as a whole, of some kinds, the latest first."""
        about_none = (event.c.experiment_id.is_(None), event.c.job.is_(None), event.c.kind.in_(kinds))
        query = select(event).where(*about_none).order_by(event.c.id.desc()).limit(limit)
        return [HomeEventRow(row.id, row.time, row.kind, row.data or {}) for row in self._read(query)]
