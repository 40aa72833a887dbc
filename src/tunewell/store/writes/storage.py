"""Writing on what users bring: uploads, data sets, code, and the folders that data sets may be made of."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.store.rows import CodeRow, DataSetRow, JsonObject, UploadRow
from tunewell.store.tables import allowed_folder, code, dataset, experiment, upload
from tunewell.store.writes.writer import Writer, clean, or_present


class StorageWrites(Writer):
    """The part of a transaction that is about what users bring."""

    def add_upload(self, row: UploadRow) -> None:
        """Add an upload."""
        facts = {"id": row.id, "owner": row.owner, "name": clean(row.name), "size": row.size, "sha256": row.sha256}
        moments = {"created_at": row.created_at, "finished_at": row.finished_at}
        self._execute(insert(upload).values(**facts, **moments, purpose=row.purpose))

    def finish_upload(self, id: str, sha256: str, now: float | None = None) -> None:
        """Record that an upload is whole, with its checksum."""
        facts = {"sha256": sha256, "finished_at": or_present(now)}
        if self._execute(update(upload).where(upload.c.id == id).values(facts)).rowcount != 1:
            raise NotFoundError(f"There is no upload '{id}'.")

    def remove_upload(self, id: str) -> bool:
        """Forget an upload; False: it was forgotten before."""
        return self._execute(delete(upload).where(upload.c.id == id)).rowcount == 1

    def add_dataset(self, row: DataSetRow) -> None:
        """Add a data set, which gets an id of its own; raise `ConflictError` if its name is taken."""
        facts = {
            name: getattr(row, name)
            for name in ("name", "owner", "visibility", "sha256", "folder", "size", "files", "created_at")
        }
        new = self._dialect.insert(dataset).values(**facts).on_conflict_do_nothing().returning(dataset.c.id)
        if self._execute(new).first() is None:
            raise ConflictError(f"A data set named '{row.name}' exists already", remedy="Choose another name")

    def set_dataset(self, id: int, facts: JsonObject) -> None:
        """Set a data set's visibility, the look at it (`job`, `refusal`), or when it was put into the bin."""
        if self._execute(update(dataset).where(dataset.c.id == id).values(facts)).rowcount != 1:
            raise NotFoundError(f"There is no data set {id}.")

    def remove_dataset(self, id: int) -> bool:
        """Forget a data set that no experiment uses; False: it was forgotten before, or one uses it."""
        used = select(experiment.c.id).where(experiment.c.dataset_id == id).exists()
        return self._execute(delete(dataset).where(dataset.c.id == id, ~used)).rowcount == 1

    def has_content(self, sha256: str) -> bool:
        """Whether a data set that lies in the home is of this content; nobody adds one before the transaction ends."""
        query = select(dataset.c.id).where(dataset.c.sha256 == sha256, dataset.c.folder == "").limit(1)
        return self._execute(query).first() is not None

    def add_code(self, row: CodeRow) -> None:
        """Add code that a user has sent; the same again changes nothing."""
        facts = {name: getattr(row, name) for name in ("sha256", "owner", "size", "files", "created_at")}
        self._execute(self._dialect.insert(code).values(**facts).on_conflict_do_nothing())

    def allow_folder(self, folder: str, now: float | None = None) -> None:
        """Let data sets be made of a folder; again changes nothing."""
        new = self._dialect.insert(allowed_folder).values(folder=folder, created_at=or_present(now))
        self._execute(new.on_conflict_do_nothing())

    def withdraw_folder(self, folder: str) -> bool:
        """Let no data sets be made of a folder any more; False: it was none of those."""
        return self._execute(delete(allowed_folder).where(allowed_folder.c.folder == folder)).rowcount == 1
