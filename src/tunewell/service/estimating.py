"""How long a search may take: judged by an earlier one that trained the same, or measured by a few steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tunewell.controller.resources import concurrency, plan_resources
from tunewell.schedulers import hardware
from tunewell.service.advice import ample
from tunewell.service.measuring import Measured, known, measure
from tunewell.service.submission import Plan
from tunewell.service.types import Estimate
from tunewell.spec.declaration import declare
from tunewell.spec.errors import UserError, count
from tunewell.spec.format import roughly
from tunewell.spec.quantities import format_duration
from tunewell.spec.states import TrialState
from tunewell.store.rows import ExperimentRow
from tunewell.store.store import Store

#: How many experiments, the newest, and how many trials of one are looked at.
_EXPERIMENTS, _TRIALS = 100, 50
#: Fields of a spec that say what is trained.
_TRAINED = ("task", "command", "code", "network", "data", "dataset", "working_directory")
_ENDED = (TrialState.SUCCEEDED, TrialState.PRUNED)
#: A search with fewer trials has hardly begun.
_FEW = 5


@dataclass(frozen=True, slots=True)
class _Basis:
    """What tells how long a trial takes."""

    trial_seconds: float
    experiment: str = ""
    trials: int = 0
    measured: Measured | None = None


def estimate(store: Store | None, plan: Plan, seen_by: str, measures: bool) -> tuple[Estimate | None, str]:
    """Return how long a search takes, or else why that could not be measured.

    The newest search of those that `seen_by` sees which trained the same tells best. The epochs must be the same, and
    the share of the data counts in proportion; other hyperparameters, and what else runs on the machine, are not looked
    at. Where there is none it is measured, if it is wanted (`measures`).
    """
    basis = _earlier(store, plan, seen_by) if store is not None else None
    if basis is None and plan.spec.task is not None:
        resources = plan_resources(plan.spec, hardware.machine())
        try:
            measured = measure(plan, resources) if measures else known(plan, resources)
        except UserError as error:
            return None, f"How long a trial takes can't be measured: {str(error).removesuffix('.')}."
        basis = _Basis(measured.seconds, measured=measured) if measured is not None else None
    elif basis is None and measures:
        return None, "How long a trial takes can't be measured: what it does, only its program knows."
    return (None if basis is None else _estimate(plan, basis)), ""


def _earlier(store: Store, plan: Plan, seen_by: str) -> _Basis | None:
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
            return _Basis(scale * sum(costs) / len(costs), row.name, len(costs))
    return None


def _is_alike(row: ExperimentRow, wanted: dict[str, Any], epochs: Any) -> bool:
    same = all(row.spec.get(field) == wanted.get(field) for field in _TRAINED)
    known = row.space.get("epochs")
    return same and _without_default(known) == _without_default(epochs)


def _without_default(declaration: Any) -> Any:
    """Return a declaration of a parameter without what is tried first."""
    return {name: value for name, value in (declaration or {}).items() if name != "default"}


def _estimate(plan: Plan, basis: _Basis) -> Estimate:
    """Return what follows for the whole search, and what is too short for it."""
    seconds, most = max(basis.trial_seconds, 1e-3), plan.choice.max_trials
    at_once = min(_at_once(plan), most)
    room = at_once * int(plan.spec.max_duration.total_seconds() / seconds)
    total = seconds * math.ceil(most / at_once)
    measured = basis.measured
    return Estimate(
        seconds=total,
        trial_seconds=seconds,
        room=room,
        experiment=basis.experiment,
        trials=basis.trials,
        epochs=measured.epochs if measured is not None else None,
        steps=measured.steps if measured is not None else None,
        step_seconds=measured.step_seconds if measured is not None else None,
        told=_trial_told(basis) + _search_told(plan, total, room, at_once),
        warnings=tuple(_warnings(plan, basis, total, room)),
    )


def _at_once(plan: Plan) -> int:
    capacity = hardware.machine()
    return max(1, concurrency(plan.spec, plan_resources(plan.spec, capacity), capacity, plan.tuner))


def _trial_told(basis: _Basis) -> str:
    measured = basis.measured
    if measured is None:
        how = f"by {count(basis.trials, 'trial')} of {basis.experiment}"
        return f"A trial takes about {roughly(basis.trial_seconds)} ({how})."
    length = f"{count(measured.epochs, 'epoch')} of {count(measured.steps, 'step')}"
    how = f"{length}, {measured.step_seconds:.2g} s a step, measured"
    return f"A trial in full takes about {roughly(basis.trial_seconds)} here ({how})."


def _search_told(plan: Plan, total: float, room: int, at_once: int) -> str:
    most = plan.choice.max_trials
    how = f"{at_once} at once" if at_once > 1 else "one at a time"
    if room < most:
        limit = format_duration(plan.spec.max_duration)
        return f" With {how}, max_duration {limit} has room for about {room} of {most} trials." if room else ""
    if most == 1:
        return ""
    return f" All {most} trials take about {roughly(total)}, {how}, less where they are stopped early."


def _warnings(plan: Plan, basis: _Basis, total: float, room: int) -> list[str]:
    spec, seconds, warnings = plan.spec, basis.trial_seconds, []
    limit = spec.max_trial_duration
    if limit is not None and limit.total_seconds() < seconds:
        where, measured = "", basis.measured
        if measured is not None:
            done = int(max(0.0, limit.total_seconds() - measured.once_seconds) / measured.epoch_seconds)
            where = f" in epoch {done + 1} of {measured.epochs}"
        more = format_duration(ample(1.5 * seconds))
        warnings.append(f"Trials would be cut off{where} by max_trial_duration {format_duration(limit)}: give {more}.")
    if room < min(_FEW, plan.choice.max_trials):
        trials = f"about {count(room, 'trial')}" if room else "no trial"
        short, more = format_duration(spec.max_duration), format_duration(ample(total))
        warnings.append(f"max_duration {short} has room for {trials}: give {more}.")
    return warnings
