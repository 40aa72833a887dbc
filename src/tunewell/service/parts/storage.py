"""The verbs on what users bring, carried out in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tunewell import service
from tunewell.service import types
from tunewell.service.parts.part import Part
from tunewell.service.types import Page
from tunewell.service.verbs import PAGE
from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import Purpose, Visibility


class StoragePart(Part):
    """See `tunewell.service.storage_verbs.StorageVerbs`."""

    def tidy(self) -> None:
        """Remove what nobody asks for any more, whoever it belongs to: to be done now and then; see `tidying`."""
        service.storage.tidying.tidy(self._place)

    # Uploads ----------------------------------------------------------------------------------------------

    def uploads(self) -> tuple[types.Upload, ...]:
        """See `StorageVerbs.uploads`."""
        place = self._place
        rows = self.store.uploads(self.caller.name)
        return tuple(
            service.storage.uploads.told(place, row)
            for row in rows
            if service.storage.uploads.path_of(place, row).exists()
        )

    def upload(self, id: str) -> types.Upload:
        """See `StorageVerbs.upload`."""
        return service.storage.uploads.told(self._place, service.storage.uploads.find(self._place, id))

    def create_upload(
        self,
        name: str,
        size: int,
        sha256: str | None = None,
        *,
        purpose: Purpose | None = None,
        key: str | None = None,
    ) -> types.Upload:
        """See `StorageVerbs.create_upload`."""
        self.tidy()
        return service.storage.uploads.create(self._place, name, size, sha256, purpose, key)

    def put_part(self, id: str, offset: int, data: Iterable[bytes]) -> types.Upload:
        """See `StorageVerbs.put_part`."""
        return service.storage.uploads.put_part(self._place, id, offset, data)

    def finish_upload(self, id: str) -> types.Upload:
        """See `StorageVerbs.finish_upload`."""
        return service.storage.uploads.finish(self._place, id)

    def abandon_upload(self, id: str) -> None:
        """See `StorageVerbs.abandon_upload`."""
        service.storage.uploads.abandon(self._place, id)

    # Data sets --------------------------------------------------------------------------------------------

    def datasets(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Page[types.DataSet]:
        """See `StorageVerbs.datasets`."""
        return service.storage.datasets.find_all(self._place, search, owner, deleted, cursor, limit)

    def dataset(self, name: str) -> types.DataSet:
        """See `StorageVerbs.dataset`."""
        place = self._place
        return service.storage.datasets.told(place, place.rights.seen_dataset(name))

    def dataset_of_content(self, sha256: str) -> str | None:
        """Return the name of a data set of a content that the caller sees, the oldest; None: there is none."""
        return service.storage.datasets.name_of_content(self._place, sha256)

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
        """See `StorageVerbs.add_dataset`."""
        source = {"upload": upload, "content": content, "folder": folder, "sample": sample}
        return service.storage.datasets.add(self._place, name, source, visibility, key)

    def check_dataset(self, name: str, task: str, *, key: str | None = None) -> types.Job:
        """See `StorageVerbs.check_dataset`."""
        return service.storage.datasets.check(self._place, name, task, key)

    def dataset_view(self, name: str) -> types.DataSetView:
        """See `StorageVerbs.dataset_view`."""
        return service.storage.datasets.view(self._place, name)

    def dataset_sample(self, name: str, number: int) -> Iterator[bytes]:
        """See `StorageVerbs.dataset_sample`."""
        return service.storage.datasets.sample(self._place, name, number)

    def delete_dataset(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        """See `StorageVerbs.delete_dataset`."""
        service.storage.datasets.delete(self._place, name, forever, key)

    def restore_dataset(self, name: str, *, key: str | None = None) -> types.DataSet:
        """See `StorageVerbs.restore_dataset`."""
        return service.storage.datasets.restore(self._place, name, key)

    def allowed_folders(self) -> tuple[str, ...]:
        """See `StorageVerbs.allowed_folders`."""
        return tuple(self.store.allowed_folders())

    def allow_folder(self, folder: Path) -> None:
        """See `StorageVerbs.allow_folder`."""
        service.storage.allowed_folders.allow(self._place, folder)

    def withdraw_folder(self, folder: Path) -> None:
        """See `StorageVerbs.withdraw_folder`."""
        service.storage.allowed_folders.withdraw(self._place, folder)

    # Code, and content ------------------------------------------------------------------------------------

    def add_code(self, upload: str, *, key: str | None = None) -> types.Code:
        """See `StorageVerbs.add_code`."""
        return service.storage.code.add(self._place, upload, key)

    def code(self, id: str) -> types.Code:
        """See `StorageVerbs.code`."""
        return service.storage.code.told(service.storage.code.find(self._place, id))

    def code_files(self, id: str) -> tuple[types.CodeFile, ...]:
        """See `StorageVerbs.code_files`."""
        return service.storage.code.files_of(self._place, service.storage.code.find(self._place, id))

    def find_content(self, sha256: str) -> types.Content:
        """See `StorageVerbs.find_content`."""
        place = self._place
        found = service.storage.datasets.find_content(place, sha256)
        if found is not None:
            return types.Content(sha256=sha256, kind="dataset", size_bytes=found.size, files=found.files)
        try:
            known = service.storage.code.find(place, sha256)
        except NotFoundError:
            raise NotFoundError("The service has nothing with this content", remedy="Send it") from None
        return types.Content(sha256=sha256, kind="code", size_bytes=known.size, files=known.files)
