"""Reading on models that were published, and their versions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_

from tunewell.store.queries.reader import Reader
from tunewell.store.queries.visible import sees_model
from tunewell.store.rows import ModelRow, ModelVersionRow
from tunewell.store.tables import model, model_version


class ModelQueries(Reader):
    """The part of the store that reads models."""

    def models(
        self,
        limit: int,
        before: int | None = None,
        search: str = "",
        seen_by: str | None = None,
        owner: str | None = None,
        deleted: bool = False,
    ) -> list[ModelRow]:
        """Return models, newest first, at most `limit`, beginning before (older than) that with id `before`.

        With `search` only those whose name contains it, in any case; with `seen_by` only those that this user sees.
        Those in the bin (`deleted`) are in a list of their own, and seen by their owners alone.
        """
        query = select(model).where(model.c.deleted_at.is_not(None) == deleted)
        if owner is not None:
            query = query.where(model.c.owner == owner)
        if seen_by is not None:
            query = query.where(sees_model(seen_by, deleted))
        if before is not None:
            query = query.where(model.c.id < before)
        if search:
            query = query.where(model.c.name.icontains(search, autoescape=True))
        return [ModelRow(**row._mapping) for row in self._read(query.order_by(model.c.id.desc()).limit(limit))]

    def find_model(self, name: str) -> ModelRow | None:
        """Return a model, one in the bin, too; None if there is none of this name."""
        rows = self._read(select(model).where(model.c.name == name))
        return ModelRow(**rows[0]._mapping) if rows else None

    def model_versions(self, id: int, limit: int, before: int | None = None) -> list[ModelVersionRow]:
        """Return versions of a model, the latest first, at most `limit`, beginning before number `before`."""
        query = select(model_version).where(model_version.c.model_id == id)
        if before is not None:
            query = query.where(model_version.c.number < before)
        query = query.order_by(model_version.c.number.desc()).limit(limit)
        return [ModelVersionRow(**row._mapping) for row in self._read(query)]

    def model_versions_of(self, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], ModelVersionRow]:
        """Return versions by the id of their model and their number; those that there are none of are left out."""
        if not keys:
            return {}
        query = select(model_version).where(tuple_(model_version.c.model_id, model_version.c.number).in_(keys))
        rows = [ModelVersionRow(**row._mapping) for row in self._read(query)]
        return {(row.model_id, row.number): row for row in rows}

    def model_contents(self) -> set[str]:
        """Return the checksums of all versions, of models in the bin, too."""
        return {row.sha256 for row in self._read(select(model_version.c.sha256).distinct())}
