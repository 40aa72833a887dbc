"""What a caller may see and change. What may not be seen does not exist, in every answer and every error.

An experiment of visibility `team` is seen by everybody, a private one by its owner and administrators alone; its owner
and administrators command it. A job is as visible as its experiment, or else its caller's own, as predictions are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.service.types import OWNER, Caller
from tunewell.spec.errors import ConflictError, ForbiddenError, NotFoundError, SpecError, nearest
from tunewell.spec.names import HOME_OWNER, MODEL, full_name, is_dataset, is_name, owner_of, parse_model
from tunewell.spec.rules import WORKERS
from tunewell.spec.text import check_extent, check_plain
from tunewell.store.queries.visible import EVERYBODY, OF_CALLERS
from tunewell.store.rows import AccessRow, DataSetRow, JobRow, ModelRow
from tunewell.store.store import Store

#: Fields of a spec that have code of the user's own run; variables such as LD_PRELOAD do as well.
_CODE = ("command", "function", "environment")
#: Fields of a spec that name a path on this machine.
_PATHS = ("data", "working_directory")
#: Field that names a path on this machine → what goes from elsewhere.
_INSTEAD = {
    "data": "Name a data set of the service, as dataset:NAME",
    "weights": "Give auto or none",
    "working_directory": "Leave it out, and send the folder of the program",
}
#: Names that an error looks for the nearest among, at most.
_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Rights:
    """What one caller may see and change."""

    store: Store
    caller: Caller

    @property
    def seen_by(self) -> str:
        """Whose eyes a list is for."""
        return EVERYBODY if self.caller.role == "administrator" else self.caller.name

    def check_acts(self) -> None:
        """Raise `ForbiddenError` where the caller is there to look only."""
        if self.caller.role == "viewer":
            raise ForbiddenError(f"{self.caller.name} may look at things, and change nothing")

    def full_name(self, name: str) -> str:
        """Return the full name of what the caller calls so, whether or not there is such an experiment."""
        return full_name(self.caller.name, name)

    # Experiments ------------------------------------------------------------------------------------------

    def seen(self, name: str, deleted: bool = False) -> str:
        """Return the full name of an experiment that the caller may see; `deleted`: of one in the bin."""
        return self._seen(name, deleted).name

    def commanded(self, name: str, deleted: bool = False) -> str:
        """Return the full name of an experiment that the caller may change.

        Raises:
            ForbiddenError: it is another user's.
        """
        row = self._seen(name, deleted)
        self.check_acts()
        if self.caller.role != "administrator" and row.owner != self.caller.name:
            raise ForbiddenError(f"Experiment '{row.name}' belongs to {row.owner}, who alone changes it")
        return row.name

    def created(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return a spec that the caller may submit, with the full name of its experiment and of those that it names.

        Raises:
            ForbiddenError: it is another user's, or runs code and the caller may not.
            SpecError: it names an experiment that does not exist.
        """
        self.check_acts()
        check_extent("spec", spec)
        check_plain("", spec)
        if spec.get("dataset") is not None:
            raise SpecError("dataset", "a service sets it", "Write `data: dataset:NAME`")
        for field in _CODE:
            if spec.get("scheduler") != WORKERS:  # nothing of theirs runs here
                self.check_code(field, spec.get(field) or None)
        if spec.get("code") is not None:
            self.check_code("code")
        for field in _PATHS:
            if not (field == "data" and is_dataset(spec.get(field))):
                self.check_local(field, spec.get(field))
        if spec.get("weights") not in (None, "auto", "none"):
            self.check_local("weights", spec["weights"])
        named = dict(spec)
        if isinstance(spec.get("name"), str):
            named["name"] = self._own(spec["name"])
        for field in ("warm_start", "parameters_from"):
            if field in spec:
                named[field] = self._earlier(field, spec[field], named.get("name"))
        return named

    def owned(self, name: str) -> str:
        """Return the full name of what the caller makes and calls `name`.

        Raises:
            ForbiddenError: it would be another user's.
            SpecError: it would be nobody's.
        """
        if not is_name(name):
            return name  # whoever checks the spec says what is wrong with it
        owner = name.rpartition("/")[0]
        if owner and owner != self.caller.name:
            if self.caller.role != "administrator":
                raise ForbiddenError(f"'{name}' would belong to {owner}", field="name", remedy="Leave the owner out")
            if owner != HOME_OWNER and self.store.find_user(owner) is None:
                raise SpecError("name", f"there is no user '{owner}'", "Leave the owner out", name)
        return full_name(self.caller.name, name)

    def _own(self, name: str) -> str:
        name = self.owned(name)
        row = self.store.find_access(name) if is_name(name) else None  # a database can't look for every text
        if row is not None and row.deleted_at is not None:
            raise ConflictError(
                f"an experiment '{name}' is in the bin", field="name", remedy="Restore it, or take another name"
            )
        return name

    def _earlier(self, field: str, value: Any, new: str | None) -> Any:
        if isinstance(value, list | tuple):
            return [self._earlier(field, one, new) for one in value]
        if not isinstance(value, str) or full_name(self.caller.name, value) == new:
            return value  # whoever checks the spec says what is wrong with it
        try:
            return self.seen(value)
        except NotFoundError as error:
            raise SpecError(field, f"there is no experiment '{value}'", error.remedy, value) from None

    def _seen(self, name: str, deleted: bool = False) -> AccessRow:
        full = full_name(self.caller.name, name)
        row = self.store.find_access(full) if is_name(full) else None  # a database can't look for every text
        if row is not None and self._sees(row) and row.deleted_at is not None and not deleted:
            what = f"There is no experiment '{name}': it is in the bin"
            raise NotFoundError(what, remedy="Restore it", kind="in-bin", experiment=row.name)
        if row is not None and self._sees(row) and row.deleted_at is None and deleted:
            what = f"Experiment '{name}' is not in the bin"
            raise NotFoundError(what, remedy="Delete it first", kind="not-in-bin", experiment=row.name)
        if row is None or not self._sees(row):
            names = self.store.names(self.seen_by, deleted)
            remedy = nearest(full, names) if names else "There is none yet"
            where = " in the bin" if deleted else ""
            raise NotFoundError(f"There is no experiment '{name}'{where}", remedy=remedy)
        return row

    def sees(self, name: str, even_deleted: bool = False) -> bool:
        """Whether the caller may see the experiment of this full name, one in the bin only if that is asked."""
        row = self.store.find_access(name)
        return row is not None and self._sees(row) and (even_deleted or row.deleted_at is None)

    def _sees(self, row: AccessRow) -> bool:
        seen = row.visibility == "team" or row.owner == self.caller.name
        return seen or self.caller.role == "administrator"

    # Data sets --------------------------------------------------------------------------------------------

    def seen_dataset(self, name: str, deleted: bool = False) -> DataSetRow:
        """Return a data set that the caller may see; `deleted`: one in the bin, which its owner alone sees."""
        row = self.store.find_dataset(full_name(self.caller.name, name))
        if row is None or not self._sees_shared(row, deleted):
            rows = self.store.datasets(_NAMED, seen_by=self.seen_by, deleted=deleted)
            raise self._missing("data set", name, [one.name for one in rows], deleted)
        return row

    def commanded_dataset(self, name: str, deleted: bool = False) -> DataSetRow:
        """Return a data set that the caller may change; raise `ForbiddenError` if it is another user's."""
        row = self.seen_dataset(name, deleted)
        self._check_owns("Data set", row)
        return row

    def sees_dataset(self, name: str) -> bool:
        """Whether the caller may see the data set of this full name, or was its owner."""
        row = self.store.find_dataset(name)
        if row is None:
            return self.caller.role == "administrator" or owner_of(name) == self.caller.name
        return self._sees_shared(row, row.deleted_at is not None)

    def find_dataset(self, name: str) -> DataSetRow | None:
        """Return the data set of this full name; None: there is none that the caller sees, or it is in the bin."""
        row = self.store.find_dataset(name)
        return row if row is not None and self._sees_shared(row, deleted=False) else None

    # Models -----------------------------------------------------------------------------------------------

    def seen_model(self, name: str, deleted: bool = False) -> ModelRow:
        """Return a published model that the caller may see; `deleted`: one in the bin, which its owner alone sees."""
        row = self.store.find_model(full_name(self.caller.name, name))
        if row is None or not self._sees_shared(row, deleted):
            rows = self.store.models(_NAMED, seen_by=self.seen_by, deleted=deleted)
            raise self._missing("model", name, [one.name for one in rows], deleted)
        return row

    def used_model(self, name: str) -> ModelRow:
        """Return a published model that the caller may use: whoever sees it, but for those who are there to look."""
        row = self.seen_model(name)
        self.check_acts()
        return row

    def commanded_model(self, name: str, deleted: bool = False) -> ModelRow:
        """Return a published model that the caller may change; raise `ForbiddenError` if it is another user's."""
        row = self.seen_model(name, deleted)
        self._check_owns("Model", row)
        return row

    def find_model(self, name: str) -> ModelRow | None:
        """Return the model of this full name; None: there is none that the caller sees, or it is in the bin."""
        row = self.store.find_model(name)
        return row if row is not None and self._sees_shared(row, deleted=False) else None

    # What has an owner and a visibility -------------------------------------------------------------------

    def _sees_shared(self, row: DataSetRow | ModelRow, deleted: bool) -> bool:
        commands = row.owner == self.caller.name or self.caller.role == "administrator"
        return (row.deleted_at is not None) == deleted and (commands or (row.visibility == "team" and not deleted))

    def _check_owns(self, what: str, row: DataSetRow | ModelRow) -> None:
        self.check_acts()
        if self.caller.role != "administrator" and row.owner != self.caller.name:
            raise ForbiddenError(f"{what} '{row.name}' belongs to {row.owner}, who alone changes it")

    def _missing(self, what: str, name: str, known: Sequence[str], deleted: bool) -> NotFoundError:
        remedy = nearest(full_name(self.caller.name, name), known) if known else "There is none yet"
        where = " in the bin" if deleted else ""
        return NotFoundError(f"There is no {what} '{name}'{where}", remedy=remedy)

    # What runs here ---------------------------------------------------------------------------------------

    def check_local(self, field: str, value: object) -> None:
        """Raise `ForbiddenError` where the caller gives a path on this machine and is not on it."""
        if value is not None and not self.caller.local:
            what, remedy = "a path on the server can't be named from elsewhere", _INSTEAD.get(field, "")
            raise ForbiddenError(what, field=field, remedy=remedy)

    def check_code(self, field: str, value: object = "") -> None:
        """Raise `ForbiddenError` where the caller gives what may run code, and may not have any run."""
        if value is not None and not self.caller.run_code:
            raise ForbiddenError(
                f"{self.caller.name} may not have code of their own run",
                field=field,
                remedy="Use a built-in `task`, or ask an administrator for the right to run code",
            )

    def model(self, model: str) -> str:
        """Return in full what has a model that the caller may use: an experiment, a published model, or a folder here.

        Whoever sees an experiment or a model may use it, but for those who are there to look only. Of a published
        model, the version is in what is returned.
        """
        if model.startswith(MODEL):
            name, number = parse_model(model)
            row = self.used_model(name)
            return f"{MODEL}{row.name}@{row.current if number is None else number}"
        if self.caller.local and (Path(model) / "model.json").is_file():
            return str(Path(model).absolute())
        name = self.seen(model)
        self.check_acts()
        return name

    # Jobs -------------------------------------------------------------------------------------------------

    def seen_job(self, id: int) -> JobRow:
        """Return a job that the caller may see."""
        row = self.store.job(id)
        if not self.sees_job(row):
            raise NotFoundError(f"There is no job {id}.")
        return row

    def sees_job(self, row: JobRow) -> bool:
        """Whether the caller may see a job; what somebody gave a model to look at is theirs alone."""
        if row.experiment is None or row.kind in OF_CALLERS:
            own = self.caller.role == "administrator" or row.caller == self.caller.name
            return own and (row.experiment is None or self.sees(row.experiment))
        return self.sees(row.experiment)

    def commanded_job(self, id: int) -> int:
        """Return the id of a job that the caller may change: who asked for it, or may change its experiment.

        Raises:
            ForbiddenError: it is another user's.
        """
        row = self.seen_job(id)
        self.check_acts()
        if row.experiment is not None and row.caller != self.caller.name:
            self.commanded(row.experiment if "/" in row.experiment else f"{HOME_OWNER}/{row.experiment}")
        return row.id


def caller_of(store: Store, name: str) -> Caller:
    """Return a user as a caller; raise `NotFoundError` if there is none, or the user is shut out."""
    if name == HOME_OWNER:
        return OWNER
    row = store.user(name)
    if row.disabled_at is not None:
        raise NotFoundError(f"There is no user '{name}'.")
    return Caller(name=row.name, role=row.role, run_code=row.run_code, local=False)
