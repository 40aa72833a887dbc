"""Reading what users have brought: uploads, data sets, code, and the folders that data sets may be made of."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select

from tunewell.store.queries.reader import Reader
from tunewell.store.queries.visible import sees, sees_code, sees_dataset
from tunewell.store.rows import CodeRow, DataSetRow, UploadRow
from tunewell.store.tables import allowed_folder, code, dataset, experiment, model, model_version, upload


class StorageQueries(Reader):
    """The part of the store that reads what users have brought."""

    def uploads(self, owner: str | None = None) -> list[UploadRow]:
        """Return the uploads, the oldest first; with `owner` only those of this user."""
        query = select(upload).order_by(upload.c.created_at, upload.c.id)
        if owner is not None:
            query = query.where(upload.c.owner == owner)
        return [UploadRow(**row._mapping) for row in self._read(query)]

    def find_upload(self, id: str) -> UploadRow | None:
        """Return an upload, None if there is none with this id."""
        rows = self._read(select(upload).where(upload.c.id == id))
        return UploadRow(**rows[0]._mapping) if rows else None

    def datasets(
        self,
        limit: int,
        before: int | None = None,
        search: str = "",
        seen_by: str | None = None,
        where: Mapping[str, str] | None = None,
        deleted: bool = False,
    ) -> list[DataSetRow]:
        """Return data sets, newest first, at most `limit`, beginning before (older than) that with id `before`.

        With `search` only those whose name contains it, in any case; with `seen_by` only those that this user sees;
        with `where` only those of an `owner` or with a `sha256`. Those in the bin (`deleted`) are in a list of their
        own, and seen by their owners alone.
        """
        query = select(dataset).where(dataset.c.deleted_at.is_not(None) == deleted)
        for column, value in (where or {}).items():
            query = query.where(dataset.c[column] == value)
        if seen_by is not None:
            query = query.where(sees_dataset(seen_by, deleted))
        if before is not None:
            query = query.where(dataset.c.id < before)
        if search:
            query = query.where(dataset.c.name.icontains(search, autoescape=True))
        return [DataSetRow(**row._mapping) for row in self._read(query.order_by(dataset.c.id.desc()).limit(limit))]

    def find_dataset(self, name: str) -> DataSetRow | None:
        """Return a data set, one in the bin, too; None if there is none of this name."""
        rows = self._read(select(dataset).where(dataset.c.name == name))
        return DataSetRow(**rows[0]._mapping) if rows else None

    def contents(self) -> set[str]:
        """Return the checksums of all data sets that lie in the home, those in the bin, too."""
        return {row.sha256 for row in self._read(select(dataset.c.sha256).where(dataset.c.folder == ""))}

    def dataset_uses(self, id: int, seen_by: str, limit: int) -> tuple[int, list[str], list[str]]:
        """Return how many experiments use a data set; of those that `seen_by` sees, the latest `limit` names.

        First come those in no bin, then those in the bin.
        """
        uses = experiment.c.dataset_id == id
        (total,) = self._read(select(func.count()).select_from(experiment).where(uses))
        if not total[0]:
            return 0, [], []
        seen = select(experiment.c.name, experiment.c.deleted_at).where(uses, sees(seen_by))
        there, gone = (
            self._read(seen.where(where).order_by(experiment.c.id.desc()).limit(limit))
            for where in (experiment.c.deleted_at.is_(None), experiment.c.deleted_at.is_not(None))
        )
        return total[0], [row.name for row in there], [row.name for row in gone]

    def dataset_users(self, id: int) -> list[str]:
        """Return the names of the experiments that use a data set, those in the bin, too."""
        query = select(experiment.c.name).where(experiment.c.dataset_id == id).order_by(experiment.c.id)
        return [row.name for row in self._read(query)]

    def find_code(self, sha256: str, seen_by: str | None = None) -> CodeRow | None:
        """Return code by its content, with `seen_by` only if this user sees it; None if there is none."""
        query = select(code).where(code.c.sha256 == sha256)
        if seen_by is not None:
            query = query.where(sees_code(seen_by))
        rows = self._read(query.order_by(code.c.created_at).limit(1))
        return CodeRow(**rows[0]._mapping) if rows else None

    def stored_bytes(self, owner: str) -> int:
        """Return how many bytes a user's uploads (as large as they are to be), data sets, code and models take up."""
        parts = (
            select(func.sum(upload.c.size)).where(upload.c.owner == owner),
            select(func.sum(dataset.c.size)).where(dataset.c.owner == owner, dataset.c.folder == ""),
            select(func.sum(code.c.size)).where(code.c.owner == owner),
            select(func.sum(model_version.c.size)).join(model).where(model.c.owner == owner),
        )
        return sum(int(row[0] or 0) for part in parts for row in self._read(part))

    def allowed_folders(self) -> list[str]:
        """Return the folders that data sets may be made of, sorted."""
        query = select(allowed_folder.c.folder)
        return sorted(row.folder for row in self._read(query))
