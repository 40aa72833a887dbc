"""The verbs on models that are published. They are a part of `tunewell.service.verbs.Verbs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tunewell.service.types import Model, ModelVersion, Page, Picture, Predictions
from tunewell.spec.names import Visibility

#: Items of a page, where nothing else is said; that of `tunewell.service.verbs`, which has this module as a part.
_PAGE = 100


class ModelVerbs(Protocol):
    """What can be done with published models. Names, owners and who sees them are as with experiments."""

    def publish(
        self,
        experiment: str,
        name: str | None = None,
        *,
        trial: int | None = None,
        note: str = "",
        visibility: Visibility | None = None,
        key: str | None = None,
    ) -> ModelVersion:
        """Publish a model of an experiment as the next version under a name, which becomes the current one.

        Its files are copied, so the version stays as it is whatever becomes of the experiment.

        Args:
            experiment: whose model it is.
            name: of the model, the caller's own; default: the experiment's.
            trial: whose model it is; default: the one that was retrained on all data, or else the best trial's.
            note: what is to be said of the version.
            visibility: who sees the model; default: as it is, and of a new one, as the experiment. That a model of a
                private experiment is for the team, must be said, and so must its name.
            key: see `Verbs`.

        Raises:
            NotFoundError: the experiment has no such model.
            DataError: its files are not what was recorded.
            ConflictError: there is a model of this name that others see than is asked for, or it is in the bin; or the
                caller's quota has no room for it.
        """

    def models(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = _PAGE,
    ) -> Page[Model]:
        """Return the models, the newest first; `deleted`: those in the bin.

        Only those of an owner, or with `search` in their names.
        """

    def model(self, name: str) -> Model:
        """Return a model, with its current version."""

    def model_versions(self, name: str, *, cursor: str | None = None, limit: int = _PAGE) -> Page[ModelVersion]:
        """Return the versions of a model, the latest first."""

    def model_version(self, name: str, number: int) -> ModelVersion:
        """Return a version of a model."""

    def change_model(self, name: str, *, visibility: Visibility, key: str | None = None) -> Model:
        """Say who sees a model: everybody, or its owner and administrators."""

    def change_model_version(self, name: str, number: int, *, note: str, key: str | None = None) -> ModelVersion:
        """Say something else of a version."""

    def use_model_version(self, name: str, number: int, *, key: str | None = None) -> Model:
        """Make a version the current one, be it newer or older than the one that is."""

    def model_files(self, name: str, number: int | None = None) -> Iterator[bytes]:
        """Yield the folder of a version as the parts of a tar; default: of the current one.

        Raises:
            DataError: its files are not what was published.
        """

    def predict_now(
        self,
        name: str,
        pictures: Sequence[Picture],
        *,
        number: int | None = None,
        threshold: float | None = None,
        probabilities: bool = False,
    ) -> Predictions:
        """Ask a version of a model what it says of pictures, and wait for it; default: the current one.

        Nothing is recorded. For many pictures, `Verbs.predict` has a job, and describes `threshold` and
        `probabilities`.

        Raises:
            DataError: a picture can't be read, which the error names; or the model's files are not what was published.
            ArgumentError: there are too many pictures, or too large ones; or such a model can't answer so.
            BusyError: the models are asked too much.
            ModelError: the model's process died over it, or took too long.
        """

    def delete_model(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        """Put a model into the bin, where it stays for 30 days; `forever`: remove it, even from the bin.

        Raises:
            ConflictError: it is to be removed, and a job that has not ended works with it.
        """

    def delete_model_version(self, name: str, number: int, *, key: str | None = None) -> None:
        """Remove a version for good, with its files unless another version has the same; no other gets its number.

        Raises:
            ConflictError: it is the current one, or a job that has not ended works with it.
        """

    def restore_model(self, name: str, *, key: str | None = None) -> Model:
        """Take a model out of the bin."""
