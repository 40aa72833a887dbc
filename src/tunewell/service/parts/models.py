"""Verbs on published models, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunewell import service
from tunewell.service import types
from tunewell.service.parts.part import Part
from tunewell.service.types import Page
from tunewell.service.verbs import PAGE
from tunewell.spec.names import Visibility


class ModelsPart(Part):
    """See `tunewell.service.model_verbs.ModelVerbs`."""

    def publish(
        self,
        experiment: str,
        name: str | None = None,
        *,
        trial: int | None = None,
        note: str = "",
        visibility: Visibility | None = None,
        key: str | None = None,
    ) -> types.ModelVersion:
        """See `ModelVerbs.publish`."""
        wanted = service.models.publishing.Wanted(experiment, name, trial, note, visibility)
        return service.models.publishing.publish(self._place, wanted, key)

    def models(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[types.Model]:
        """See `ModelVerbs.models`."""
        return service.models.published.find_all(self._place, search, owner, deleted, cursor, limit)

    def model(self, name: str) -> types.Model:
        """See `ModelVerbs.model`."""
        return service.models.published.find(self._place, name)

    def model_versions(self, name: str, *, cursor: str | None = None, limit: int = PAGE) -> Page[types.ModelVersion]:
        """See `ModelVerbs.model_versions`."""
        return service.models.published.versions(self._place, name, cursor, limit)

    def model_version(self, name: str, number: int) -> types.ModelVersion:
        """See `ModelVerbs.model_version`."""
        return service.models.published.version(self._place, name, number)

    def change_model(self, name: str, *, visibility: Visibility, key: str | None = None) -> types.Model:
        """See `ModelVerbs.change_model`."""
        return service.models.published.change(self._place, name, visibility, key)

    def change_model_version(self, name: str, number: int, *, note: str, key: str | None = None) -> types.ModelVersion:
        """See `ModelVerbs.change_model_version`."""
        return service.models.published.change_version(self._place, name, number, note, key)

    def use_model_version(self, name: str, number: int, *, key: str | None = None) -> types.Model:
        """See `ModelVerbs.use_model_version`."""
        return service.models.published.use(self._place, name, number, key)

    def model_files(self, name: str, number: int | None = None) -> Iterator[bytes]:
        """See `ModelVerbs.model_files`."""
        return service.models.published.files(self._place, name, number)

    def predict_now(
        self,
        name: str,
        pictures: Sequence[types.Picture],
        *,
        number: int | None = None,
        threshold: float | None = None,
        probabilities: bool = False,
    ) -> types.Predictions:
        """See `ModelVerbs.predict_now`."""
        asked = service.models.asking.Asked(name, number, pictures, threshold, probabilities)
        return service.models.asking.predict(self._place, self.asks, asked)

    def delete_model(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        """See `ModelVerbs.delete_model`."""
        service.models.published.delete(self._place, name, forever, key)

    def delete_model_version(self, name: str, number: int, *, key: str | None = None) -> None:
        """See `ModelVerbs.delete_model_version`."""
        service.models.published.delete_version(self._place, name, number, key)

    def restore_model(self, name: str, *, key: str | None = None) -> types.Model:
        """See `ModelVerbs.restore_model`."""
        return service.models.published.restore(self._place, name, key)
