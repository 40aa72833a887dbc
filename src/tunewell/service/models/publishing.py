"""Publishing a model: its files are copied under their content, then it is put on record."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tunewell.home.disk import remove
from tunewell.home.manifest import Content, content_of, files_in
from tunewell.service.idempotency import Asked, settled
from tunewell.service.models import published
from tunewell.service.models.checks import check_note, check_visibility
from tunewell.service.models.facts import source_of
from tunewell.service.storage import contents
from tunewell.service.storage.place import Place, check_room
from tunewell.service.storage.unpacking import close
from tunewell.service.types import JsonObject, ModelVersion
from tunewell.spec.errors import ArgumentError, ConflictError, DataError, shown
from tunewell.spec.names import Visibility, is_name, own_name, owner_of
from tunewell.store.rows import ModelRow, ModelVersionRow
from tunewell.trial.files import flush


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published, as what; see `ModelVerbs.publish`."""

    experiment: str
    name: str | None
    trial: int | None
    note: str
    visibility: Visibility | None

    @property
    def called(self) -> str:
        """What the model is to be called."""
        return own_name(self.experiment) if self.name is None else self.name


def publish(place: Place, wanted: Wanted, key: str | None) -> ModelVersion:
    """Publish a model of an experiment; see `ModelVerbs.publish`."""
    check_note(wanted.note)
    if wanted.visibility is not None:
        check_visibility(wanted.visibility)
    full = place.rights.full_name(wanted.experiment)
    asked = Asked("publish", place.caller, key, {**asdict(wanted), "experiment": full})

    def act() -> JsonObject:
        seen = replace(wanted, experiment=place.rights.seen(wanted.experiment))
        place.rights.check_acts()
        name = _name(place, seen.called)
        return _publish(place, seen, name, _seers(place, seen, name), asked)

    return ModelVersion.model_validate(settled(place.store, asked, act))


def _name(place: Place, name: str) -> str:
    if not is_name(name):
        remedy = "Use letters, digits, '_', '-' and '.', a letter or digit first, 100 at most"
        raise ArgumentError("name", f"{shown(name)} is no name for a model", remedy, name)
    return place.rights.owned(name)


def _seers(place: Place, wanted: Wanted, name: str) -> Visibility | None:
    """Return who is to see the model of a full name; None: whoever sees it already, or the team.

    Raises:
        ArgumentError: the experiment is private, and what would tell of it was not chosen.
    """
    access = place.store.find_access(wanted.experiment)
    if access is None or access.visibility == "team":
        return wanted.visibility
    if wanted.visibility == "team" and wanted.name is None:
        raise ArgumentError(
            "name",
            "the experiment is private, and so is its name",
            "Give the model a name that everybody may see",
            kind="private-name",
        )
    known = place.store.find_model(name)
    if wanted.visibility is None and known is not None and known.visibility == "team":
        raise ArgumentError(
            "visibility",
            f"the experiment is private, and everybody sees model '{known.name}'",
            "Say that the team may see it, or choose another name",
            kind="private-experiment",
        )
    return wanted.visibility or "private"


def _publish(place: Place, wanted: Wanted, name: str, visibility: Visibility | None, asked: Asked) -> JsonObject:
    source, now = source_of(place.store, place.home, wanted.experiment, wanted.trial), time.time()
    model = ModelRow(0, name, owner_of(name), visibility or "team", 0, 0, 0, now, None)
    with _copied(source.folder, place.home.models) as (content, coming):
        lies = place.home.models / content.sha256
        is_damaged = lies.exists() and content_of(files_in(lies)) != content
        version = ModelVersionRow(
            *(0, 0, content.sha256, content.size, content.files, place.caller.name, wanted.note, now, source.facts)
        )
        with place.store.transaction() as tx:
            known = tx.publish(model, version)
            if known.deleted_at is not None:
                remedy = "Restore it, or choose another name"
                raise ConflictError(f"a model '{name}' is in the bin", field="name", remedy=remedy)
            if visibility is not None and known.visibility != visibility:
                seers = "everybody sees it" if known.visibility == "team" else "it is private"
                remedy = "Choose another name, or first change who sees it"
                what = f"there is a model '{name}', and {seers}"
                raise ConflictError(what, field="visibility", remedy=remedy, kind="seen-by-others", model=name)
            check_room(place, content.size)
            row = published.version_of(known, version)
            answer: JsonObject = published.told_version(place, known, row).to_json()
            asked.answer(tx, answer)
            if is_damaged:
                remove(contents.take_away(lies))
            contents.keep(coming, lies)
            flush(place.home.models)
    return answer


@contextmanager
def _copied(folder: Path, shelf: Path) -> Iterator[tuple[Content, Path]]:
    """Give what a folder holds, and a copy of it beside its later place, which goes unless `keep` takes it.

    Raises:
        DataError: the copy is not what was read: the disk is not sound, or somebody writes there.
    """
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    coming = shelf / f"{contents.COMING}{uuid.uuid4().hex}"
    try:
        coming.mkdir(mode=0o700)
        entries = list(files_in(folder))
        for entry in entries:
            target = coming / entry.path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(folder / entry.path, target)
            flush(target)
            os.chmod(target, 0o444)  # noqa: PTH101
        content = content_of(entries)
        if content_of(files_in(coming)) != content:
            raise DataError("its copy is not what it was", field=str(folder), remedy="Try again, and check the disk")
        close(coming)
        yield content, coming
    finally:
        remove(coming)
