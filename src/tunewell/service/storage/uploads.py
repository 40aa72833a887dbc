"""Files that users send by parts: each part begins where the one before has ended, so whatever breaks off goes on.

What has come lies in a file of the home, closed to others, under a random name; its size says how far it is. Nobody but
its user sees an upload.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, get_args

from tunewell.home.keeping import removing
from tunewell.home.manifest import is_sha256
from tunewell.service import wire
from tunewell.service.idempotency import Asked, once
from tunewell.service.storage.limits import LARGEST_UPLOAD, LONGEST_NAME, MOST_UPLOADS, UPLOAD_SECONDS
from tunewell.service.storage.members import CHUNK
from tunewell.service.storage.place import Place, check_room
from tunewell.service.types import JsonObject, Upload
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, NotFoundError, shown
from tunewell.spec.format import size as shown_size
from tunewell.spec.names import Purpose
from tunewell.spec.text import check_text
from tunewell.store.rows import UploadRow
from tunewell.store.transaction import Transaction


def create(place: Place, name: str, size: int, sha256: str | None, purpose: Purpose | None, key: str | None) -> Upload:
    """Begin an upload."""
    place.rights.check_acts()
    _check(name, size, sha256)
    if purpose is not None and purpose not in get_args(Purpose):
        remedy = "Give `dataset`, `code` or `pictures`"
        raise ArgumentError("purpose", f"{shown(purpose)} is not known", remedy, purpose)
    row = UploadRow(uuid.uuid4().hex, place.caller.name, name, size, sha256, time.time(), None, purpose)
    asked = Asked(
        "create_upload", place.caller, key, {"name": name, "size": size, "sha256": sha256, "purpose": purpose}
    )

    def add(tx: Transaction) -> JsonObject:
        tx.add_upload(row)  # first, so that no other comes in between
        if len(place.store.uploads(row.owner)) >= MOST_UPLOADS:
            problem = f"you have {MOST_UPLOADS} uploads that nothing has been made of"
            raise ConflictError(problem, remedy="Abandon those that you don't need", kind="too-many-uploads")
        check_room(place, size)
        place.home.uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path_of(place, row), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return {"id": row.id}

    return told(place, find(place, once(place.store, asked, add)["id"]))


def _check(name: str, size: int, sha256: str | None) -> None:
    check_text("name", name)
    odd = name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable()
    if odd or len(name.encode()) > LONGEST_NAME:
        raise ArgumentError("name", f"{shown(name)} is no name for a file", "Give one without folders", name)
    if not 0 < size <= LARGEST_UPLOAD:
        problem = f"{size} bytes can't be sent"
        raise ArgumentError("size", problem, f"Send 1 byte to {shown_size(LARGEST_UPLOAD)} at once", size)
    if sha256 is not None and not is_sha256(sha256):
        raise ArgumentError("sha256", f"{shown(sha256)} is no SHA-256", "Give 64 digits of 0-9 and a-f", sha256)


def find(place: Place, id: str) -> UploadRow:
    """Return an upload of the caller's."""
    row = place.store.find_upload(id)
    if row is None or row.owner != place.caller.name or not path_of(place, row).exists():
        raise NotFoundError(f"There is no upload '{id}'", remedy="Begin it again")
    return row


def finished(place: Place, id: str) -> UploadRow:
    """Return an upload of the caller's that is whole; raise `ConflictError` if it is not."""
    row = find(place, id)
    if row.finished_at is None:
        raise ConflictError(f"Upload '{id}' is not finished", remedy="Send the rest, and finish it")
    return row


def path_of(place: Place, row: UploadRow) -> Path:
    """Return where what has come lies."""
    return place.home.uploads / row.id


def told(place: Place, row: UploadRow) -> Upload:
    """Return an upload as verbs tell of it."""
    known = path_of(place, row).stat()
    return Upload(
        id=row.id,
        name=row.name,
        size_bytes=row.size,
        received_bytes=known.st_size,
        sha256=row.sha256,
        purpose=row.purpose,
        created_at=wire.moment(row.created_at),
        finished_at=wire.moment(row.finished_at),
        expires_at=wire.moment(known.st_mtime + UPLOAD_SECONDS),
    )


@contextmanager
def _held(place: Place, row: UploadRow) -> Iterator[BinaryIO]:
    """Open what has come, for nobody else to write to; raise `ConflictError` if somebody does."""
    with path_of(place, row).open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"Upload '{row.id}' is being written"
            raise ConflictError(problem, remedy="Wait for the end of the part that comes", kind="upload-busy") from None
        yield file


def put_part(place: Place, id: str, offset: int, data: Iterable[bytes]) -> Upload:
    """Add a part; what has come of one that broke off stays."""
    row = find(place, id)
    with _held(place, row) as file:
        size = file.seek(0, os.SEEK_END)
        if row.finished_at is not None or offset != size:
            ended = "it is finished" if row.finished_at is not None else f"it has {size} bytes"
            raise ConflictError(
                f"a part can't begin at {offset}: {ended}",
                field="offset",
                value=offset,
                remedy=f"Go on at {size}",
                kind="wrong-offset",
                size=size,
            )
        for chunk in data:
            size += len(chunk)
            if size > row.size:
                problem = f"it is longer than the {row.size} bytes that were announced"
                raise ArgumentError("data", problem, "Send what was announced, or begin another upload")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return told(place, find(place, id))


def finish(place: Place, id: str) -> Upload:
    """Check that an upload is whole and undamaged; again does nothing."""
    row = find(place, id)
    if row.finished_at is None:
        with _held(place, row) as file:
            size = file.seek(0, os.SEEK_END)
            if size != row.size:
                problem = f"{size} of {row.size} bytes have come"
                raise ConflictError(problem, remedy=f"Go on at {size}", kind="upload-incomplete", size=size)
            file.seek(0)
            checksum = hashlib.sha256()
            while part := file.read(CHUNK):
                checksum.update(part)
            found = checksum.hexdigest()
            if row.sha256 not in (None, found):
                problem = f"its SHA-256 is {found}, not {row.sha256}"
                raise DataError(problem, field=row.name, remedy="Abandon it, and send it again", kind="wrong-checksum")
            with place.store.transaction() as tx:
                tx.finish_upload(id, found)
    return told(place, find(place, id))


def abandon(place: Place, id: str) -> None:
    """Forget an upload, and what has come of it."""
    row = find(place, id)
    with place.store.transaction() as tx:
        tx.remove_upload(row.id)
    discard(place, row)


def discard(place: Place, row: UploadRow) -> None:
    """Remove what has come of an upload that is on record no more; later, while a backup is made."""
    with removing(place.home.folder) as may:
        if may:
            path_of(place, row).unlink(missing_ok=True)
