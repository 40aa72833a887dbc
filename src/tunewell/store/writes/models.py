"""Writing on models that are published, and their versions."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from tunewell.spec.errors import NotFoundError
from tunewell.store.rows import JsonObject, ModelRow, ModelVersionRow
from tunewell.store.tables import model, model_version
from tunewell.store.writes.writer import Writer, clean


class ModelWrites(Writer):
    """The part of a transaction that is about models."""

    def publish(self, row: ModelRow, version: ModelVersionRow) -> ModelRow:
        """Add a version, which becomes the current one, to the model of a name, which is made if there is none.

        Ids, numbers, and where there is a model, its other facts, are those of the database: they are returned.
        """
        facts = {name: getattr(row, name) for name in ("name", "owner", "visibility", "created_at")}
        new = self._dialect.insert(model).values(**facts, current=0, latest=0, version=0)
        self._execute(new.on_conflict_do_nothing())
        next = model.c.latest + 1
        this = update(model).where(model.c.name == row.name)
        numbers = this.values(latest=next, current=next, version=self._begun()).returning(*model.c)
        known = ModelRow(**self._execute(numbers).one()._mapping)
        content = {name: getattr(version, name) for name in ("sha256", "size", "files", "publisher", "created_at")}
        key = {"model_id": known.id, "number": known.latest}
        self._execute(insert(model_version).values(**key, **content, note=clean(version.note), facts=version.facts))
        return known

    def set_model(self, id: int, facts: JsonObject) -> int:
        """Set a model's visibility, current version, or when it was put into the bin; return its `version` then.

        Raises:
            NotFoundError: there is none of this id.
        """
        version = self._begun()
        changed = update(model).where(model.c.id == id).values(**facts, version=version)
        if self._execute(changed).rowcount != 1:
            raise NotFoundError("There is no such model any more")
        return version

    def set_model_note(self, id: int, number: int, note: str) -> None:
        """Set what is said of a version; raise `NotFoundError` if there is none."""
        this = (model_version.c.model_id == id) & (model_version.c.number == number)
        if self._execute(update(model_version).where(this).values(note=clean(note))).rowcount != 1:
            raise NotFoundError(f"There is no version {number} of this model any more")
        self.set_model(id, {})

    def remove_model(self, id: int) -> bool:
        """Forget a model and its versions; False: it was forgotten before."""
        self._execute(delete(model_version).where(model_version.c.model_id == id))
        return self._execute(delete(model).where(model.c.id == id)).rowcount == 1

    def remove_model_version(self, id: int, number: int) -> bool:
        """Forget a version of a model; False: it is the current one, which stays."""
        self.set_model(id, {})
        current = select(model.c.current).where(model.c.id == id).scalar_subquery()
        this = (model_version.c.model_id == id) & (model_version.c.number == number)
        gone = delete(model_version).where(this & (model_version.c.number != current))
        return self._execute(gone).rowcount == 1

    def has_model_content(self, sha256: str) -> bool:
        """Whether a version is of this content; nobody adds one before the transaction ends."""
        query = select(model_version.c.number).where(model_version.c.sha256 == sha256).limit(1)
        return self._execute(query).first() is not None
