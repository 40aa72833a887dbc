"""How long a search may take: judged by an earlier one that trained the same, or measured by a few steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewell.controller.loading import fixed_epochs
from tunewell.controller.resources import concurrency, plan_resources
from tunewell.service.advice import ample
from tunewell.service.measuring import Measured, known, measure
from tunewell.service.submission import Plan
from tunewell.service.types import Estimate
from tunewell.spec.declaration import declare
from tunewell.spec.errors import UserError, count
from tunewell.spec.experiment import PROMOTIONS
from tunewell.spec.format import roughly
from tunewell.spec.quantities import format_duration
from tunewell.spec.rules import RAY, WORKERS
from tunewell.spec.states import LINEAR_PROBE, TrialState
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tuners.catalogue import rungs_of
from tunewell.tuners.promotion import ETA

#: How many experiments, the newest, and how many trials of one are looked at.
_EXPERIMENTS, _TRIALS = 100, 50
#: Fields of a spec that say what is trained.
_TRAINED = ("task", "command", "code", "network", "data", "dataset", "working_directory")
#: Those of them without which nothing says it: only its program knows what a function, or a worker, does.
_SAYING = ("task", "command")
#: Parameters that say how much of it there is to be done: the time goes by them as by nothing else.
_LENGTHENING = ("epochs", "image_size", "tiles")
#: A search with fewer trials has hardly begun.
_FEW = 5


@dataclass(frozen=True, slots=True)
class _Basis:
    """What tells how long a trial takes."""

    trial_seconds: float
    experiment: str = ""
    trials: int = 0
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class _Whole:
    """What follows for all trials, each trained in full."""

    at_once: int
    seconds: float
    #: How many of them the search has time for.
    room: int


def estimate(
    store: Store | None, plan: Plan, seen_by: str, measures: bool, claims: Path | None = None
) -> tuple[Estimate | None, str]:
    """Return how long a search takes, or else why that could not be measured.

    The newest search of those that `seen_by` sees which trained the same tells best. Epochs, image sizes and tiles must
    be the same, and the share of the data counts in proportion; other hyperparameters, and what else runs on the
    machine, are not looked at. Where there is none it is measured, if it is wanted (`measures`), with what is free of
    this machine by the file of `claims`. Nothing tells that a function, or what workers do on their own, trains the
    same; and this machine does not tell how fast the nodes of a cluster are.
    """
    basis = _earlier(store, plan, seen_by) if store is not None else None
    if basis is None and plan.spec.scheduler == RAY:
        why = "How long a trial takes on the cluster can't be measured here: its nodes are other machines."
        return None, why if measures else ""
    if basis is None and plan.spec.task is not None:
        resources = plan_resources(plan.spec, plan.machines)
        try:
            measured = measure(plan, resources, claims) if measures else known(plan, resources)
        except UserError as error:
            return None, f"How long a trial takes can't be measured: {str(error).removesuffix('.')}."
        basis = _Basis(measured.seconds, measured=measured) if measured is not None else None
    elif basis is None and measures:
        return None, "How long a trial takes can't be measured: what it does, only its program knows."
    return (None if basis is None else _estimate(plan, basis)), ""


def _earlier(store: Store, plan: Plan, seen_by: str) -> _Basis | None:
    wanted = plan.spec.model_dump(mode="json")
    if not any(wanted.get(field) for field in _SAYING):
        return None
    space = declare(plan.space)
    for row in store.experiments(_EXPERIMENTS, seen_by=seen_by):
        if not row.counts.get(TrialState.SUCCEEDED) or not _is_alike(row, wanted, space):
            continue
        trials = store.trials(row.name, states=(TrialState.SUCCEEDED,), limit=_TRIALS)
        costs = [trial.cost_seconds for trial in trials if trial.cost_seconds and _is_whole(trial)]
        if costs:
            scale = plan.spec.sampling / row.spec.get("sampling", 1.0)
            return _Basis(scale * sum(costs) / len(costs), row.name, len(costs))
    return None


def _is_whole(trial: TrialRow) -> bool:
    """Whether a trial was trained in full, from the start, and as others are: a linear probe takes far less."""
    in_full = trial.fidelity == 1.0 and trial.resume_from is None and trial.cut_by is None
    return in_full and trial.origin != LINEAR_PROBE


def _is_alike(row: ExperimentRow, wanted: dict[str, Any], space: Mapping[str, Any]) -> bool:
    same = all(row.spec.get(field) == wanted.get(field) for field in _TRAINED)
    alike = (_without_default(row.space.get(name)) == _without_default(space.get(name)) for name in _LENGTHENING)
    return same and all(alike)


def _without_default(declaration: Any) -> Any:
    """Return a declaration of a parameter without what is tried first."""
    return {name: value for name, value in (declaration or {}).items() if name != "default"}


def _estimate(plan: Plan, basis: _Basis) -> Estimate:
    """Return what follows for the whole search, and what is too short for it."""
    seconds, measured = max(basis.trial_seconds, 1e-3), basis.measured
    whole = _whole(plan, seconds)
    prepare_seconds = plan.task.passes(plan.space) * measured.pass_seconds if measured is not None else None
    return Estimate(
        seconds=whole.seconds if whole is not None else None,
        trial_seconds=seconds,
        room=whole.room if whole is not None else None,
        experiment=basis.experiment,
        trials=basis.trials,
        epochs=measured.epochs if measured is not None else None,
        steps=measured.steps if measured is not None else None,
        step_seconds=measured.step_seconds if measured is not None else None,
        prepare_seconds=prepare_seconds,
        told=_trial_told(basis)
        + (_search_told(plan, whole) if whole is not None else "")
        + _told_before(prepare_seconds),
        warnings=tuple(_warnings(plan, basis, whole)),
    )


def _mean_share(plan: Plan) -> float:
    """Return how much of a full training a trial gets, on average, of a search that trains configurations in parts."""
    rule, rounds = plan.spec.early_stopping, plan.choice.options.get("rounds")
    if rounds is not None:
        return 1.0 / int(rounds)
    if rule not in PROMOTIONS:
        return 1.0
    shares = rungs_of(rule, fixed_epochs(plan.space))
    before = (0.0, *shares) if rule == "promotion" else (0.0,) * len(shares)  # which goes on from a checkpoint
    costs = [share - done for share, done in zip(shares, before, strict=False)]
    numbers = [float(ETA) ** -rung for rung in range(len(shares))]
    return math.fsum(cost * number for cost, number in zip(costs, numbers, strict=True)) / math.fsum(numbers)


def _whole(plan: Plan, trial_seconds: float) -> _Whole | None:
    """Return what follows for all trials; None: as many run at once as there are workers, which nobody knows."""
    spec, most = plan.spec, plan.choice.max_trials
    if spec.scheduler == WORKERS and spec.max_concurrency is None:
        return None
    capacity = plan.machines
    at_once = max(1, min(concurrency(spec, plan_resources(spec, capacity), capacity, plan.tuner), most))
    seconds = _mean_share(plan) * trial_seconds
    room = at_once * int(spec.max_duration.total_seconds() / seconds)
    return _Whole(at_once, seconds * math.ceil(most / at_once), room)


def _trial_told(basis: _Basis) -> str:
    measured = basis.measured
    if measured is None:
        how = f"by {count(basis.trials, 'trial')} of {basis.experiment}"
        return f"A trial takes about {roughly(basis.trial_seconds)} ({how})."
    length = f"{count(measured.epochs, 'epoch')} of {count(measured.steps, 'step')}"
    how = f"{length}, {measured.step_seconds:.2g} s a step, measured"
    return f"A trial in full takes about {roughly(basis.trial_seconds)} here ({how})."


def _search_told(plan: Plan, whole: _Whole) -> str:
    most, room = plan.choice.max_trials, whole.room
    what = "trials" if _mean_share(plan) == 1.0 else "parts of trainings"
    how = f"{whole.at_once} at once" if whole.at_once > 1 else "one at a time"
    if room < most:
        limit = format_duration(plan.spec.max_duration)
        return f" With {how}, max_duration {limit} has room for about {room} of {most} {what}." if room else ""
    if most == 1:
        return ""
    less = "" if plan.spec.early_stopping == "off" else ", less where they are stopped early"
    return f" All {most} {what} take about {roughly(whole.seconds)}, {how}{less}."


def _told_before(prepare_seconds: float | None) -> str:
    """Return what is to be said of the time before the first trial, which `max_duration` does not count."""
    if prepare_seconds is None or prepare_seconds < 1:
        return ""
    return f" Before that the data are prepared, which takes about {roughly(prepare_seconds)} the first time."


def _warnings(plan: Plan, basis: _Basis, whole: _Whole | None) -> list[str]:
    spec, seconds, warnings = plan.spec, basis.trial_seconds, []
    limit = spec.max_trial_duration
    if limit is not None and limit.total_seconds() < seconds:
        where, measured = "", basis.measured
        if measured is not None:
            done = int(max(0.0, limit.total_seconds() - measured.once_seconds) / measured.epoch_seconds)
            where = f" in epoch {done + 1} of {measured.epochs}"
        more = format_duration(ample(1.5 * seconds))
        warnings.append(f"Trials would be cut off{where} by max_trial_duration {format_duration(limit)}: give {more}.")
    if whole is not None and whole.room < min(_FEW, plan.choice.max_trials):
        trials = f"about {count(whole.room, 'trial')}" if whole.room else "no trial"
        short, more = format_duration(spec.max_duration), format_duration(ample(whole.seconds))
        warnings.append(f"max_duration {short} has room for {trials}: give {more}.")
    return warnings
