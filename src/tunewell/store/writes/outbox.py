"""Who is told that something has happened: a row of `delivery` for each channel that wants to hear of it.

They are written in the transaction that does what they tell of, so that none is lost and none is doubled.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from tunewell.spec.epochs import training_text
from tunewell.spec.names import HOME_OWNER
from tunewell.spec.notifications import PATIENCE_SECONDS, NotifiedEvent
from tunewell.spec.states import Cut, ExperimentState
from tunewell.store.rows import JsonObject
from tunewell.store.tables import COUNTS, account, channel, delivery, experiment, trial

#: How a search has ended → what a channel is told, if it wants to hear of that; else that the search has ended.
_ENDS: Final[dict[str, NotifiedEvent]] = {
    ExperimentState.TARGET_REACHED: "target_reached",
    ExperimentState.FAILED: "failed",
}
_SHOWN = (
    *("id", "name", "owner", "visibility", "project", "state", "stop_rule", "goal", "spec"),
    *("best_trial", "best_value", "default_trial", "started_at", "ended_at", "elapsed_seconds"),
)


def tell_end(connection: Connection, experiment_id: int, now: float) -> None:
    """Have it told that a search has ended, with its figures as they are now. What was imported has no stop rule."""
    wanted = [experiment.c[name] for name in (*_SHOWN, *COUNTS.values())]
    row = connection.execute(select(*wanted).where(experiment.c.id == experiment_id)).first()
    if row is None or row.stop_rule is None or not ExperimentState(row.state).final:
        return
    facts: JsonObject | None = None
    special = _ENDS.get(row.state)
    for one in _listeners(connection, lambda one: _is_told(one, row)):
        event: NotifiedEvent = special if special is not None and special in one.events else "ended"
        if event in one.events:
            facts = facts or _facts(connection, row)
            _add(connection, one.id, event, facts, now)


def tell_administrators(connection: Connection, event: NotifiedEvent, facts: JsonObject, now: float) -> int:
    """Have administrators told of something that is about no search; return how many channels it goes to."""
    told = [one.id for one in _listeners(connection, lambda one: _is_administrator(one) and event in one.events)]
    for id in told:
        _add(connection, id, event, facts, now)
    return len(told)


def _listeners(connection: Connection, wants: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield channels that are sent anything, and whose owners may hear of it."""
    shown = (channel.c.id, channel.c.owner, channel.c.events, channel.c.searches, channel.c.project)
    query = (
        select(*shown, account.c.role, account.c.disabled_at)
        .join_from(channel, account, channel.c.owner == account.c.name, isouter=True)
        .where(channel.c.active, channel.c.removed_at.is_(None), channel.c.confirmed_at.is_not(None))
        .order_by(channel.c.id)
    )
    for one in connection.execute(query).all():
        is_known = one.role is not None or one.owner == HOME_OWNER
        if is_known and one.disabled_at is None and wants(one):
            yield one


def _is_administrator(one: Any) -> bool:
    return bool(one.role == "administrator") or (one.role is None and one.owner == HOME_OWNER)


def _is_told(one: Any, row: Any) -> bool:
    """Whether a channel is told of a search."""
    is_own: bool = one.owner == row.owner
    if one.searches == "own":
        return is_own
    if one.searches == "project" and one.project != row.project:
        return False
    return is_own or bool(row.visibility == "team") or _is_administrator(one)


def _facts(connection: Connection, row: Any) -> JsonObject:
    """Return what is told of a search: nothing that its owner alone may know, and no path of this machine."""
    default = None
    if row.default_trial is not None:
        its = (trial.c.experiment_id == row.id, trial.c.number == row.default_trial)
        default = connection.execute(select(trial.c.value).where(*its)).scalar()
    return {
        "search": row.name,
        "owner": row.owner,
        "project": row.project,
        "state": row.state,
        "stop_rule": row.stop_rule,
        "metric": (row.spec.get("objective") or {}).get("metric", ""),
        "goal": row.goal,
        "best": _with_training(connection, row, _valued(row.best_trial, row.best_value)),
        "default": _valued(row.default_trial, default),
        "trials": {state.value: getattr(row, column) for state, column in COUNTS.items()},
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "elapsed_seconds": row.elapsed_seconds,
    }


def _with_training(connection: Connection, row: Any, best: JsonObject | None) -> JsonObject | None:
    """Return what is told of the best trial, with how far its training came if that was not to its end."""
    if best is None:
        return None
    of_best = (trial.c.experiment_id == row.id, trial.c.number == row.best_trial)
    its = connection.execute(select(trial.c.epochs, trial.c.planned_epochs, trial.c.cut_by).where(*of_best)).one()
    came = training_text(its.epochs, its.planned_epochs, None if its.cut_by is None else Cut(its.cut_by))
    return {**best, "training": came} if came else best


def _valued(number: int | None, value: float | None) -> JsonObject | None:
    """Return a trial with its value; None: it has none that JSON can tell."""
    return None if value is None or not math.isfinite(value) else {"trial": number, "value": value}


def _add(connection: Connection, channel_id: int, event: NotifiedEvent, facts: JsonObject, now: float) -> None:
    new = {
        "channel_id": channel_id,
        "message": f"msg_{uuid.uuid4().hex}",
        "event": event,
        "facts": facts,
        "state": "waiting",
        "attempts": 0,
        "error": "",
        "created_at": now,
        "next_at": now,
        "expires_at": now + PATIENCE_SECONDS,
    }
    connection.execute(insert(delivery).values(new))
