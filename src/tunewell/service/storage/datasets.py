"""Data sets: what an upload held, what is in the home already, or a folder that an administrator allows.

Names, owners and who sees them are as with experiments. One that an experiment uses can't be deleted; a deleted one
stays in the bin for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunewell.home.disk import remove
from tunewell.home.keeping import removing
from tunewell.home.manifest import Content, is_sha256
from tunewell.service import attempt_files, data_views, job_verbs, wire
from tunewell.service.idempotency import Asked, once, settled
from tunewell.service.lists import checked_limit, id_in
from tunewell.service.storage import allowed_folders, contents, samples, uploads
from tunewell.service.storage.calling import Called
from tunewell.service.storage.limits import DATA, Limits
from tunewell.service.storage.place import Place, check_room, free_bytes
from tunewell.service.types import DataSet, DataSetView, Job, JsonObject, Page
from tunewell.spec.errors import (
    ArgumentError,
    ConflictError,
    DataError,
    NotFoundError,
    SpecError,
    count,
    listed,
    shown,
)
from tunewell.spec.names import DATASET, Visibility, is_name
from tunewell.spec.states import JobState
from tunewell.store.rows import DataSetRow
from tunewell.store.transaction import Transaction

#: Experiments that use a data set which are named, at most.
_USED_BY = 100


def told(place: Place, row: DataSetRow) -> DataSet:
    """Return a data set as verbs tell of it."""
    job = place.store.job(row.job) if row.job is not None else None
    result = (job.result if job is not None else None) or {}
    view, refusal = result.get("view") or {}, row.refusal or {}
    here = Called(place.home, row.sha256, row.name)
    uses, used_by, used_in_bin = place.store.dataset_uses(row.id, place.rights.seen_by, _USED_BY)
    return DataSet(
        name=row.name,
        owner=row.owner,
        visibility=row.visibility,
        source="folder" if row.folder else "upload",
        sha256=row.sha256,
        folder=row.folder or None,
        size_bytes=row.size,
        files=row.files,
        job=row.job,
        job_state=job.state if job is not None else None,
        job_task=job.arguments["spec"]["task"] if job is not None else refusal.get("task"),
        job_detail=here.named(job.detail) if job is not None else "",
        unusable=view.get("unusable", "") if job is not None else refusal.get("detail", ""),
        suggested_task=refusal.get("suggested"),
        broken=view.get("broken"),
        findings=tuple(map(here.named, result["findings"])) if "findings" in result else None,
        uses=uses,
        used_by=tuple(used_by),
        used_in_bin=tuple(used_in_bin),
        created_at=wire.moment(row.created_at),
        deleted_at=wire.moment(row.deleted_at),
    )


def find_all(
    place: Place, search: str, owner: str | None, deleted: bool, cursor: str | None, limit: int
) -> Page[DataSet]:
    """Return the data sets that the caller sees, the newest first."""
    rows = place.store.datasets(
        checked_limit(limit) + 1,
        before=id_in(cursor) if cursor is not None else None,
        search=search,
        seen_by=place.rights.seen_by,
        where={"owner": owner} if owner is not None else None,
        deleted=deleted,
    )
    shown_rows = rows[:limit]
    next = str(shown_rows[-1].id) if len(rows) > limit else None
    return Page[DataSet](items=tuple(told(place, row) for row in shown_rows), next=next)


def add(place: Place, name: str, source: Mapping[str, str | None], visibility: Visibility, key: str | None) -> DataSet:
    """Add a data set made of one source: `upload` (its id), `content` (its checksum), `folder` or `sample`."""
    place.rights.check_acts()
    if not is_name(name):
        remedy = "Use letters, digits, '_', '-' and '.', a letter or digit first, 100 at most"
        raise ArgumentError("name", f"{shown(name)} is no name for a data set", remedy, name)
    if visibility not in ("team", "private"):
        raise ArgumentError("visibility", f"{shown(visibility)} is not known", "Give `team` or `private`", visibility)
    name = place.rights.owned(name)
    given = {kind: value for kind, value in source.items() if value is not None}
    if len(given) != 1:
        raise ArgumentError("upload", "it is made of one thing", "Name one: an upload, a content, a folder or a sample")
    asked = Asked("add_dataset", place.caller, key, {"name": name, "visibility": visibility, **given})
    ((kind, value),) = given.items()
    new = DataSetRow(0, name, name.rpartition("/")[0] or "owner", visibility, "", "", 0, 0, None, time.time(), None)

    def act() -> JsonObject:
        _check_free(place, name)
        return _SOURCES[kind](place, new, value, asked)

    return DataSet.model_validate(settled(place.store, asked, act))


def _check_free(place: Place, name: str) -> None:
    row = place.store.find_dataset(name)
    if row is not None:
        remedy = "Choose another name" + (", or restore it: it is in the bin" if row.deleted_at is not None else "")
        raise ConflictError(f"A data set named '{name}' exists already", field="name", remedy=remedy)


def _with(new: DataSetRow, content: Content, folder: str = "") -> DataSetRow:
    return replace(new, sha256=content.sha256, size=content.size, files=content.files, folder=folder)


def _record(place: Place, tx: Transaction, row: DataSetRow, asked: Asked) -> JsonObject:
    """Record a data set, and the answer, which is returned."""
    tx.add_dataset(row)
    answer = told(place, row).to_json()
    asked.answer(tx, answer)
    return answer


def _add_upload(place: Place, new: DataSetRow, id: str, asked: Asked) -> JsonObject:
    upload = uploads.finished(place, id)
    free = free_bytes(place)
    limits: Limits = DATA if free is None else replace(DATA, bytes=max(0, min(DATA.bytes, free + upload.size)))
    archive, shelf = uploads.path_of(place, upload), place.home.datasets
    with contents.unpacked(archive, upload.name, shelf, limits, executable=False) as (content, coming):
        with place.store.transaction() as tx:
            answer = _record(place, tx, _with(new, content), asked)
            check_room(place, content.size - upload.size)
            if not tx.remove_upload(id):
                raise ConflictError(f"Upload '{id}' was made something of at the same time")
            contents.keep(coming, shelf / content.sha256)
        uploads.discard(place, upload)
    return answer


def _add_content(place: Place, new: DataSetRow, sha256: str, asked: Asked) -> JsonObject:
    known = find_content(place, sha256)
    if known is None:
        raise NotFoundError(f"There is no data set with the content '{sha256}'", remedy="Send it")
    with place.store.transaction() as tx:
        answer = _record(place, tx, _with(new, Content(known.sha256, known.size, known.files)), asked)
        check_room(place, known.size)
        if not (place.home.datasets / sha256).is_dir():
            raise ConflictError("it was deleted in the meantime", field="content", remedy="Send it")
    return answer


def _add_folder(place: Place, new: DataSetRow, folder: str, asked: Asked) -> JsonObject:
    real = allowed_folders.checked(place, folder)
    content = allowed_folders.content_of_folder(place, real)
    if not content.files:
        raise ArgumentError("folder", "there is no file in it", "Name another folder", folder)
    with place.store.transaction() as tx:
        return _record(place, tx, _with(new, content, str(real)), asked)


def _add_sample(place: Place, new: DataSetRow, sample: str, asked: Asked) -> JsonObject:
    shelf = place.home.datasets
    with samples.archived(sample, shelf) as archive:
        unpacked = contents.unpacked(archive, archive.name, shelf, DATA, executable=False)
        with unpacked as (content, coming), place.store.transaction() as tx:
            answer = _record(place, tx, _with(new, content), asked)
            check_room(place, content.size)
            contents.keep(coming, shelf / content.sha256)
            return answer


_SOURCES: Mapping[str, Callable[[Place, DataSetRow, str, Asked], JsonObject]] = {
    "upload": _add_upload,
    "content": _add_content,
    "folder": _add_folder,
    "sample": _add_sample,
}


def find_content(place: Place, sha256: str) -> DataSetRow | None:
    """Return a data set that lies in the home, is of this content, and is seen by the caller; None: there is none."""
    if not is_sha256(sha256):
        return None
    found = place.store.datasets(100, seen_by=place.rights.seen_by, where={"sha256": sha256, "folder": ""})
    return next(iter(found), None)


def name_of_content(place: Place, sha256: str) -> str | None:
    """Return the name of a data set that lies in the home, is of this content, and is seen by the caller, if any is."""
    where, eyes = {"sha256": sha256, "folder": ""}, place.rights.seen_by
    found = place.store.datasets(100, seen_by=eyes, where=where)
    found = found or place.store.datasets(100, seen_by=eyes, where=where, deleted=True)
    return found[-1].name if found else None


def folder_of(place: Place, row: DataSetRow) -> Path:
    """Return where a data set lies; raise `ForbiddenError` if that is in no allowed folder any more."""
    if row.folder:
        return allowed_folders.checked(place, row.folder)
    return place.home.datasets / row.sha256


def check(place: Place, name: str, task: str, key: str | None) -> Job:
    """Have a data set looked at as a task reads it; if that is refused, why is kept with the data set."""
    row = place.rights.commanded_dataset(name)
    spec = {"name": "data-set", "task": task, "data": str(folder_of(place, row))}
    try:
        with Called(place.home, row.sha256, row.name).in_errors():
            job = job_verbs.check_data(job_verbs.Desk(place.store, place.home, place.caller, key), spec)
    except DataError as error:
        refusal = {"task": task, "detail": str(error), "suggested": error.facts.get("task")}
        with place.store.transaction() as tx:
            tx.set_dataset(row.id, {"job": None, "refusal": refusal})
        raise
    if row.job != job.id:
        with place.store.transaction() as tx:
            tx.set_dataset(row.id, {"job": job.id, "refusal": None})
    return job


def check_usable(place: Place, row: DataSetRow, task: Any) -> None:
    """Raise `SpecError` if the last look at a data set, as this task reads it, has found that no search can use it."""
    job = place.store.job(row.job) if row.job is not None else None
    unusable = ((job.result or {}).get("view") or {}).get("unusable") if job is not None else None
    if job is None or not unusable or job.arguments["spec"]["task"] != task:
        return
    again = "have the data set checked again" if row.folder else "add the data set again"
    remedy = f"Repair or remove what is broken, and {again}"
    raise SpecError("data", f"{row.name}: {unusable}", remedy, DATASET + row.name, kind="data-unusable")


def view(place: Place, name: str) -> DataSetView:
    """Return what the last look at a data set has found."""
    row = place.rights.seen_dataset(name)
    found, here = data_views.read(_looked(place, row)), Called(place.home, row.sha256, row.name)
    return found.model_copy(update={"notes": tuple(map(here.named, found.notes))})


def sample(place: Place, name: str, number: int) -> Iterator[bytes]:
    """Return the picture of a sample of the last look in parts, a JPEG."""
    return data_views.read_picture(_looked(place, place.rights.seen_dataset(name)), number)


def _looked(place: Place, row: DataSetRow) -> Path:
    """Return where the last look at a data set has left what it found."""
    job = place.store.job(row.job) if row.job is not None else None
    if job is None or job.state is not JobState.SUCCEEDED:
        raise NotFoundError(f"Nobody has looked at data set '{row.name}' yet", remedy="Have it checked", kind="unseen")
    return attempt_files.job_folder(place.home, job)


def delete(place: Place, name: str, forever: bool, key: str | None) -> None:
    """Put a data set into the bin; `forever`: remove it, from the bin or not."""
    asked = Asked("delete_dataset", place.caller, key, {"name": name, "forever": forever})
    settled(place.store, asked, lambda: _delete(place, name, forever, asked))


def _delete(place: Place, name: str, forever: bool, asked: Asked) -> JsonObject:
    row = _either(place, name) if forever else place.rights.commanded_dataset(name)

    def act(tx: Transaction) -> JsonObject:
        # Whoever begins to use it does so before or after this transaction, not during it.
        tx.set_dataset(row.id, {"deleted_at": time.time()})
        _check_unused(place, row)
        if forever:
            tx.remove_dataset(row.id)
        return {}

    answer = once(place.store, asked, act)
    if forever:
        remove_unused(place, row.sha256)
    return answer


def _either(place: Place, name: str) -> DataSetRow:
    """Return a data set that the caller may change, be it in the bin or not."""
    try:
        return place.rights.commanded_dataset(name, deleted=True)
    except NotFoundError:
        return place.rights.commanded_dataset(name)


def _check_unused(place: Place, row: DataSetRow) -> None:
    for job in place.store.open_jobs():
        if job.kind == "evaluate-model" and job.arguments["dataset"] == f"{row.name}@{row.sha256}":
            raise ConflictError(
                f"a model is being measured on data set '{row.name}'", remedy="Wait for its end", kind="dataset-used"
            )
    users = place.store.dataset_users(row.id)
    if not users:
        return
    seen = [name for name in users if place.rights.sees(name, even_deleted=True)]
    others = len(users) - len(seen)
    gone = {name for name in seen if not place.rights.sees(name)}
    named = [f"{name} (in the bin)" if name in gone else name for name in seen]
    who = [*([listed(named)] if named else []), *([f"{count(others, 'experiment')} of others"] if others else [])]
    raise ConflictError(
        f"Data set '{row.name}' is used by {' and '.join(who)}",
        remedy="Delete those for good first: one in the bin still uses it",
        kind="dataset-used",
        experiments=seen[:100],
    )


def restore(place: Place, name: str, key: str | None) -> DataSet:
    """Take a data set out of the bin."""
    asked = Asked("restore_dataset", place.caller, key, {"name": name})
    return DataSet.model_validate(settled(place.store, asked, lambda: _restore(place, name, asked)))


def _restore(place: Place, name: str, asked: Asked) -> JsonObject:
    row = place.rights.commanded_dataset(name, deleted=True)

    def act(tx: Transaction) -> JsonObject:
        tx.set_dataset(row.id, {"deleted_at": None})
        return told(place, replace(row, deleted_at=None)).to_json()

    return once(place.store, asked, act)


def remove_unused(place: Place, sha256: str) -> None:
    """Remove what lies in the home under a checksum, unless a data set is of it; later, while a backup is made."""
    with removing(place.home.folder) as may:
        if not may:
            return
        with place.store.transaction() as tx:
            if tx.has_content(sha256):
                return
            going = contents.take_away(place.home.datasets / sha256)
        remove(going)
