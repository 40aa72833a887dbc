"""How long a search may take, judged by an earlier one that trained the same."""

from __future__ import annotations

import math
from typing import Any

from tunewell.controller.resources import concurrency, plan_resources
from tunewell.schedulers import hardware
from tunewell.service.submission import Plan
from tunewell.service.types import Estimate
from tunewell.spec.declaration import declare
from tunewell.spec.states import TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store

#: How many experiments, the newest, and how many trials of one are looked at.
_EXPERIMENTS, _TRIALS = 100, 50
#: Fields of a spec that say what is trained.
_TRAINED = ("task", "command", "code", "network", "data", "dataset", "working_directory")
_ENDED = (TrialState.SUCCEEDED, TrialState.PRUNED)


def estimate(store: Store, plan: Plan, seen_by: str) -> Estimate | None:
    """Return how long a search takes if its trials take as long as those of the newest one that trained the same.

    None if `seen_by` sees no such search. The epochs must be the same, and the share of the data counts in proportion;
    other hyperparameters, and what else runs on the machine, are not looked at.
    """
    wanted = plan.spec.model_dump(mode="json")
    epochs = declare(plan.space).get("epochs")
    for row in store.experiments(_EXPERIMENTS, seen_by=seen_by):
        if not any(row.counts.get(state) for state in _ENDED) or not _is_alike(row, wanted, epochs):
            continue
        trials = store.trials(row.name, states=_ENDED, limit=_TRIALS)
        whole = (trial for trial in trials if trial.fidelity == 1.0 and trial.resume_from is None)
        costs = [trial.cost_seconds for trial in whole if trial.cost_seconds]
        if costs:
            scale = plan.spec.sampling / row.spec.get("sampling", 1.0)
            trial_seconds = scale * sum(costs) / len(costs)
            return Estimate(seconds=trial_seconds * _rounds(plan), trial_seconds=trial_seconds, experiment=row.name)
    return None


def _is_alike(row: ExperimentRow, wanted: dict[str, Any], epochs: Any) -> bool:
    same = all(row.spec.get(field) == wanted.get(field) for field in _TRAINED)
    known = row.space.get("epochs")
    return same and _without_default(known) == _without_default(epochs)


def _without_default(declaration: Any) -> Any:
    """Return a declaration of a parameter without what is tried first."""
    return {name: value for name, value in (declaration or {}).items() if name != "default"}


def _rounds(plan: Plan) -> int:
    """Return how many trials follow one another."""
    capacity = hardware.machine()
    at_once = concurrency(plan.spec, plan_resources(plan.spec, capacity), capacity, plan.tuner)
    return math.ceil(plan.choice.max_trials / max(1, at_once))
