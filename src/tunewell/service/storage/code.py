"""Programs that users send: a folder that their commands run in, closed to writing, under its checksum."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tunewell.home.manifest import is_sha256
from tunewell.service import wire
from tunewell.service.idempotency import Asked, settled
from tunewell.service.storage import contents, uploads
from tunewell.service.storage.limits import CODE
from tunewell.service.storage.place import Place, check_room, free_bytes
from tunewell.service.types import Code, CodeFile, JsonObject
from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.store.rows import CodeRow


def told(row: CodeRow) -> Code:
    """Return code as verbs tell of it."""
    return Code(id=row.sha256, size_bytes=row.size, files=row.files, created_at=wire.moment(row.created_at))


def add(place: Place, id: str, key: str | None) -> Code:
    """Make code of an upload."""
    place.rights.check_acts()
    place.rights.check_code("upload")
    asked = Asked("add_code", place.caller, key, {"upload": id})
    answer = settled(place.store, asked, lambda: _add(place, id, asked))
    return told(find(place, answer["code"]))


def _add(place: Place, id: str, asked: Asked) -> JsonObject:
    upload = uploads.finished(place, id)
    free = free_bytes(place)
    limits = CODE if free is None else replace(CODE, bytes=max(0, min(CODE.bytes, free + upload.size)))
    archive, shelf = uploads.path_of(place, upload), place.home.code
    with contents.unpacked(archive, upload.name, shelf, limits, executable=True) as (content, coming):
        answer = {"code": content.sha256}
        with place.store.transaction() as tx:
            tx.add_code(CodeRow(content.sha256, place.caller.name, content.size, content.files, time.time()))
            check_room(place, content.size - upload.size)
            if not tx.remove_upload(id):
                raise ConflictError(f"Upload '{id}' was made something of at the same time")
            asked.answer(tx, answer)
            contents.keep(coming, shelf / content.sha256)
        uploads.discard(place, upload)
    return answer


def find(place: Place, id: str) -> CodeRow:
    """Return code that the caller may use: it is the caller's, or the caller is an administrator."""
    row = place.store.find_code(id, place.rights.seen_by) if is_sha256(id) else None
    if row is None:
        raise NotFoundError(f"There is no code '{id}'", remedy="Send it")
    return row


def folder_of(place: Place, row: CodeRow) -> Path:
    """Return where code lies."""
    return place.home.code / row.sha256


def files_of(place: Place, row: CodeRow) -> tuple[CodeFile, ...]:
    """Return the files of code by path."""
    folder = folder_of(place, row)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(CodeFile(path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size) for path in paths)
