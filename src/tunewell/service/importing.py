"""Trials from elsewhere as a recorded, finished experiment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewell.service.idempotency import Asked, settled
from tunewell.service.submission import Plan, make_plan, visibility_of
from tunewell.service.types import JsonObject, Submission
from tunewell.spec.declaration import declare
from tunewell.spec.errors import DataError
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.names import IMPORTED
from tunewell.spec.space import Choice, Configuration, SearchSpace, misfit
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import AttemptEnd
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ImportedTrial:
    """A finished trial from elsewhere, checked against the space."""

    parameters: Configuration
    #: A final one.
    state: TrialState
    #: Finite value of the objective metric, in the metric's own scale; None if there is none.
    value: float | None
    cause: Cause | None = None
    #: Share of the full training, in (0, 1].
    fidelity: float = 1.0
    #: Wall time that it took.
    cost_seconds: float = 0.0
    #: Finite values of the objective metric at each step: step → value.
    curve: Mapping[int, float] = field(default_factory=dict)


def import_trials(
    store: Store, raw: Mapping[str, Any], read: Callable[[Plan], Sequence[ImportedTrial]], origin: str, asked: Asked
) -> Submission:
    """Record the trials that `read` gives as an experiment, which the spec `raw` describes; see `record`."""

    def act() -> JsonObject:
        plan = make_plan(raw)
        answer = Submission(name=plan.spec.name, kind="finished").to_json()
        record(store, plan, read(plan), origin, lambda tx: asked.answer(tx, answer))
        return answer

    return Submission.model_validate(settled(store, asked, act))


def record(
    store: Store,
    plan: Plan,
    trials: Sequence[ImportedTrial],
    origin: str,
    also: Callable[[Transaction], None] = lambda tx: None,
) -> None:
    """Record trials as a completed experiment, all or nothing.

    Args:
        store: where.
        plan: says the experiment's name, space and objective.
        trials: in the order in which they get numbers, from 1 on.
        origin: where they come from, for people.
        also: what else is done in the same transaction.

    Raises:
        DataError: there are no trials.
        ConflictError: the name is taken.
    """
    if not trials:
        raise DataError("there is no finished trial", field=origin, remedy="Nothing was imported")
    visibility = visibility_of(store, plan.spec)
    name, metric, now = plan.spec.name, plan.spec.objective.metric, time.time()
    algorithm = {"name": IMPORTED, "reason": "", "version": 1, "max_trials": len(trials), "options": {}, "sources": []}
    with store.transaction() as tx:
        also(tx)
        spec, space = plan.spec.model_dump(mode="json"), declare(plan.space)
        tx.create_experiment(name, spec, space, algorithm, now, visibility=visibility)
        tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING, now=now)
        for number, trial in enumerate(trials, 1):
            started = now - trial.cost_seconds
            tx.add_trial(name, number, trial.parameters, IMPORTED, trial.fidelity, None, started)
            key = AttemptKey(name, number, 1)
            tx.start_attempt(key, now=started)
            reports = [Report(step, {metric: value}, now) for step, value in sorted(trial.curve.items())]
            tx.add_reports(key, reports)
            end = AttemptEnd(trial.state, trial.cause, value=trial.value, seconds=trial.cost_seconds, now=now)
            tx.finish_trial(key, end)
        tx.add_elapsed(name, sum(trial.cost_seconds for trial in trials))
        tx.set_experiment_state(
            name, ExperimentState.RUNNING, ExperimentState.COMPLETED, detail=f"Imported from {origin}.", now=now
        )


def check_parameters(place: str, space: SearchSpace, given: Mapping[str, Any]) -> Configuration:
    """Return the configuration of `space` in `given`; constants may be missing, inactive parameters are dropped.

    Raises:
        DataError: a value is missing or outside its domain; the message begins with `place`, such as `a.csv, row 3`.
    """
    configuration: Configuration = {}
    for parameter in space:
        if not space.is_active(parameter, configuration):
            continue
        where = f"{place}, parameter '{parameter.name}'"
        if parameter.name in given:
            value = given[parameter.name]
        elif parameter.size == 1:
            value = parameter.from_unit(0.5)
        else:
            raise DataError(
                "there is no value, but it is active here", field=where, remedy="Give one, or leave the trial out"
            )
        if not parameter.contains(value):
            remedy = "Add it to the spec's values" if isinstance(parameter, Choice) else "Have the spec's range hold it"
            raise DataError(
                misfit(parameter, value),
                field=where,
                remedy=f"{remedy}, or leave the trial out. A search that starts from these trials may have a narrower "
                "space",
            )
        configuration[parameter.name] = parameter.canonical(value)
    return configuration
