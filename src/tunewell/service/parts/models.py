"""Verbs on published models, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunewell.service import types
from tunewell.service.models import asking, published, publishing
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
        wanted = publishing.Wanted(experiment, name, trial, note, visibility)
        return publishing.publish(self._place, wanted, key)

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
        return published.find_all(self._place, search, owner, deleted, cursor, limit)

    def model(self, name: str) -> types.Model:
        """See `ModelVerbs.model`."""
        return published.find(self._place, name)

    def model_versions(self, name: str, *, cursor: str | None = None, limit: int = PAGE) -> Page[types.ModelVersion]:
        """See `ModelVerbs.model_versions`."""
        return published.versions(self._place, name, cursor, limit)

    def model_version(self, name: str, number: int) -> types.ModelVersion:
        """See `ModelVerbs.model_version`."""
        return published.version(self._place, name, number)

    def change_model(self, name: str, *, visibility: Visibility, key: str | None = None) -> types.Model:
        """See `ModelVerbs.change_model`."""
        return published.change(self._place, name, visibility, key)

    def change_model_version(self, name: str, number: int, *, note: str, key: str | None = None) -> types.ModelVersion:
        """See `ModelVerbs.change_model_version`."""
        return published.change_version(self._place, name, number, note, key)

    def use_model_version(self, name: str, number: int, *, key: str | None = None) -> types.Model:
        """See `ModelVerbs.use_model_version`."""
        return published.use(self._place, name, number, key)

    def model_files(self, name: str, number: int | None = None) -> Iterator[bytes]:
        """See `ModelVerbs.model_files`."""
        return published.files(self._place, name, number)

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
        asked = asking.Asked(name, number, pictures, threshold, probabilities)
        return asking.predict(self._place, self.asks, asked)

    def delete_model(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        """See `ModelVerbs.delete_model`."""
        published.delete(self._place, name, forever, key)

    def delete_model_version(self, name: str, number: int, *, key: str | None = None) -> None:
        """See `ModelVerbs.delete_model_version`."""
        published.delete_version(self._place, name, number, key)

    def restore_model(self, name: str, *, key: str | None = None) -> types.Model:
        """See `ModelVerbs.restore_model`."""
        return published.restore(self._place, name, key)
