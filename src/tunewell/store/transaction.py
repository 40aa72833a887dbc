"""What a controller writes: transitions with their events, and reports, all or nothing."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Executable, delete, func, insert, select, update

from tunewell.spec.errors import ConflictError, TransitionRefused
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import (
    Cause,
    ExperimentState,
    TrialState,
    check_experiment_transition,
)
from tunewell.store import statements
from tunewell.store.dialect import Dialect
from tunewell.store.rows import EventKind, HomeRow, JsonObject, Verb
from tunewell.store.tables import experiment, home, request, trial


class Transaction:
    """Changes that become true together when the `with` block of `Store.transaction` ends well, or not at all.

    Every method takes effect in the order of the calls. One that finds its starting point no longer true raises
    `TransitionRefused` and changes nothing; the transaction can go on after that. `now` is in seconds since the
    epoch and defaults to this moment. An unknown experiment raises `NotFoundError`.

    A transaction of reports and elapsed time alone survives the death of the process, any other also the loss of power.
    """

    def __init__(self, connection: Connection, dialect: Dialect, identify: Callable[[str], int]) -> None:
        """Take a connection on which nothing has begun, and the function from experiments' names to ids."""
        self._connection = connection
        self._dialect = dialect
        self._identify_committed = identify
        # Experiments that this transaction has created.
        self._created: dict[str, int] = {}
        self._begun = False
        self._reports: list[dict[str, Any]] = []
        # Written last, all in one statement: nothing within a transaction depends on these.
        self._elapsed: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    def set_home(self, row: HomeRow) -> None:
        """Replace the home whose folders belong to the database."""
        self._execute(delete(home))
        self._execute(insert(home).values(identity=row.identity, folder=row.folder))

    def create_experiment(
        self,
        name: str,
        spec: JsonObject,
        space: JsonObject,
        algorithm: JsonObject,
        now: float | None = None,
        home: str = "",
    ) -> None:
        """Add an experiment in state `created`; raise `ConflictError` if the name is taken."""
        now = _or_present(now)
        new = (
            self._dialect.insert(experiment)
            .values(name=name, identity=uuid.uuid4().hex, spec=spec, home=home, space=space, algorithm=algorithm)
            .values(created_at=now)
            .values(state=ExperimentState.CREATED, detail="", notes=[], elapsed_seconds=0.0)
            .on_conflict_do_nothing()
            .returning(experiment.c.id)
        )
        identity = self._execute(new).scalar()
        if identity is None:
            raise ConflictError(f"An experiment named '{name}' exists already", remedy="Choose another name")
        self._created[name] = identity
        self._add_event(identity, "created", now)

    def set_experiment_state(
        self,
        name: str,
        old: ExperimentState,
        new: ExperimentState,
        *,
        stop_rule: str | None = None,
        detail: str | None = None,
        now: float | None = None,
    ) -> None:
        """Move an experiment from `old` to `new`.

        `stop_rule` and `detail` replace what is there unless they are None; running again clears both first.
        """
        check_experiment_transition(name, old, new)
        now = _or_present(now)
        values: dict[str, Any] = {"state": new, "ended_at": now if new.final else None}
        if new is ExperimentState.RUNNING:
            values["started_at"] = func.coalesce(experiment.c.started_at, now)
            values |= {"stop_rule": None, "detail": ""}
        if stop_rule is not None:
            values["stop_rule"] = stop_rule
        if detail is not None:
            values["detail"] = _clean(detail)
        identity = self._identify(name)
        changed = update(experiment).where(experiment.c.id == identity, experiment.c.state == old).values(values)
        if self._execute(changed).rowcount != 1:
            state = self._connection.scalar(select(experiment.c.state).where(experiment.c.id == identity))
            raise TransitionRefused(f"experiment '{name}' is {state}: refused the step from {old} to {new}")
        told = {"old": old, "new": new, "stop_rule": stop_rule, "detail": values.get("detail")}
        self._add_event(identity, "state", now, data=told)

    def set_spec(self, name: str, spec: JsonObject, now: float | None = None, home: str | None = None) -> None:
        """Replace the spec, and the home that its paths go by unless it is None.

        The event tells each changed field's old and new value.
        """
        identity = self._identify(name)
        this = experiment.c.id == identity
        before = self._execute(select(experiment.c.spec).where(this).with_for_update()).scalar_one()
        changed = {
            field: [before.get(field), spec.get(field)]
            for field in before | spec
            if before.get(field) != spec.get(field)
        }
        if home is not None:
            self._execute(update(experiment).where(this).values(home=home))
        if changed:
            self._execute(update(experiment).where(this).values(spec=spec))
            self._add_event(identity, "spec", _or_present(now), data=changed)

    def add_notes(self, name: str, notes: Sequence[str]) -> None:
        """Add notes for people, each once however often it is added."""
        this = experiment.c.id == self._identify(name)
        known = self._execute(select(experiment.c.notes).where(this).with_for_update()).scalar_one()
        together = list(dict.fromkeys([*known, *map(_clean, notes)]))
        if together != known:
            self._execute(update(experiment).where(this).values(notes=together))

    def add_elapsed(self, name: str, seconds: float) -> None:
        """Add to the time that the experiment has been running; as durable as reports."""
        self._elapsed.append({"of_experiment": self._identify(name), "seconds": seconds})

    def add_trial(
        self,
        name: str,
        number: int,
        parameters: Mapping[str, Any],
        origin: str,
        fidelity: float,
        resume_from: int | None,
        now: float | None = None,
    ) -> None:
        """Add a trial that waits; refused unless `number` is the next one (the first is 1)."""
        identity, now = self._identify(name), _or_present(now)
        values = {
            "experiment_id": identity,
            "number": number,
            "parameters": dict(parameters),
            "origin": origin,
            "fidelity": fidelity,
            "resume_from": resume_from,
            "created_at": now,
        }
        if self._execute(statements.add_trial(self._dialect.insert), values).rowcount != 1:
            last = select(func.max(trial.c.number)).where(trial.c.experiment_id == identity)
            following = (self._connection.scalar(last) or 0) + 1
            raise TransitionRefused(f"experiment '{name}' can't get trial {number}: its next one is {following}")
        self._add_event(identity, "suggested", now, number)

    def start_attempt(
        self, name: str, number: int, attempt: int, now: float | None = None, identity: str | None = None
    ) -> None:
        """Move a trial from waiting to running; `attempt` must be the one after its last (the first is 1).

        `identity` is what the attempt's folder bears; default: a new one.
        """
        identity = identity or uuid.uuid4().hex
        experiment_id, now = self._identify(name), _or_present(now)
        this = {"of_experiment": experiment_id, "of_trial": number}
        values = {**this, "next_attempt": attempt, "new_identity": identity, "now": now}
        if self._execute(statements.START_ATTEMPT, values).rowcount != 1:
            raise self._refusal(name, number, f"to start attempt {attempt}")
        self._add_event(experiment_id, "started", now, number, attempt, {"identity": identity})

    def lose_attempt(
        self,
        name: str,
        number: int,
        attempt: int,
        cause: Cause | None,
        detail: str,
        *,
        notes: Sequence[str] = (),
        seconds: float = 0.0,
        now: float | None = None,
    ) -> None:
        """Move a trial from running back to waiting, because its attempt went away through no fault of its own.

        `seconds` is how long the attempt took.
        """
        identity, now = self._identify(name), _or_present(now)
        values = {"of_experiment": identity, "of_trial": number, "of_attempt": attempt, "seconds": seconds}
        row = self._execute(statements.LOSE_ATTEMPT, values).first()
        if row is None:
            raise self._refusal(name, number, f"to lose attempt {attempt}")
        facts = {
            "cause": cause.value if cause else None,
            "detail": _clean(detail),
            "notes": [_clean(note) for note in notes] or None,
        }
        self._add_event(identity, "lost", now, number, attempt, {**facts, **row._mapping})

    def finish_trial(  # noqa: PLR0913 - one argument per fact
        self,
        name: str,
        number: int,
        attempt: int,
        state: TrialState,
        *,
        cause: Cause | None = None,
        detail: str = "",
        notes: Sequence[str] = (),
        value: float | None = None,
        exit_code: int | None = None,
        peak_memory_bytes: int | None = None,
        seconds: float = 0.0,
        ended_after: float | None = None,
        now: float | None = None,
    ) -> None:
        """Move a trial from running to the final `state`.

        `value` is finite or None; the attempt took `seconds`; the search had been running for `ended_after` seconds.
        """
        assert state.final, state
        assert value is None or math.isfinite(value), value
        identity, now = self._identify(name), _or_present(now)
        facts = {
            "state": state.value,
            "cause": cause.value if cause else None,
            "detail": _clean(detail),
            "notes": [_clean(note) for note in notes] or None,
            "value": value,
            "peak_memory_bytes": peak_memory_bytes,
        }
        this = {"of_experiment": identity, "of_trial": number, "of_attempt": attempt}
        times = {"now": now, "seconds": seconds, "ended_after": ended_after}
        row = self._execute(statements.FINISH_TRIAL, {**this, **facts, **times}).first()
        if row is None:
            raise self._refusal(name, number, f"to end attempt {attempt} as {state}")
        self._add_event(identity, "ended", now, number, attempt, {**facts, "exit_code": exit_code, **row._mapping})

    def stop_waiting(self, name: str, number: int, now: float | None = None) -> None:
        """Move a trial from waiting to stopped."""
        identity, now = self._identify(name), _or_present(now)
        row = self._execute(
            statements.STOP_WAITING, {"of_experiment": identity, "of_trial": number, "now": now}
        ).first()
        if row is None:
            raise self._refusal(name, number, "to stop it while it waits")
        facts = {"state": TrialState.STOPPED.value, "cost_seconds": row.cost_seconds}
        self._add_event(identity, "ended", now, number, row.attempt, facts)

    def retry_trial(self, name: str, number: int, now: float | None = None) -> None:
        """Move a failed or stopped trial back to waiting, without value and cause; its attempts count on."""
        identity = self._identify(name)
        row = self._execute(statements.RETRY, {"of_experiment": identity, "of_trial": number}).first()
        if row is None:
            raise self._refusal(name, number, "to run it again")
        self._add_event(identity, "retried", _or_present(now), number, row.attempt)

    def add_reports(self, key: AttemptKey, reports: Sequence[Report]) -> None:
        """Store reports of the attempt that runs.

        Reports of the same step are one: of several values for a metric the last counts. Reports of any attempt but the
        one that runs at this point of the transaction are ignored, so those of an attempt's last moments go before
        `finish_trial`.
        """
        identity = self._identify(key.experiment)
        self._reports += [
            {
                "of_experiment": identity,
                "of_trial": key.trial,
                "of_attempt": key.attempt,
                "step": report.step,
                "metrics": {n: v if math.isfinite(v) else None for n, v in report.metrics.items()},
                "time": report.time,
            }
            for report in reports
        ]

    def add_request(
        self, name: str, verb: Verb, trial: int | None, key: str | None, data: JsonObject, now: float | None = None
    ) -> int:
        """Add a request and return its id, or that of the same request made earlier under the same key.

        Raises `ConflictError` if another request was made under the key.
        """
        identity = self._identify(name)
        asked = {"verb": verb, "trial": trial, "data": data}
        new = (
            self._dialect.insert(request)
            .values(experiment_id=identity, key=key, created_at=_or_present(now), **asked)
            .on_conflict_do_nothing()
            .returning(request.c.id)
        )
        added: int | None = self._execute(new).scalar()
        if added is not None:
            return added
        same_key = (request.c.experiment_id == identity, request.c.key == key)
        earlier = self._connection.execute(select(request).where(*same_key)).one()
        if {field: earlier._mapping[field] for field in asked} != asked:
            raise ConflictError(f"Key '{key}' was used for another request ({earlier.verb})", remedy="Use a new key")
        return int(earlier.id)

    def handle_request(self, request_id: int, now: float | None = None) -> None:
        """Mark a request as dealt with; refused if it was already."""
        this = (request.c.id == request_id, request.c.handled_at.is_(None))
        if self._execute(update(request).where(*this).values(handled_at=_or_present(now))).rowcount != 1:
            raise TransitionRefused(f"request {request_id} has been handled, or does not exist")

    def flush(self) -> None:
        """Write what is still held back. Called by the store before it commits."""
        if not self._begun and (self._reports or self._elapsed):
            self._begin(durable=False)
        self._write_reports()
        if self._elapsed:
            self._connection.execute(statements.ADD_ELAPSED, self._elapsed)
        if self._events:
            self._connection.execute(statements.ADD_EVENT, self._events)

    def _identify(self, name: str) -> int:
        return self._created.get(name) or self._identify_committed(name)

    def _begin(self, durable: bool) -> None:
        self._dialect.begin(self._connection, durable)
        self._begun = True

    def _execute(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        if not self._begun:
            self._begin(durable=True)
        # Whether a report counts depends on the state at the time of its call, which this statement may end.
        self._write_reports()
        return self._connection.execute(statement, values)

    def _write_reports(self) -> None:
        reports, self._reports = self._reports, []
        if not reports:
            return
        by_attempt: dict[tuple[int, int, int], dict[int, JsonObject]] = {}
        for report in reports:
            attempt = by_attempt.setdefault(tuple(report[name] for name in _ATTEMPT), {})
            known = attempt.get(report["step"])
            attempt[report["step"]] = report if known is None else _merged(known, report)
        rows = [row for attempt in by_attempt.values() for row in attempt.values()]
        added = self._connection.execute(statements.add_reports(self._dialect.insert), rows).rowcount
        if added != len(rows):  # some steps were there already, or are none of the running attempt's
            for attempt in by_attempt.values():
                self._add_metrics(attempt)

    def _add_metrics(self, attempt: Mapping[int, JsonObject]) -> None:
        """Add metrics to what is there of an attempt, given by step."""
        any_report = next(iter(attempt.values()))
        place = {name: any_report[name] for name in _ATTEMPT}
        steps = {"first": min(attempt), "last": max(attempt)}
        known = self._connection.execute(statements.REPORTED, {**place, **steps}).all()
        changed = [
            {**place, "of_step": row.step, "merged": merged}
            for row in known
            if row.step in attempt and (merged := {**row.metrics, **attempt[row.step]["metrics"]}) != row.metrics
        ]
        if changed:
            self._connection.execute(statements.SET_METRICS, changed)

    def _add_event(
        self,
        experiment_id: int,
        kind: EventKind,
        now: float,
        number: int | None = None,
        attempt: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self._events.append(
            {
                "experiment_id": experiment_id,
                "time": now,
                "kind": kind,
                "trial": number,
                "attempt": attempt,
                "data": data and {key: value for key, value in data.items() if value not in (None, "")},
            }
        )

    def _refusal(self, name: str, number: int, wish: str) -> TransitionRefused:
        this: tuple[ColumnElement[bool], ...] = (
            trial.c.experiment_id == self._identify(name),
            trial.c.number == number,
        )
        row = self._connection.execute(select(trial.c.state, trial.c.attempt).where(*this)).first()
        if row is None:
            return TransitionRefused(f"experiment '{name}' has no trial {number}: refused {wish}")
        return TransitionRefused(
            f"trial {number} of experiment '{name}' is {row.state}, its latest attempt is {row.attempt}: refused {wish}"
        )


_ATTEMPT = ("of_experiment", "of_trial", "of_attempt")


def _merged(report: JsonObject, later: JsonObject) -> JsonObject:
    return {**report, "metrics": {**report["metrics"], **later["metrics"]}}


def _or_present(now: float | None) -> float:
    return time.time() if now is None else now


def _clean(text: str) -> str:
    """Replace what databases refuse in a text: lone surrogates, and the character NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")
