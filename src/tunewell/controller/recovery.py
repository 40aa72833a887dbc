"""Starting is recovering: from what the store says and what really lives to a trial manager that goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tunewell.controller.attempts import build_launch
from tunewell.controller.sequence import Sequence
from tunewell.controller.stop_rules import Progress
from tunewell.controller.trial_manager import Experiment, RunningTrial, TrialManager, WaitingTrial
from tunewell.spec.launch import AttemptKey, Ended, Exit
from tunewell.spec.states import LOST_CAUSES, Cause, TrialState
from tunewell.store.rows import AttemptRow, HistoryEntry, TrialRow
from tunewell.store.store import Store
from tunewell.tuners.contract import Outcome, Suggestion


def recover(
    store: Store,
    experiment: Experiment,
    max_trials: int,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> TrialManager:
    """Return the manager of an experiment, new or known, with each unfinished trial adopted or requeued."""
    name = experiment.name
    progress = Progress(max_trials=max_trials, elapsed_seconds=store.experiment(name).elapsed_seconds)
    manager = TrialManager(experiment, progress, partial(store.attempts, name), clock, monotonic)
    _replay(store, manager)
    for row in _unfinished(store, name):
        suggestion = experiment.tuner.suggestions[row.number]
        if row.number in experiment.tuner.outcomes:
            progress.note_retry(experiment.tuner.outcomes[row.number].state)
        manager.costs[row.number] = row.cost_seconds
        manager.losses[row.number] = sum(map(_counts_as_lost, store.attempts(name, row.number)))
        if row.state is TrialState.WAITING:
            manager.waiting.append(WaitingTrial(suggestion, row.attempt))
        else:
            _adopt(manager, suggestion, row)
    manager.examine_convergence()
    return manager


def _replay(store: Store, manager: TrialManager) -> None:
    e = manager.experiment
    objective = e.spec.objective
    curves = store.curves(e.name, objective.metric)
    for entry in store.history(e.name):
        event = _tuner_event(entry, curves)
        earlier = e.tuner.outcomes.get(entry.number)
        e.tuner.replay([event])
        if isinstance(event, Suggestion):
            manager.progress.suggested += 1
            continue
        if earlier is not None:
            manager.progress.note_retry(earlier.state)
        manager.progress.note_end(objective, event.state, event.objective)
        suggestion = e.tuner.suggestions[event.number]
        folder = e.home.attempt(AttemptKey(e.name, event.number, entry.attempt), entry.identity)
        manager.retention.note_end(suggestion, folder, event.state, event.objective, manager.wanted_checkpoints())
        if event.objective is not None:
            manager.progress.note_value(objective, event.number, event.objective)


def _tuner_event(entry: HistoryEntry, curves: Mapping[int, Mapping[int, float]]) -> Suggestion | Outcome:
    if entry.kind == "suggested":
        return Suggestion(
            entry.number, dict(entry.parameters or {}), entry.origin or "", entry.fidelity or 1.0, entry.resume_from
        )
    assert entry.state is not None
    curve = curves.get(entry.number, {})
    return Outcome(entry.number, entry.state, entry.value, entry.cause, entry.cost_seconds or 0.0, curve)


def _counts_as_lost(attempt: AttemptRow) -> bool:
    # On a full disk most attempts could not even begin.
    return attempt.cause in LOST_CAUSES and attempt.cause is not Cause.DISK_FULL


def _unfinished(store: Store, name: str) -> Iterator[TrialRow]:
    after = 0
    while page := store.trials(name, states=(TrialState.WAITING, TrialState.RUNNING), after=after):
        yield from page
        after = page[-1].number


def _adopt(manager: TrialManager, suggestion: Suggestion, row: TrialRow) -> None:
    e = manager.experiment
    launch = build_launch(e.spec, e.task, e.home, e.resources, suggestion, row.attempt, row.identity or "")
    started_at = row.started_at if row.started_at is not None else manager.clock()
    manager.running[row.number] = RunningTrial(
        suggestion, launch, started_at, manager.monotonic(), Sequence(e.spec.objective.metric)
    )
    if e.scheduler.adopt(launch) == "unknown":
        detail = "It was running when the controller ended, and did not live on."
        manager.on_event(Ended(launch.key, Exit(Cause.NODE_LOST, detail)))
