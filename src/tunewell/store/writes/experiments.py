"""Writing on experiments: their creation, states and specs, whose they are, and results."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, update

from tunewell.spec.errors import ConflictError, NotFoundError, TransitionRefused
from tunewell.spec.labels import labels_of
from tunewell.spec.names import Visibility, owner_of
from tunewell.spec.quota import month_of
from tunewell.spec.states import ExperimentState, check_experiment_transition
from tunewell.store.bound import Bound
from tunewell.store.rows import Goal, JsonObject, ResultKind, Standing
from tunewell.store.tables import COUNTS, dataset, event, experiment, job, report, request, result, trial
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
        visibility: Visibility = "team",
    ) -> None:
        """Add an experiment in state `created`; raise `ConflictError` if the name is taken.

        Its owner is the one in its name; data set, project, tags and description are those of its spec. The goal of the
        spec's objective (`maximize`, if it has none) is the experiment's for good.
        """
        now = or_present(now)
        goal: Goal = spec.get("objective", {}).get("goal", "maximize")
        identity = uuid.uuid4().hex
        new = (
            self._dialect.insert(experiment)
            .values(name=name, identity=identity, goal=goal, spec=spec, home=home, space=space, algorithm=algorithm)
            .values(owner=owner_of(name), visibility=visibility, weight=1.0)
            .values(**labels_of(spec), dataset_id=self._dataset_of(spec))
            .values(created_at=now, state=ExperimentState.CREATED, detail="", notes=[])
            .values(dict.fromkeys(("elapsed_seconds", "cpu_seconds", "gpu_seconds"), 0.0))
            .values(dict.fromkeys(("term", "version", "revision", "noted_trials", *COUNTS.values()), 0))
            .on_conflict_do_nothing()
            .returning(experiment.c.id)
        )
        number = self._execute(new).scalar()
        if number is None:
            raise ConflictError(f"An experiment named '{name}' exists already. Choose another name.")
        self._created[name] = Bound(name, number, identity, goal)
        self._revise(self._created[name])
        self._add_event("created", now, experiment=number)

    def _dataset_of(self, spec: JsonObject) -> int | None:
        """Return the id of the data set that a spec was resolved with; None: with none."""
        if not spec.get("dataset"):
            return None
        name, _, sha256 = spec["dataset"].partition("@")
        these = (dataset.c.name == name, dataset.c.sha256 == sha256, dataset.c.deleted_at.is_(None))
        found = self._execute(select(dataset.c.id).where(*these)).scalar()
        if found is None:
            raise ConflictError(f"The data set '{name}' was deleted in the meantime", field="data")
        return int(found)

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
        values: dict[str, Any] = {"state": new, "ended_at": now if new.final else None, "waits_for": None}
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
        if new.final:
            self._ended[this.id] = now
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
            self._revise(this)
            self._add_event("spec", or_present(now), experiment=this.id, data=changed)

    def set_facts(self, name: str, facts: JsonObject, now: float | None = None) -> None:
        """Set what is no part of the spec: visibility, project, weight, description, tags, when it was deleted."""
        this = self._find(name)
        self._execute(update(experiment).where(experiment.c.id == this.id).values(facts))
        self._revise(this)
        self._add_event("facts", or_present(now), experiment=this.id, data=facts)

    def standing(self, name: str) -> Standing:
        """Return what tells whether an experiment is still as it was read; it stays so until the transaction ends."""
        this = self._find(name)
        query = select(experiment.c.revision, experiment.c.term).where(experiment.c.id == this.id)
        row = self._execute(query).first()
        if row is None:
            raise NotFoundError(f"There is no experiment '{name}'.")
        return Standing(row.revision, row.term)

    def _revise(self, this: Bound) -> None:
        changed = update(experiment).where(experiment.c.id == this.id)
        self._execute(changed.values(revision=self._number))
        self._touch(this)

    def remove_experiment(self, name: str) -> None:
        """Remove an experiment that is in the bin with all that is on record about it; its name is free again.

        Raises `TransitionRefused` if it is not in the bin.
        """
        this = self._find(name)
        row = experiment.c.id == this.id
        if self._execute(select(experiment.c.deleted_at).where(row)).scalar() is None:
            raise TransitionRefused(f"experiment '{name}' is not in the bin: refused to remove it")
        jobs = select(job.c.id).where(job.c.experiment_id == this.id)
        self._execute(delete(event).where(or_(event.c.experiment_id == this.id, event.c.job.in_(jobs))))
        self._execute(delete(request).where(or_(request.c.experiment_id == this.id, request.c.job.in_(jobs))))
        for table in (result, report, trial):
            self._execute(delete(table).where(table.c.experiment_id == this.id))
        self._execute(update(job).where(job.c.after.in_(jobs)).values(after=None))
        self._execute(delete(job).where(job.c.experiment_id == this.id))
        self._execute(delete(experiment).where(row))
        self._touched.pop(this.id, None)
        self.removed.add(name)

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

    def set_resources(self, name: str, resources: JsonObject) -> None:
        """Say what each attempt of an experiment takes; see `Resources.to_json`."""
        this = self._find(name)
        self._execute(update(experiment).where(experiment.c.id == this.id).values(resources=resources))
        self._touch(this)

    def set_wait(self, name: str, waits_for: JsonObject | None) -> None:
        """Say why an experiment starts nothing (see `Reason.to_json`); None: nothing keeps it."""
        this = self._find(name)
        self._execute(update(experiment).where(experiment.c.id == this.id).values(waits_for=waits_for))
        self._touch(this)

    def add_use(
        self, owner: str, name: str | None, cpu_seconds: float, gpu_seconds: float, now: float | None = None
    ) -> None:
        """Add what an attempt has used, in seconds times cores and GPUs, to its user's month and to its experiment."""
        spent = self._spent[owner, month_of(or_present(now))]
        spent[0] += cpu_seconds
        spent[1] += gpu_seconds
        if name is not None:
            sums = self._touch(self._find(name)).sums
            sums["cpu_seconds"] += cpu_seconds
            sums["gpu_seconds"] += gpu_seconds

    def take_over(self, name: str) -> int:
        """Make the caller the owner of an experiment, and return its term: who names an earlier one is refused.

        Raises `ConflictError` for one in the bin.
        """
        this = self._find(name)
        there = (experiment.c.id == this.id, experiment.c.deleted_at.is_(None))
        taken = update(experiment).where(*there).values(term=experiment.c.term + 1, waits_for=None)
        term: int | None = self._execute(taken.returning(experiment.c.term)).scalar()
        if term is None:
            raise ConflictError(f"Experiment '{name}' is in the bin", remedy="Restore it first")
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
