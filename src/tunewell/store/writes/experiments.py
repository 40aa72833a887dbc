"""Writing on experiments: their creation, states and specs, whose they are, and results."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update

from tunewell.spec.errors import ConflictError, TransitionRefused
from tunewell.spec.states import ExperimentState, check_experiment_transition
from tunewell.store.bound import Bound
from tunewell.store.rows import Goal, JsonObject, ResultKind
from tunewell.store.tables import COUNTS, experiment, result
from tunewell.store.writes.writer import Writer, clean, or_present


class ExperimentWrites(Writer):
    """The part of a transaction that is about experiments."""

    def create_experiment(
        self,
        name: str,
        spec: JsonObject,
        space: JsonObject,
        algorithm: JsonObject,
        now: float | None = None,
        home: str = "",
    ) -> None:
        """Add an experiment in state `created`; raise `ConflictError` if the name is taken.

        The goal of the spec's objective (`maximize`, if it has none) is the experiment's for good.
        """
        now = or_present(now)
        goal: Goal = spec.get("objective", {}).get("goal", "maximize")
        identity = uuid.uuid4().hex
        new = (
            self._dialect.insert(experiment)
            .values(name=name, identity=identity, goal=goal, spec=spec, home=home, space=space, algorithm=algorithm)
            .values(created_at=now, state=ExperimentState.CREATED, detail="", notes=[], elapsed_seconds=0.0)
            .values(dict.fromkeys(("term", "version", "noted_trials", *COUNTS.values()), 0))
            .on_conflict_do_nothing()
            .returning(experiment.c.id)
        )
        number = self._execute(new).scalar()
        if number is None:
            raise ConflictError(f"An experiment named '{name}' exists already. Choose another name.")
        self._created[name] = Bound(name, number, identity, goal)
        self._touch(self._created[name])
        self._add_event("created", now, experiment=number)

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
        now = or_present(now)
        values: dict[str, Any] = {"state": new, "ended_at": now if new.final else None}
        if new is ExperimentState.RUNNING:
            values["started_at"] = func.coalesce(experiment.c.started_at, now)
            values |= {"stop_rule": None, "detail": ""}
        if stop_rule is not None:
            values["stop_rule"] = stop_rule
        if detail is not None:
            values["detail"] = clean(detail)
        this = self._find(name)
        changed = update(experiment).where(experiment.c.id == this.id, experiment.c.state == old).values(values)
        if self._execute(changed).rowcount != 1:
            state = self._connection.scalar(select(experiment.c.state).where(experiment.c.id == this.id))
            raise TransitionRefused(f"experiment '{name}' is {state}: refused the step from {old} to {new}")
        self._touch(this)
        told = {"old": old, "new": new, "stop_rule": stop_rule, "detail": values.get("detail")}
        self._add_event("state", now, experiment=this.id, data=told)

    def set_spec(self, name: str, spec: JsonObject, now: float | None = None, home: str | None = None) -> None:
        """Replace the spec, and the home that its paths go by unless it is None.

        The event tells each changed field's old and new value.
        """
        this = self._find(name)
        row = experiment.c.id == this.id
        before = self._execute(select(experiment.c.spec).where(row)).scalar_one()
        changed = {
            field: [before.get(field), spec.get(field)]
            for field in before | spec
            if before.get(field) != spec.get(field)
        }
        if home is not None:
            self._execute(update(experiment).where(row).values(home=home))
            self._touch(this)
        if changed:
            self._execute(update(experiment).where(row).values(spec=spec))
            self._touch(this)
            self._add_event("spec", or_present(now), experiment=this.id, data=changed)

    def add_notes(self, name: str, notes: Sequence[str]) -> None:
        """Add notes for people, each once however often it is added."""
        this = self._find(name)
        row = experiment.c.id == this.id
        known = self._execute(select(experiment.c.notes).where(row)).scalar_one()
        together = list(dict.fromkeys([*known, *map(clean, notes)]))
        if together != known:
            self._execute(update(experiment).where(row).values(notes=together))
            self._touch(this)

    def add_elapsed(self, name: str, seconds: float) -> None:
        """Add to the time that the experiment has been running; as durable as reports."""
        self._touch(self._find(name)).sums["elapsed_seconds"] += seconds

    def take_over(self, name: str) -> int:
        """Make the caller the owner of an experiment, and return its term: who names an earlier one is refused."""
        this = self._find(name)
        taken = update(experiment).where(experiment.c.id == this.id).values(term=experiment.c.term + 1)
        term: int = self._execute(taken.returning(experiment.c.term)).scalar_one()
        self._touch(this)
        return term

    def name_term(self, name: str, term: int, mark: str | None = None) -> None:
        """Write to an experiment only if `term` is still its term, and leave a mark there, if one is given.

        Else the transaction raises `TermOver` in its end, and nothing of it is kept. What writes nothing to the
        experiment is not refused.
        """
        this = self._find(name)
        self._terms[this.id] = term
        self._marks[this.id] = mark

    def add_result(  # noqa: PLR0913 - one argument per fact
        self,
        name: str,
        kind: ResultKind,
        trial: int,
        attempt_identity: str | None,
        data: JsonObject,
        file: str | None = None,
        sha256: str | None = None,
        job: int | None = None,
        now: float | None = None,
    ) -> None:
        """Put on record what was found out about a trial, or made of it, in place of an earlier one of that kind.

        Args:
            name: of the experiment.
            kind: what it is.
            trial: number of the trial.
            attempt_identity: identity of the attempt that it is about.
            data: small figures.
            file: path of the large part, relative to the home.
            sha256: its checksum, in hexadecimal.
            job: id of the job that it comes from.
            now: date.
        """
        this = self._find(name)
        place = {"experiment_id": this.id, "kind": kind, "trial": trial}
        facts = {
            "attempt_identity": attempt_identity,
            "job_id": job,
            "data": data,
            "file": file,
            "sha256": sha256,
            "created_at": or_present(now),
        }
        new = self._dialect.insert(result).values(**place, **facts)
        self._execute(new.on_conflict_do_update(index_elements=list(place), set_=facts))
        self._touch(this)
