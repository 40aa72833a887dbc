"""Lists, a page at a time. A cursor says where a page begins; only who gave it reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from tunewell import service
from tunewell.home.home import Home
from tunewell.service import wire
from tunewell.service.types import (
    Changed,
    Changes,
    ExperimentSummary,
    ExportedTrial,
    Job,
    JobKind,
    Page,
    Report,
    TrialFilter,
    TrialPage,
)
from tunewell.service.verbs import MOST
from tunewell.spec.errors import SpecError
from tunewell.spec.errors import shown as written
from tunewell.spec.labels import MOST_TAGS
from tunewell.spec.names import ExperimentOrder
from tunewell.spec.states import ExperimentState, JobState
from tunewell.store.store import Store

if TYPE_CHECKING:
    from tunewell.service.table import Trials

#: Digits of an id that databases can hold.
_LONGEST_CURSOR = 19


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which experiments a list holds."""

    states: Sequence[ExperimentState] | None
    search: str
    owner: str | None
    project: str | None
    #: All of which it has.
    tags: Sequence[str]
    #: Those in the bin, instead of all others.
    deleted: bool
    order: ExperimentOrder
    #: Who must see them.
    seen_by: str


@dataclass(frozen=True, slots=True)
class ChosenJobs:
    """Which jobs a list holds."""

    experiment: str | None
    kind: JobKind | None
    states: Sequence[JobState] | None
    #: Full name of a published model.
    model: str | None
    caller: str | None
    #: Who must see them.
    seen_by: str


def checked_limit(limit: int) -> int:
    """Return a number of items that may be asked for; raises `SpecError`."""
    if not 1 <= limit <= MOST:
        raise SpecError("limit", f"{limit} is not possible", f"Give 1 to {MOST}")
    return limit


def experiments(
    store: Store,
    home: Home,
    chosen: Chosen,
    cursor: str | None,
    limit: int,
) -> Page[ExperimentSummary]:
    """Return experiments in the order that was chosen."""
    if chosen.order not in get_args(ExperimentOrder):
        raise SpecError("sort", f"{written(chosen.order)} is none", f"Give {' or '.join(get_args(ExperimentOrder))}")
    by_name = chosen.order.endswith("name")
    rows = store.experiments(
        checked_limit(limit) + 1,
        after=cursor if cursor is None or by_name else id_in(cursor),
        states=chosen.states,
        search=chosen.search,
        seen_by=chosen.seen_by,
        where=_where(chosen),
        deleted=chosen.deleted,
        order=chosen.order,
    )
    shown = rows[:limit]
    running = home.running({row.name: row.id for row in shown if not row.state.final})
    return Page[ExperimentSummary](
        items=tuple(wire.experiment_summary(home, row, row.name in running) for row in shown),
        next=str(shown[-1].name if by_name else shown[-1].id) if len(rows) > limit else None,
    )


def _where(chosen: Chosen) -> list[tuple[str, str]]:
    """Return the owner, the project and each of the tags that were chosen; raises `SpecError`."""
    tags = set(chosen.tags)
    if len(tags) > MOST_TAGS:
        raise SpecError("tags", f"{len(tags)} are too many", f"No search has more than {MOST_TAGS}")
    given = [(name, value) for name in ("owner", "project") if (value := getattr(chosen, name)) is not None]
    return given + [("tag", tag) for tag in sorted(tags)]


def trials(
    store: Store, name: str, table: Trials, wanted: TrialFilter, sort: str, cursor: str | None, limit: int
) -> TrialPage:
    """Return trials in an order."""
    part = service.selection.part(table, wanted, sort, cursor, checked_limit(limit))
    rows = store.trials_of(name, part.numbers)
    return TrialPage(items=tuple(map(wire.trial, rows)), next=part.next, count=part.count)


def exported_trials(
    store: Store, name: str, table: Trials, wanted: TrialFilter, cursor: str | None, limit: int
) -> Page[ExportedTrial]:
    """Return trials with their reports in the order of their numbers."""
    part = service.selection.part(table, wanted, "number", cursor, checked_limit(limit))
    return Page[ExportedTrial](items=tuple(service.export.exported_trials(store, name, part.numbers)), next=part.next)


def reports(
    store: Store, name: str, number: int, attempt: int | None, after: int | None, points: int | None, limit: int
) -> tuple[Report, ...]:
    """Return reports of an attempt by step, or, of many, about so many `points`."""
    store.trial(name, number)
    if points is not None and points < 1:
        raise SpecError("points", f"{points} is not possible", "Give 1 or more")
    return tuple(map(wire.report, store.reports(name, number, attempt, after, checked_limit(limit), points)))


def jobs(
    store: Store,
    home: Home,
    chosen: ChosenJobs,
    cursor: str | None,
    limit: int,
) -> Page[Job]:
    """Return jobs, the newest first."""
    before = id_in(cursor) if cursor is not None else None
    most = checked_limit(limit) + 1
    rows = store.jobs(
        chosen.experiment, chosen.kind, chosen.states, before, most, chosen.seen_by, chosen.model, chosen.caller
    )
    shown = rows[:limit]
    return Page[Job](
        items=tuple(wire.job(home, row) for row in shown), next=str(shown[-1].id) if len(rows) > limit else None
    )


def changes(store: Store, after: int, seen_by: str) -> Changes:
    """Return the experiments, jobs and models that have changed since version `after`."""
    found = tuple(
        Changed(
            kind=one.kind,
            name=one.name if one.kind != "job" else None,
            id=one.id if one.kind == "job" else None,
            version=one.version,
        )
        for one in store.changed(after, seen_by)
    )
    return Changes(version=found[-1].version if found else min(after, store.version()), items=found)


def id_in(cursor: str) -> int:
    """Return the id, or number, that a cursor is; raises `SpecError`."""
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < _LONGEST_CURSOR):
        raise bad_cursor(cursor)
    return int(cursor)


def bad_cursor(cursor: str) -> SpecError:
    """Return the error of a cursor that no list has given."""
    return SpecError("cursor", f"{written(cursor)} is none", "Give the `next` of the page before")
