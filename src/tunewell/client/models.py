"""The verbs on published models, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunewell.client.requests import Asking, named
from tunewell.service import types, verbs
from tunewell.service.types import Page
from tunewell.spec.names import Visibility


class ModelsClient(Asking):
    """See `ModelVerbs`."""

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
        body = {"name": name, "trial": trial, "note": note, "visibility": visibility}
        return self._command(types.ModelVersion, "POST", f"/experiments/{named(experiment)}/publish", body, key=key)

    def models(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.Model]:
        chosen = {"search": search or None, "owner": owner, "deleted": deleted or None}
        return self._get(Page[types.Model], "/models", **chosen, cursor=cursor, limit=limit)

    def model(self, name: str) -> types.Model:
        return self._get(types.Model, _model(name))

    def model_versions(
        self, name: str, *, cursor: str | None = None, limit: int = verbs.PAGE
    ) -> Page[types.ModelVersion]:
        return self._get(Page[types.ModelVersion], f"{_model(name)}/versions", cursor=cursor, limit=limit)

    def model_version(self, name: str, number: int) -> types.ModelVersion:
        return self._get(types.ModelVersion, version_path(name, number))

    def change_model(self, name: str, *, visibility: Visibility, key: str | None = None) -> types.Model:
        return self._command(types.Model, "PATCH", _model(name), {"visibility": visibility}, key=key)

    def change_model_version(self, name: str, number: int, *, note: str, key: str | None = None) -> types.ModelVersion:
        return self._command(types.ModelVersion, "PATCH", version_path(name, number), {"note": note}, key=key)

    def use_model_version(self, name: str, number: int, *, key: str | None = None) -> types.Model:
        return self._command(types.Model, "POST", f"{_model(name)}/current", {"version": number}, key=key)

    def model_files(self, name: str, number: int | None = None) -> Iterator[bytes]:
        number = self.model(name).current.number if number is None else number
        return self._parts(f"{version_path(name, number)}/files")

    def predict_now(
        self,
        name: str,
        pictures: Sequence[types.Picture],
        *,
        number: int | None = None,
        threshold: float | None = None,
        probabilities: bool = False,
    ) -> types.Predictions:
        place = _model(name) if number is None else version_path(name, number)
        sent = [("pictures", (one.name, one.content, "application/octet-stream")) for one in pictures]
        # Without pictures there would be no body that says of which kind it is.
        given = {"files": sent} if sent else {"content": b"", "headers": {"Content-Type": "application/octet-stream"}}
        params = {"threshold": threshold, "probabilities": probabilities or None}
        answer = self._connection.ask("POST", f"{place}/predict", params=params, **given)
        return self._read(types.Predictions, answer)

    def delete_model(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        self._connection.command("DELETE", _model(name), key=key, params={"forever": forever or None})

    def delete_model_version(self, name: str, number: int, *, key: str | None = None) -> None:
        self._connection.command("DELETE", version_path(name, number), key=key)

    def restore_model(self, name: str, *, key: str | None = None) -> types.Model:
        return self._command(types.Model, "POST", f"{_model(name)}/restore", key=key)


def version_path(name: str, number: int) -> str:
    """Return the address of a version."""
    return f"{_model(name)}/versions/{number}"


def _model(name: str) -> str:
    return f"/models/{named(name, 'model')}"
