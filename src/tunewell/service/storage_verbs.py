"""The verbs on what users bring: uploads, data sets and code. They are a part of `tunewell.service.verbs.Verbs`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from tunewell.service.types import Code, CodeFile, Content, DataSet, DataSetView, Job, Page, Upload
from tunewell.spec.names import Purpose, Visibility

#: Items of a page, where nothing else is said; that of `tunewell.service.verbs`, which has this module as a part.
_PAGE = 100


class StorageVerbs(Protocol):
    """What can be done with uploads, data sets and code. An upload is its user's alone."""

    # Uploads ----------------------------------------------------------------------------------------------

    def uploads(self) -> tuple[Upload, ...]:
        """Return the caller's uploads that nothing has been made of, the oldest first."""

    def upload(self, id: str) -> Upload:
        """Return an upload, which tells how far it is."""

    def create_upload(
        self,
        name: str,
        size: int,
        sha256: str | None = None,
        *,
        purpose: Purpose | None = None,
        key: str | None = None,
    ) -> Upload:
        """Begin to send a file. It goes a day after its last part, unless something is made of it.

        Args:
            name: of the file, without folders.
            size: bytes of the whole.
            sha256: checksum of the whole, in hexadecimal.
            purpose: what is to be made of it; it binds to nothing.
            key: see `Verbs`.

        Raises:
            ConflictError: the caller's quota has no room for it, or there are too many already.
        """

    def put_part(self, id: str, offset: int, data: Iterable[bytes]) -> Upload:
        """Add a part. If it breaks off, what has come stays: ask how far it is, and go on from there.

        Raises:
            ConflictError: the upload has not just `offset` bytes, but the error's `size`; or another part comes now.
            SpecError: it is longer than was announced.
        """

    def finish_upload(self, id: str) -> Upload:
        """Have it checked that everything has come, undamaged. Again does nothing.

        Raises:
            ConflictError: a part is missing.
            DataError: its checksum is not the one that was announced.
        """

    def abandon_upload(self, id: str) -> None:
        """Forget an upload."""

    # Data sets --------------------------------------------------------------------------------------------

    def datasets(
        self,
        *,
        search: str = "",
        owner: str | None = None,
        deleted: bool = False,
        cursor: str | None = None,
        limit: int = _PAGE,
    ) -> Page[DataSet]:
        """Return the data sets, the newest first; `deleted`: those in the bin.

        Only those of an owner, or with `search` in their names.
        """

    def dataset(self, name: str) -> DataSet:
        """Return a data set, with what was found in it."""

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
    ) -> DataSet:
        """Add a data set, made of one of the four.

        Args:
            name: what it is to be called.
            upload: id of a finished upload of an archive, which goes.
            content: what `find_content` found.
            folder: a folder of the service's machine, within one that an administrator allows.
            sample: pictures that the service brings along: `digits`.
            visibility: who sees it: everybody, or its owner and administrators.
            key: see `Verbs`.

        Raises:
            DataError: the archive holds what is not taken, or too much.
            ForbiddenError: the folder is not allowed.
            ConflictError: there is one of this name, or the caller's quota has no room for it.
        """

    def check_dataset(self, name: str, task: str, *, key: str | None = None) -> Job:
        """Have every item of a data set opened, as a built-in task reads it; see `Verbs.check_data`."""

    def dataset_view(self, name: str) -> DataSetView:
        """Return what the last check of a data set has found in it.

        Raises:
            NotFoundError: there is no such data set, or its last check has not succeeded (kind `unseen`).
        """

    def dataset_sample(self, name: str, number: int) -> Iterator[bytes]:
        """Yield the picture of a sample in that in parts, a JPEG."""

    def delete_dataset(self, name: str, *, forever: bool = False, key: str | None = None) -> None:
        """Put a data set into the bin, where it stays for 30 days; `forever`: remove it, even from the bin.

        Raises:
            ConflictError: experiments use it; the error names those that the caller sees.
        """

    def restore_dataset(self, name: str, *, key: str | None = None) -> DataSet:
        """Take a data set out of the bin."""

    def allowed_folders(self) -> tuple[str, ...]:
        """Return the folders that data sets may be made of."""

    def allow_folder(self, folder: Path) -> None:
        """Let data sets be made of a folder, and of those in it; raise `ForbiddenError` unless on the machine."""

    def withdraw_folder(self, folder: Path) -> None:
        """Let no data sets be made of a folder any more; those that were can't be used in new experiments."""

    # Code, and content ------------------------------------------------------------------------------------

    def add_code(self, upload: str, *, key: str | None = None) -> Code:
        """Make code of a finished upload of an archive, which goes.

        Raises:
            ForbiddenError: the caller may not have code of their own run.
            DataError: the archive holds what is not taken, or too much.
        """

    def code(self, id: str) -> Code:
        """Return code that the caller has sent."""

    def code_files(self, id: str) -> tuple[CodeFile, ...]:
        """Return the files of code that the caller has sent, by path."""

    def find_content(self, sha256: str) -> Content:
        """Return what the service has of this content (see `tunewell.service.packing`), so that it need not be sent.

        Raises:
            NotFoundError: it has nothing of it that the caller may see.
        """
