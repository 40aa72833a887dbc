"""The verbs on uploads, data sets and code, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tunewell.client.requests import Asking, named, part
from tunewell.service import types, verbs
from tunewell.service.types import Page
from tunewell.spec.errors import ForbiddenError
from tunewell.spec.names import Purpose, Visibility

_BYTES = {"Content-Type": "application/octet-stream"}


class StorageClient(Asking):
    """See `StorageVerbs`."""

    # Uploads ----------------------------------------------------------------------------------------------

    def uploads(self) -> tuple[types.Upload, ...]:
        return self._get(Page[types.Upload], "/uploads").items

    def upload(self, id: str) -> types.Upload:
        return self._get(types.Upload, f"/uploads/{part(id)}")

    def create_upload(
        self,
        name: str,
        size: int,
        sha256: str | None = None,
        *,
        purpose: Purpose | None = None,
        key: str | None = None,
    ) -> types.Upload:
        body = {"name": name, "size": size, "sha256": sha256, "purpose": purpose}
        return self._command(types.Upload, "POST", "/uploads", body, key=key)

    def put_part(self, id: str, offset: int, data: Iterable[bytes]) -> types.Upload:
        """The part is held in memory. If it breaks off, that is an error."""
        path = f"/uploads/{part(id)}/parts/{offset}"
        response = self._connection.once("PUT", path, content=b"".join(data), headers=_BYTES)
        return self._read(types.Upload, response)

    def finish_upload(self, id: str) -> types.Upload:
        return self._command(types.Upload, "POST", f"/uploads/{part(id)}/finish", key=None)

    def abandon_upload(self, id: str) -> None:
        self._connection.command("DELETE", f"/uploads/{part(id)}")

    # Data sets --------------------------------------------------------------------------------------------

    def datasets(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = verbs.PAGE,
    ) -> Page[types.DataSet]:
        return self._get(
            Page[types.DataSet],
            "/datasets",
            search=search or None,
            owner=owner,
            deleted=deleted or None,
            cursor=cursor,
            limit=limit,
        )

    def dataset(self, name: str) -> types.DataSet:
        return self._get(types.DataSet, f"/datasets/{named(name, 'data set')}")

    def add_dataset(
        self,
        name: str,
        *,
        upload: str | None = None,
        content: str | None = None,
        folder: str | None = None,
        sample: str | None = None,
        visibility: Visibility = "team",
        key: str | None = None,
    ) -> types.DataSet:
        given = {"upload": upload, "content": content, "folder": folder, "sample": sample}
        return self._command(
            types.DataSet, "POST", "/datasets", {"name": name, **given, "visibility": visibility}, key=key
        )

    def check_dataset(self, name: str, task: str, *, key: str | None = None) -> types.Job:
        response = self._connection.wish(f"/datasets/{named(name, 'data set')}/check", {"task": task}, key=key)
        return self._read(types.Job, response)

    def dataset_view(self, name: str) -> types.DataSetView:
        return self._get(types.DataSetView, f"/datasets/{named(name, 'data set')}/view")

    def dataset_sample(self, name: str, number: int) -> Iterator[bytes]:
        return self._parts(f"/datasets/{named(name, 'data set')}/samples/{number}")

    def delete_dataset(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        params = {"forever": forever or None}
        self._connection.command("DELETE", f"/datasets/{named(name, 'data set')}", key=key, params=params)

    def restore_dataset(self, name: str, *, key: str | None = None) -> types.DataSet:
        return self._command(types.DataSet, "POST", f"/datasets/{named(name, 'data set')}/restore", key=key)

    def allowed_folders(self) -> tuple[str, ...]:
        return self._get(Page[str], "/allowed-folders").items

    def allow_folder(self, folder: Path) -> None:
        """Refuse it; see `StorageVerbs.allow_folder`."""
        raise _only_there()

    def withdraw_folder(self, folder: Path) -> None:
        """Refuse it; see `StorageVerbs.withdraw_folder`."""
        raise _only_there()

    # Code, and content ------------------------------------------------------------------------------------

    def add_code(self, upload: str, *, key: str | None = None) -> types.Code:
        return self._command(types.Code, "POST", "/code", {"upload": upload}, key=key)

    def code(self, id: str) -> types.Code:
        return self._get(types.Code, f"/code/{part(id)}")

    def code_files(self, id: str) -> tuple[types.CodeFile, ...]:
        return self._get(Page[types.CodeFile], f"/code/{part(id)}/files").items

    def find_content(self, sha256: str) -> types.Content:
        return self._get(types.Content, f"/contents/{part(sha256)}")


def _only_there() -> ForbiddenError:
    return ForbiddenError("which folders data sets may be made of is said on the machine of the service alone")
