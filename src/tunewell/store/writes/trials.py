"""Writing on trials: their transitions, each with its event, and their reports."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select

from tunewell.spec.errors import TransitionRefused
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import TrialState
from tunewell.store import statements
from tunewell.store.bound import Bound
from tunewell.store.rows import AttemptEnd
from tunewell.store.tables import trial
from tunewell.store.writes.writer import Writer, clean, cleaned, or_present

#: Final states in which a trial's value counts.
_RANKED_STATES = frozenset({TrialState.SUCCEEDED, TrialState.STOPPED})
#: From so many trials on, how a list of them is read makes a difference.
_MANY = 1024


class TrialWrites(Writer):
    """The part of a transaction that is about trials."""

    def add_trial(
        self,
        name: str,
        number: int,
        parameters: Mapping[str, Any],
        origin: str,
        fidelity: float,
        resume_from: int | None,
        now: float | None = None,
        known: int | None = None,
    ) -> None:
        """Add a trial that waits; refused unless `number` is the next one (the first is 1).

        `known` says how many outcomes the tuner knew when it made the suggestion; None: all that are on record.
        """
        this, now = self._find(name), or_present(now)
        values = {
            "experiment_id": this.id,
            "number": number,
            "parameters": dict(parameters),
            "origin": origin,
            "fidelity": fidelity,
            "resume_from": resume_from,
            "created_at": now,
        }
        if self._execute(statements.add_trial(self._dialect.insert), values).rowcount != 1:
            last = select(func.max(trial.c.number)).where(trial.c.experiment_id == this.id)
            following = (self._connection.scalar(last) or 0) + 1
            raise TransitionRefused(f"experiment '{name}' can't get trial {number}: its next one is {following}")
        self._moved(this, None, TrialState.WAITING)
        self._has_grown |= number >= _MANY and number.bit_count() == 1
        self._follow_default(this, number, parameters, origin, resume_from)
        data = None if known is None else {"known": known}
        self._add_event("suggested", now, experiment=this.id, trial=number, data=data)

    def _follow_default(
        self, this: Bound, number: int, parameters: Mapping[str, Any], origin: str, resume_from: int | None
    ) -> None:
        """Note which trial is that of the default configuration, or one that goes on from it unchanged."""
        if origin == "default":
            follows = True
        elif resume_from is not None:
            earlier = {"of_experiment": this.id, "of_trial": resume_from}
            follows = self._execute(statements.DEFAULT_TRIAL, earlier).scalar() == dict(parameters)
        else:
            follows = False
        if follows:
            self._execute(statements.SET_DEFAULT_TRIAL, {"of_experiment": this.id, "of_trial": number})

    def start_attempt(
        self,
        key: AttemptKey,
        identity: str | None = None,
        now: float | None = None,
        host: str = "",
        planned_epochs: int | None = None,
    ) -> None:
        """Move a trial from waiting to running; the attempt must be the one after its last (the first is 1).

        `identity` is what the attempt's folder has; default: a new one. `host` is the machine that it is bound to,
        `planned_epochs` as that of `TrialRow`.
        """
        identity = identity or uuid.uuid4().hex
        this, now = self._find(key.experiment), or_present(now)
        values = {
            "of_experiment": this.id,
            "of_trial": key.trial,
            "next_attempt": key.attempt,
            "new_identity": identity,
            "new_host": host,
            "planned_epochs": planned_epochs,
            "now": now,
        }
        if self._execute(statements.START_ATTEMPT, values).rowcount != 1:
            raise self._refusal(this, key.trial, f"to start attempt {key.attempt}")
        self._moved(this, TrialState.WAITING, TrialState.RUNNING)
        self._add_trial_event("started", now, this, key.trial, key.attempt, {"identity": identity})

    def lose_attempt(self, key: AttemptKey, end: AttemptEnd) -> None:
        """Move a trial from running back to waiting, because its attempt went away through no fault of its own."""
        assert end.state is TrialState.WAITING, end
        this, now = self._find(key.experiment), or_present(end.now)
        row = self._execute(statements.LOSE_ATTEMPT, {**_place(this, key), "seconds": end.seconds}).first()
        if row is None:
            raise self._refusal(this, key.trial, f"to lose attempt {key.attempt}")
        self._moved(this, TrialState.RUNNING, TrialState.WAITING)
        facts = {"cause": _cause(end), "detail": clean(end.detail), "notes": cleaned(end.notes)}
        self._add_trial_event("lost", now, this, key.trial, key.attempt, {**facts, **row._mapping})

    def finish_trial(self, key: AttemptKey, end: AttemptEnd) -> None:
        """Move a trial from running to the final state that its attempt's end makes of it."""
        assert end.state.final, end
        assert end.cause is None or end.state is TrialState.FAILED, end
        assert end.value is None or math.isfinite(end.value), end
        this, now = self._find(key.experiment), or_present(end.now)
        facts = {
            "state": end.state.value,
            "cause": _cause(end),
            "detail": clean(end.detail),
            "notes": cleaned(end.notes),
            "value": end.value,
            "peak_memory_bytes": end.peak_memory_bytes,
            "epochs": end.epochs,
            "cut_by": None if end.cut_by is None else end.cut_by.value,
        }
        order = {"loss": _loss(this, end), "ended_order": self._next_end()}
        times = {"now": now, "seconds": end.seconds, "ended_after": end.ended_after}
        row = self._execute(statements.FINISH_TRIAL, {**_place(this, key), **facts, **order, **times}).first()
        if row is None:
            raise self._refusal(this, key.trial, f"to end attempt {key.attempt} as {end.state}")
        touch = self._moved(this, TrialState.RUNNING, end.state)
        touch.sums["noted_trials"] += facts["notes"] is not None
        touch.ranked |= order["loss"] is not None
        facts["exit_code"] = end.exit_code
        self._add_trial_event("ended", now, this, key.trial, key.attempt, {**facts, **row._mapping})

    def stop_waiting(self, name: str, number: int, now: float | None = None) -> None:
        """Move a trial from waiting to stopped."""
        this, now = self._find(name), or_present(now)
        values = {"of_experiment": this.id, "of_trial": number, "now": now, "ended_order": self._next_end()}
        row = self._execute(statements.STOP_WAITING, values).first()
        if row is None:
            raise self._refusal(this, number, "to stop it while it waits")
        self._moved(this, TrialState.WAITING, TrialState.STOPPED)
        facts = {"state": TrialState.STOPPED.value, "cost_seconds": row.cost_seconds}
        self._add_trial_event("ended", now, this, number, row.attempt, facts)

    def retry_trial(self, name: str, number: int, now: float | None = None) -> None:
        """Move a failed or stopped trial back to waiting, without value and cause; its attempts count on."""
        this = self._find(name)
        place = {"of_experiment": this.id, "of_trial": number}
        row = self._execute(statements.RETRIABLE, place).first()
        if row is None:
            raise self._refusal(this, number, "to run it again")
        self._execute(statements.RETRY, place)
        touch = self._moved(this, TrialState(row.state), TrialState.WAITING)
        touch.sums["noted_trials"] -= row.notes is not None
        touch.ranked = True
        self._add_trial_event("retried", or_present(now), this, number, row.attempt)

    def add_reports(self, key: AttemptKey, reports: Sequence[Report]) -> None:
        """Store reports of the attempt that runs.

        Reports of the same step are one: of several values for a metric the last counts. Reports of any attempt but the
        one that runs at this point of the transaction are ignored, so those of an attempt's last moments go before
        `finish_trial`.
        """
        this = self._find(key.experiment)
        self._reports.add(this.id, key, reports)
        self._touch(this)

    def _add_trial_event(
        self, kind: Any, now: float, this: Bound, trial: int, attempt: int, data: Mapping[str, Any] | None = None
    ) -> None:
        self._add_event(kind, now, experiment=this.id, trial=trial, attempt=attempt, data=data)

    def _refusal(self, this: Bound, number: int, wish: str) -> TransitionRefused:
        place: tuple[ColumnElement[bool], ...] = (trial.c.experiment_id == this.id, trial.c.number == number)
        row = self._connection.execute(select(trial.c.state, trial.c.attempt).where(*place)).first()
        if row is None:
            return TransitionRefused(f"experiment '{this.name}' has no trial {number}: refused {wish}")
        return TransitionRefused(
            f"trial {number} of experiment '{this.name}' is {row.state}, its latest attempt is {row.attempt}: "
            f"refused {wish}"
        )


def _place(this: Bound, key: AttemptKey) -> dict[str, Any]:
    return {"of_experiment": this.id, "of_trial": key.trial, "of_attempt": key.attempt}


def _cause(end: AttemptEnd) -> str | None:
    return None if end.cause is None else end.cause.value


def _loss(this: Bound, end: AttemptEnd) -> float | None:
    if end.value is None or end.state not in _RANKED_STATES:
        return None
    return -end.value if this.goal == "maximize" else end.value
