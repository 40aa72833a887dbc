"""Starting is recovering: from what the store says to a trial manager that goes on.

What became of the attempts that were running the scheduler finds out: its answers come as events, like all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tunewell.controller.attempts import holds_checkpoint
from tunewell.controller.losses import Losses
from tunewell.controller.retention import Retention
from tunewell.controller.sequence import Sequence
from tunewell.controller.stop_rules import Progress
from tunewell.controller.surroundings import Surroundings
from tunewell.controller.trial_manager import Helpers, Setting, TrialManager, WaitingTrial
from tunewell.controller.tuner_calls import TunerCalls, convergence
from tunewell.controller.verdict import RunningTrial
from tunewell.spec.launch import AttemptKey, Launch
from tunewell.spec.states import LOST_CAUSES, Cause, TrialState
from tunewell.store.rows import HistoryEntry, TrialRow
from tunewell.store.store import Store
from tunewell.tuners.contract import Outcome, Suggestion, Tuner


def recover(
    surroundings: Surroundings, setting: Setting, tuner: Tuner, max_trials: int, helpers: Helpers
) -> TrialManager:
    """Return the manager of an experiment, new or known, with each unfinished trial on its way or waiting.

    `tuner` has no history yet. Takes as long as the history is long; writes nothing.
    """
    store = surroundings.store
    name = setting.name
    progress = Progress(max_trials=max_trials, elapsed_seconds=store.experiment(name).elapsed_seconds)
    entries = in_tuners_order(store.history(name))
    curves = store.curves(name, setting.spec.objective.metric)
    told = 0
    replayed: list[tuple[HistoryEntry, Suggestion | Outcome]] = []
    for entry in entries:
        event = _tuner_event(entry, curves)
        tuner.replay([event])
        told += isinstance(event, Outcome)
        replayed.append((entry, event))
    keeps = Retention(setting.spec).applies
    calls = TunerCalls(tuner, helpers.tuning, told, setting.spec.stop_when_converged, keeps)
    manager = TrialManager(setting, progress, calls, helpers, surroundings.clock, surroundings.monotonic)
    for entry, event in replayed:
        _take_note(manager, entry, event)
    for row in _unfinished(store, name):
        suggestion = manager.suggestions[row.number]
        earlier = manager.ended.pop(row.number, None)
        if earlier is not None:
            progress.note_retry(earlier)
        manager.costs[row.number] = row.cost_seconds
        manager.losses[row.number] = _losses(store, name, row.number)
        curve = curves.get(row.number, {}) if _reported_before_a_loss(store, name, row.number) else {}
        if row.state is TrialState.WAITING:
            manager.waiting.append(WaitingTrial(suggestion, row.attempt, curve))
        else:
            _adopt(manager, suggestion, row, curve)
    if setting.spec.stop_when_converged:
        progress.convergence = convergence(tuner)
    return manager


def in_tuners_order(history: Iterable[HistoryEntry]) -> Iterator[HistoryEntry]:
    """Yield the history in the order in which the tuner did it.

    While a tuner works a suggestion out, outcomes are recorded that it does not know yet: those come after it.
    """
    outcomes: list[HistoryEntry] = []
    given = 0
    for entry in history:
        if entry.kind == "ended":
            outcomes.append(entry)
            continue
        known = len(outcomes) if entry.known is None else entry.known
        yield from outcomes[given:known]
        given = max(given, known)
        yield entry
    yield from outcomes[given:]


def _take_note(manager: TrialManager, entry: HistoryEntry, event: Suggestion | Outcome) -> None:
    if isinstance(event, Suggestion):
        manager.note_suggestion(event)
        return
    s, progress = manager.setting, manager.progress
    objective = s.spec.objective
    earlier = manager.ended.get(event.number)
    if earlier is not None:
        progress.note_retry(earlier)
    manager.ended[event.number] = event.state
    progress.note_end(objective, event.state, event.objective)
    if manager.retention.applies:
        suggestion = manager.suggestions[event.number]
        folder = s.home.attempt(AttemptKey(s.name, event.number, entry.attempt), entry.identity)
        manager.retention.note_end(suggestion, folder, event.state, event.objective, manager.wanted_checkpoints())
    if event.objective is not None:
        progress.note_value(objective, event.number, event.objective)


def _tuner_event(entry: HistoryEntry, curves: Mapping[int, Mapping[int, float]]) -> Suggestion | Outcome:
    if entry.kind == "suggested":
        return Suggestion(
            entry.number, dict(entry.parameters or {}), entry.origin or "", entry.fidelity or 1.0, entry.resume_from
        )
    assert entry.state is not None
    curve = curves.get(entry.number, {})
    return Outcome(entry.number, entry.state, entry.value, entry.cause, entry.cost_seconds or 0.0, curve)


def _losses(store: Store, name: str, number: int) -> Losses:
    last_steps = store.last_steps(name, number)
    losses = Losses()
    for attempt in store.attempts(name, number):
        if attempt.state == TrialState.RUNNING.value:
            break
        if attempt.state != "lost":  # it had ended, and was begun again
            losses = Losses()
            continue
        # On a full disk most attempts could not even begin.
        was_lost = attempt.cause in LOST_CAUSES and attempt.cause is not Cause.DISK_FULL
        losses.note(last_steps.get(attempt.attempt), was_lost)
    return losses


def _reported_before_a_loss(store: Store, name: str, number: int) -> bool:
    """Whether the latest attempt to report was lost: what one has reported that failed does not count for the next."""
    latest = max(store.last_steps(name, number), default=None)
    return any(one.attempt == latest and one.state == "lost" for one in store.attempts(name, number))


def _unfinished(store: Store, name: str) -> Iterator[TrialRow]:
    after = 0
    while page := store.trials(name, states=(TrialState.WAITING, TrialState.RUNNING), after=after):
        yield from page
        after = page[-1].number


def _adopt(manager: TrialManager, suggestion: Suggestion, row: TrialRow, curve: Mapping[int, float]) -> None:
    s = manager.setting
    launch = s.launch(suggestion, row.attempt, row.identity or "")
    started_at = row.started_at if row.started_at is not None else manager.clock()
    sequence = Sequence(s.spec.objective.metric)
    running = RunningTrial(suggestion, launch, started_at, manager.monotonic(), sequence)
    manager.running[row.number] = running
    if row.attempt > 1 and holds_checkpoint(launch.folder / "checkpoint"):
        running.earlier = curve


def launches(manager: TrialManager) -> list[Launch]:
    """Return the attempts that the store calls running: what the scheduler has to find out about."""
    return [trial.launch for trial in manager.running.values()]
