"""Removing what nobody asks for any more. It does no harm at any time, and does again what a kill has interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.home.keeping import removing
from tunewell.home.manifest import is_sha256
from tunewell.home.removal import finish_removals
from tunewell.service.models import published
from tunewell.service.storage import uploads
from tunewell.service.storage.contents import COMING, GOING
from tunewell.service.storage.datasets import remove_unused
from tunewell.service.storage.limits import BIN_SECONDS, PICTURES_SECONDS, UPLOAD_SECONDS
from tunewell.service.storage.place import Place
from tunewell.store.store import Store

#: For how long an answer is kept under its key, and a proof that proves nothing any more, in seconds.
KEY_SECONDS, PROOF_SECONDS = 24 * 3600.0, 30 * 24 * 3600.0
#: For how long it is kept what was sent to a channel, in seconds.
DELIVERY_SECONDS = 30 * 24 * 3600.0


def tidy(place: Place, now: float | None = None) -> None:
    """Remove uploads to which nothing came for a day, what lay in the bin for 30, and what kills have left.

    Pictures that were sent to be predicted go an hour after they were asked for, once their jobs have ended. Answers
    under keys are kept for a day, what somebody proved themselves by for a month after it has expired or was revoked;
    the audit log for ever; what was sent to channels is kept for 30 days. `now` is in seconds since the epoch, by
    default this moment. Nothing is done while a backup is made.
    """
    with removing(place.home.folder) as may:
        if may:
            finish_removals(place.home, place.store)
            _tidy(place, time.time() if now is None else now)


def _tidy(place: Place, now: float) -> None:
    with place.store.transaction() as tx:
        tx.forget_answers(now - KEY_SECONDS)
        tx.forget_tokens(now - PROOF_SECONDS)
        tx.forget_deliveries(now - DELIVERY_SECONDS)
    _tidy_pictures(place, now)
    _tidy_uploads(place, now)
    for row in place.store.datasets(1000, deleted=True):
        if row.deleted_at is not None and row.deleted_at < now - BIN_SECONDS:
            with place.store.transaction() as tx:
                tx.remove_dataset(row.id)
            remove_unused(place, row.sha256)
    for model in place.store.models(1000, deleted=True):
        if model.deleted_at is not None and model.deleted_at < now - BIN_SECONDS:
            published.remove(place, model)
    kept = place.store.model_contents()
    for path in _old(place.home.models, now):
        if is_sha256(path.name) and path.name not in kept:
            published.remove_unused(place, path.name)
    known = place.store.contents()
    for path in _old(place.home.datasets, now):
        if is_sha256(path.name) and path.name not in known:
            remove_unused(place, path.name)
    for shelf in (place.home.datasets, place.home.code, place.home.models, place.home.inputs):
        for path in _old(shelf, now):
            if path.name.startswith((COMING, GOING)):
                remove(path)


def _tidy_pictures(place: Place, now: float) -> None:
    used = _inputs_in_use(place.store)
    for path in _old(place.home.inputs, now, PICTURES_SECONDS):
        if str(path) in used or path.name.startswith(COMING):
            continue
        with place.store.transaction() as tx:
            tx.remove_upload(path.name)
        (place.home.uploads / path.name).unlink(missing_ok=True)
        remove(path)


def _tidy_uploads(place: Place, now: float) -> None:
    old = {path.name for path in _old(place.home.uploads, now)}
    for row in place.store.uploads():
        if row.id in old or (row.created_at < now - UPLOAD_SECONDS and not uploads.path_of(place, row).exists()):
            with place.store.transaction() as tx:
                tx.remove_upload(row.id)
    for name in old:
        (place.home.uploads / name).unlink(missing_ok=True)


def _old(folder: Path, now: float, seconds: float = UPLOAD_SECONDS) -> Iterator[Path]:
    """Yield what lies in a folder and was not written to for a while, by default a day."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.lstat().st_mtime < now - seconds:
            yield path


def _inputs_in_use(store: Store) -> set[str]:
    return {str(job.arguments["directory"]) for job in store.open_jobs() if job.kind == "predict"}
