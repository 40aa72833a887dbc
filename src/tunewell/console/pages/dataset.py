"""One data set: what a check has found in it, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response

from tunewell.api.asked import AsCaller, Name, TheCaller
from tunewell.api.lanes import takes_long
from tunewell.console.page import Page, show
from tunewell.console.pages.actions import done
from tunewell.console.rights import may_change
from tunewell.service.types import Caller, DataSet, DataSetView, Job
from tunewell.service.verbs import Verbs
from tunewell.spec.errors import NotFoundError
from tunewell.spec.names import DATASET, called_by, in_address, owner_of
from tunewell.spec.states import JobState

router = APIRouter()

PARTS = ("dataset-head", "dataset-check", "dataset-found")
#: Classes whose numbers are shown; of more, the most and the least frequent ones.
_CLASSES = 60
#: Experiments that use it which are named, of each kind.
_USERS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """How many there are of a class, or of a size."""

    name: str
    #: In each split.
    counts: Sequence[int]
    #: Of those in train, as a share of the most frequent one's.
    share: float


@dataclass(frozen=True, slots=True)
class Users:
    """The experiments that use a data set, each by its full name and by what the caller calls it."""

    there: Sequence[tuple[str, str]]
    in_bin: Sequence[tuple[str, str]]
    #: Those in the bin that the caller may delete for good.
    purgeable: Sequence[tuple[str, str]]
    #: How many more there are than are named, others' private ones among them.
    more: int

    @classmethod
    def of(cls, caller: Caller, one: DataSet) -> Users:
        """Return those of a data set."""
        there, in_bin = (
            [(name, called_by(caller.name, name)) for name in names[:_USERS]]
            for names in (one.used_by, one.used_in_bin)
        )
        purgeable = [names for names in in_bin if may_change(caller, owner_of(names[0]))]
        return cls(there, in_bin, purgeable, one.uses - len(there) - len(in_bin))


@router.get("/datasets/{name}")
def dataset(request: Request, verbs: AsCaller, caller: TheCaller, name: Name) -> Response:
    """Return the page of a data set."""
    one = verbs.dataset(name)
    view, job = _view(verbs, name, one), _job(verbs, one)
    rows = _rows(view)
    context = {
        "one": one,
        "job": job,
        "view": view,
        "rows": rows if len(rows) <= _CLASSES else (*rows[: _CLASSES // 2], *rows[-_CLASSES // 2 :]),
        "left_out": max(0, len(rows) - _CLASSES),
        "imbalance": _imbalance(rows),
        "sizes": _sizes(view),
        "new_search": "/new?" + urlencode(_search_on(caller, one)),
        "may_change": may_change(caller, one.owner),
        "users": Users.of(caller, one),
        "read_as": one.suggested_task or one.job_task,
        "tasks": [task.name for task in verbs.tasks()],
    }
    follows = (f"job:{one.job}",) if one.job is not None else ()
    return show(request, Page("dataset.html.j2", one.name, PARTS, context, follows=follows))


def _view(verbs: Verbs, name: str, one: DataSet) -> DataSetView | None:
    if one.job_state is not JobState.SUCCEEDED:
        return None
    try:
        return verbs.dataset_view(name)
    except NotFoundError:  # a check of an earlier version has left no such thing
        return None


def _job(verbs: Verbs, one: DataSet) -> Job | None:
    """Return the check that is going on, if it is the caller's: how far it is, is not for others."""
    if one.job is None or one.job_state is None or one.job_state.final:
        return None
    try:
        return verbs.job(one.job)
    except NotFoundError:
        return None


def _rows(view: DataSetView | None) -> list[Row]:
    """Return the classes, the most frequent in the training data first."""
    if view is None or not any(map(any, view.counts.values())):
        return []
    train = list(view.items).index("train")
    most = max(1, *(counts[train] for counts in view.counts.values()))
    rows = [Row(name, counts, counts[train] / most) for name, counts in view.counts.items()]
    return sorted(rows, key=lambda row: -row.share)


def _imbalance(rows: Sequence[Row]) -> float | None:
    """Return how many times as frequent the first class is as the last; None: there is nothing to compare."""
    return rows[0].share / rows[-1].share if len(rows) > 1 and rows[-1].share else None


def _sizes(view: DataSetView | None) -> list[Row]:
    if view is None or not any(view.sizes.values()):
        return []
    most = max(view.sizes.values())
    return [Row(name, (count,), count / most) for name, count in view.sizes.items()]


def _search_on(caller: Caller, one: DataSet) -> dict[str, str]:
    """Return the fields of a new search on a data set, as the form of it names them."""
    known = one.suggested_task or one.job_task
    task = {"task": known} if known is not None else {}
    return {"data": DATASET + called_by(caller.name, one.name), **task}


@router.post("/datasets/{name}/check")
@takes_long
def check_dataset(
    request: Request, verbs: AsCaller, name: Name, task: Annotated[str, Form(max_length=100)]
) -> Response:
    """Have every item of a data set opened as a task reads it."""
    one = verbs.dataset(name)
    verbs.check_dataset(name, task)
    return done(request, f"{one.name} is being checked.", f"/datasets/{in_address(one.name)}")


@router.post("/datasets/{name}/delete")
@takes_long
def delete_dataset(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Put a data set into the bin."""
    one = verbs.dataset(name)
    verbs.delete_dataset(name)
    undo = (f"/datasets/{in_address(one.name)}/restore", "Undo")
    return done(request, f"{one.name} is in the bin, for 30 days.", "/datasets", undo, leads=True)


@router.post("/datasets/{name}/restore")
def restore_dataset(request: Request, verbs: AsCaller, name: Name) -> Response:
    """Take a data set out of the bin."""
    one = verbs.restore_dataset(name)
    return done(request, f"{one.name} is back.", f"/datasets/{in_address(one.name)}")
