"""Models that are published, and their versions: what is told of them, and what can be changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tunewell.home import disk
from tunewell.home.keeping import removing
from tunewell.service import wire
from tunewell.service.idempotency import Asked, once, settled
from tunewell.service.lists import checked_limit, id_in
from tunewell.service.models.checks import check_note, check_visibility
from tunewell.service.on_record import checked_model, model_version
from tunewell.service.storage import contents
from tunewell.service.storage.place import Place
from tunewell.service.tars import tar
from tunewell.service.trained_models import members_of
from tunewell.service.types import JsonObject, Model, ModelVersion, Objective, Page, TrainingData
from tunewell.spec.errors import ConflictError, NotFoundError
from tunewell.spec.names import MODEL, Visibility, owner_of, parse_model
from tunewell.store.rows import ModelRow, ModelVersionRow
from tunewell.store.transaction import Transaction


def version_of(row: ModelRow, version: ModelVersionRow) -> ModelVersionRow:
    """Return a version with the id and the number that publishing gave it."""
    return replace(version, model_id=row.id, number=row.latest)


def told(place: Place, row: ModelRow, current: ModelVersionRow) -> Model:
    """Return a model as verbs tell of it."""
    return Model(
        name=row.name,
        owner=row.owner,
        visibility=row.visibility,
        current=told_version(place, row, current),
        latest=row.latest,
        created_at=wire.moment(row.created_at),
        deleted_at=wire.moment(row.deleted_at),
        version=row.version,
    )


def told_version(place: Place, row: ModelRow, version: ModelVersionRow) -> ModelVersion:
    """Return a version as verbs tell of it: what the caller may not see of where it comes from is left out."""
    facts = version.facts
    experiment, is_there = _experiment_of(place, facts)
    return ModelVersion(
        model=row.name,
        number=version.number,
        is_current=version.number == row.current,
        task=facts["task"],
        network=facts["network"],
        classes=tuple(facts["classes"]),
        parameters=facts["parameters"],
        objective=Objective.model_validate(facts["objective"]),
        value=facts["value"],
        gain=facts["gain"],
        validation=facts["validation"],
        test=facts["test"],
        training=facts["training"],
        data=TrainingData(name=_data_name(place, facts, experiment), content=facts["content"]),
        experiment=experiment,
        experiment_is_there=is_there,
        trial=facts["trial"],
        retrained=facts["retrained"],
        publisher=version.publisher,
        note=version.note,
        sha256=version.sha256,
        size_bytes=version.size,
        files=version.files,
        created_at=wire.moment(version.created_at),
    )


def _experiment_of(place: Place, facts: JsonObject) -> tuple[str | None, bool]:
    """Return which experiment a version comes from, as far as the caller may see that, and whether it is there."""
    name = facts["experiment"]
    access = place.store.find_access(name)
    if access is not None and access.identity == facts["identity"]:
        seen = place.rights.sees(name, even_deleted=True)
        return (name, access.deleted_at is None) if seen else (None, False)
    # It is gone, so that nothing says any more who may see it: it stays its owner's business.
    is_own = place.caller.role == "administrator" or place.caller.name == owner_of(name)
    return (name if is_own else None), False


def _data_name(place: Place, facts: JsonObject, experiment: str | None) -> str | None:
    """Return what the data are called: a data set that the caller sees, or the folder of an experiment that is seen."""
    if facts["dataset"] is None:
        return facts["folder"] if experiment is not None else None
    return facts["dataset"] if place.rights.sees_dataset(facts["dataset"]) else None


# Reading --------------------------------------------------------------------------------------------------


def find_all(
    place: Place, search: str, owner: str | None, deleted: bool, cursor: str | None, limit: int
) -> Page[Model]:
    """Return the models that the caller sees, the newest first."""
    before = id_in(cursor) if cursor is not None else None
    rows = place.store.models(checked_limit(limit) + 1, before, search, place.rights.seen_by, owner, deleted)
    shown = rows[:limit]
    versions = place.store.model_versions_of([(row.id, row.current) for row in shown])
    items = tuple(told(place, row, versions[key]) for row in shown if (key := (row.id, row.current)) in versions)
    return Page[Model](items=items, next=str(shown[-1].id) if len(rows) > limit else None)


def find(place: Place, name: str) -> Model:
    """Return a model that the caller sees."""
    row = place.rights.seen_model(name)
    return told(place, row, model_version(place.store, row, None))


def versions(place: Place, name: str, cursor: str | None, limit: int) -> Page[ModelVersion]:
    """Return the versions of a model, the latest first."""
    row = place.rights.seen_model(name)
    before = id_in(cursor) if cursor is not None else None
    rows = place.store.model_versions(row.id, checked_limit(limit) + 1, before)
    items = tuple(told_version(place, row, one) for one in rows[:limit])
    return Page[ModelVersion](items=items, next=str(items[-1].number) if len(rows) > limit else None)


def version(place: Place, name: str, number: int | None) -> ModelVersion:
    """Return a version of a model that the caller sees; None: the current one."""
    row = place.rights.seen_model(name)
    return told_version(place, row, model_version(place.store, row, number))


def files(place: Place, name: str, number: int | None) -> Iterator[bytes]:
    """Return the folder of a version as the parts of a tar; see `ModelVerbs.model_files`."""
    row = place.rights.used_model(name)
    folder = checked_model(place.home, model_version(place.store, row, number))
    return tar(members_of(folder))


# Changing -------------------------------------------------------------------------------------------------


def change(place: Place, name: str, visibility: Visibility, key: str | None) -> Model:
    """Say who sees a model."""
    check_visibility(visibility)
    asked = Asked("change_model", place.caller, key, {"name": name, "visibility": visibility})

    def check(row: ModelRow) -> None:
        access = place.store.find_access(row.name)
        is_private = access is not None and access.visibility == "private"
        if is_private and visibility == "team" and row.visibility != visibility:
            raise ConflictError(
                f"the model is called as a private experiment, '{row.name}', whose name everybody would see",
                remedy="Publish it under another name",
                kind="private-name",
            )

    return _set(place, name, asked, {"visibility": visibility}, check)


def use(place: Place, name: str, number: int, key: str | None) -> Model:
    """Make a version the current one."""
    asked = Asked("use_model_version", place.caller, key, {"name": name, "number": number})
    return _set(place, name, asked, {"current": number})


def _set(
    place: Place, name: str, asked: Asked, facts: JsonObject, check: Callable[[ModelRow], None] = lambda row: None
) -> Model:
    """Set facts of a model that `check` has nothing against, and return it as it is then."""

    def act() -> JsonObject:
        known = place.rights.commanded_model(name)
        model_version(place.store, known, facts.get("current"))

        def do(tx: Transaction) -> JsonObject:
            version = tx.set_model(known.id, facts)
            row = place.rights.commanded_model(name)  # nobody else changes it before the transaction ends
            check(row)
            current = model_version(place.store, row, facts.get("current"))
            return told(place, replace(row, **facts, version=version), current).to_json()

        return once(place.store, asked, do)

    return Model.model_validate(settled(place.store, asked, act))


def change_version(place: Place, name: str, number: int, note: str, key: str | None) -> ModelVersion:
    """Say something else of a version."""
    check_note(note)
    asked = Asked("change_model_version", place.caller, key, {"name": name, "number": number, "note": note})

    def act() -> JsonObject:
        known = place.rights.commanded_model(name)
        model_version(place.store, known, number)

        def do(tx: Transaction) -> JsonObject:
            tx.set_model_note(known.id, number, note)
            row = place.rights.commanded_model(name)  # nobody else changes it before the transaction ends
            version = model_version(place.store, row, number)
            return told_version(place, row, replace(version, note=note)).to_json()

        return once(place.store, asked, do)

    return ModelVersion.model_validate(settled(place.store, asked, act))


def delete(place: Place, name: str, forever: bool, key: str | None) -> None:
    """Put a model into the bin; `forever`: remove it, from the bin or not."""
    asked = Asked("delete_model", place.caller, key, {"name": name, "forever": forever})
    settled(place.store, asked, lambda: _delete(place, name, forever, asked))


def _delete(place: Place, name: str, forever: bool, asked: Asked) -> JsonObject:
    row = _either(place, name) if forever else place.rights.commanded_model(name)
    known = _contents(place, row) if forever else ()

    def act(tx: Transaction) -> JsonObject:
        if forever:
            tx.remove_model(row.id)
            _check_unused(place, row, None)
        else:
            tx.set_model(row.id, {"deleted_at": time.time()})
        return {}

    answer = once(place.store, asked, act)
    for sha256 in known:
        remove_unused(place, sha256)
    return answer


def delete_version(place: Place, name: str, number: int, key: str | None) -> None:
    """Remove a version that is not the current one; see `ModelVerbs.delete_model_version`."""
    asked = Asked("delete_model_version", place.caller, key, {"name": name, "number": number})
    settled(place.store, asked, lambda: _delete_version(place, name, number, asked))


def _delete_version(place: Place, name: str, number: int, asked: Asked) -> JsonObject:
    known = place.rights.commanded_model(name)
    version = model_version(place.store, known, number)

    def act(tx: Transaction) -> JsonObject:
        removed = tx.remove_model_version(known.id, number)
        # Nobody else changes it, or has a job begin with it, before the transaction ends.
        row = place.rights.commanded_model(name)
        model_version(place.store, row, number)
        _check_unused(place, row, number)
        if not removed:
            raise ConflictError(
                f"version {number} of model '{row.name}' is the current one",
                remedy="Make another version current first, or delete the whole model",
                kind="current-version",
                model=row.name,
            )
        return {}

    answer = once(place.store, asked, act)
    remove_unused(place, version.sha256)
    return answer


def _check_unused(place: Place, row: ModelRow, number: int | None) -> None:
    """Raise `ConflictError` where a job that has not ended works with a version of a model; None: with any."""
    for job in place.store.open_jobs():
        model = str(job.arguments.get("model"))
        name, used = parse_model(model) if model.startswith(MODEL) else ("", None)
        if name == row.name and number in (None, used):
            raise ConflictError(
                f"a job works with version {used} of model '{row.name}'",
                remedy="Wait for its end",
                kind="model-used",
                model=row.name,
            )


def remove(place: Place, row: ModelRow) -> None:
    """Remove a model with its versions, and files that no other version needs."""
    known = _contents(place, row)
    with place.store.transaction() as tx:
        tx.remove_model(row.id)
    for sha256 in known:
        remove_unused(place, sha256)


def _contents(place: Place, row: ModelRow) -> set[str]:
    return {one.sha256 for one in place.store.model_versions(row.id, row.latest)}


def _either(place: Place, name: str) -> ModelRow:
    """Return a model that the caller may change, be it in the bin or not."""
    try:
        return place.rights.commanded_model(name, deleted=True)
    except NotFoundError:
        return place.rights.commanded_model(name)


def restore(place: Place, name: str, key: str | None) -> Model:
    """Take a model out of the bin."""
    asked = Asked("restore_model", place.caller, key, {"name": name})

    def act() -> JsonObject:
        row = place.rights.commanded_model(name, deleted=True)
        current = model_version(place.store, row, None)

        def do(tx: Transaction) -> JsonObject:
            version = tx.set_model(row.id, {"deleted_at": None})
            return told(place, replace(row, deleted_at=None, version=version), current).to_json()

        return once(place.store, asked, do)

    return Model.model_validate(settled(place.store, asked, act))


def remove_unused(place: Place, sha256: str) -> None:
    """Remove the files that lie under a checksum, unless a version is of it; later, while a backup is made."""
    with removing(place.home.folder) as may:
        if not may:
            return
        with place.store.transaction() as tx:
            if tx.has_model_content(sha256):
                return
            going = contents.take_away(place.home.models / sha256)
        disk.remove(going)
