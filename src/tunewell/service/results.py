"""What a search brought: the answer to every front."""

from __future__ import annotations

from tunewell.home.home import Home
from tunewell.service import on_record, wire
from tunewell.service.advice import advise
from tunewell.service.repeats import repeats_of
from tunewell.service.types import Failures, Finalist, SearchResult, TrialResult
from tunewell.service.uncertainty import uncertainty_of
from tunewell.service.verbs import TOP
from tunewell.spec.states import TIME_LIMITS, TrialState
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.tasks.command import fill_in, placeholders


def search_result(store: Store, home: Home, name: str) -> SearchResult:
    """Return what an experiment has brought so far; raises `NotFoundError`."""
    return result_of(store, home, store.experiment(name))


def result_of(store: Store, home: Home, row: ExperimentRow) -> SearchResult:
    """Return what the experiment of a row has brought so far."""
    name = row.name
    objective = wire.objective_of(row)
    best = store.top(name, TOP)
    top = tuple(map(wire.trial_result, best))
    default = default_trial(store, row)
    found = tuple(on_record.finalists(store, home, row))
    evaluated = on_record.evaluated(store, name)
    return SearchResult(
        experiment=name,
        project=row.project,
        tags=row.tags,
        description=row.description,
        state=row.state,
        stop_rule=row.stop_rule,
        detail=row.detail or "",
        objective=objective,
        best=next(iter(top), None),
        default=wire.trial_result(default) if default else None,
        top=top,
        trials=row.counts,
        elapsed_seconds=round(row.elapsed_seconds, 3),
        notes=(*row.notes, *_notes_on_trials(store, name)),
        failures=_failures(store, row),
        advice=advise(row, best, store.cut_trials(name, TIME_LIMITS)),
        test=on_record.test_values(evaluated, objective.metric),
        uncertainty=uncertainty_of(store, row, default, evaluated),
        finalists=found,
        repeats=repeats_of(store, row),
        rank_agreement=on_record.rank_agreement(found),
        command=command_by_hand(row, best[0]) if best else (),
    )


def finalists(store: Store, home: Home, name: str) -> tuple[Finalist, ...]:
    """Return the best trials of a search on a sample that were trained on all data, best first."""
    return tuple(on_record.finalists(store, home, store.experiment(name)))


def _failures(store: Store, row: ExperimentRow) -> tuple[Failures, ...]:
    if not row.counts.get(TrialState.FAILED):
        return ()
    found = store.failures(row.name)
    first = {trial.number: trial for trial in store.trials_of(row.name, [one.first for one in found])}
    return tuple(
        Failures(cause=one.cause, trials=one.trials, number=one.first, detail=first[one.first].detail)
        for one in found
        if one.first in first
    )


def _notes_on_trials(store: Store, name: str) -> list[str]:
    number, first = store.noted(name)
    if first is None:
        return []
    more = f" There are notes on {number - 1} more: tunewell show {name} TRIAL." if number > 1 else ""
    return [f"Trial {first.number}: {first.notes[0]}{more}"]


def default_trial(store: Store, row: ExperimentRow) -> TrialRow | None:
    """Return the trial that trained the default configuration in full; None if there is none with a value.

    In a population that is the last of the trials that went on from the default one without a change.
    """
    if row.default_trial is None:
        return None
    trial = store.trial(row.name, row.default_trial)
    return trial if wire.is_full_training(trial) else None


def command_by_hand(row: ExperimentRow, trial: TrialRow) -> tuple[str, ...]:
    """Return the command of a trial, writing into folders below the working directory; empty where there is none.

    There is none that would do the same by itself for a trial that went on from another one's checkpoint, or of a
    program that reads parameters from a file or its environment.
    """
    command = row.spec.get("command")
    if not command or trial.resume_from is not None:
        return ()
    given = {name for argument in command for name in placeholders(argument)}
    if "parameters_file" in given or not trial.parameters.keys() <= given:
        return ()
    places = {"output_dir": "output", "checkpoint_dir": "checkpoint", "trial_folder": "."}
    facts = {"trial": trial.number, "attempt": 1, "experiment": row.name, "sampling": 1.0, "fidelity": 1.0}
    return fill_in(command, {**trial.parameters, **places, **facts})


def lineage(store: Store, name: str, trial: TrialRow) -> list[TrialRow]:
    """Return the trials whose checkpoints led to this one, the first one first, and the trial itself."""
    found = [trial]
    while found[0].resume_from is not None:
        found.insert(0, store.trial(name, found[0].resume_from))
    return found


def best_trials(store: Store, name: str, number: int) -> tuple[TrialResult, ...]:
    """Return the best `number` trials of an experiment, best first; raises `NotFoundError`."""
    return tuple(wire.trial_result(trial) for trial in store.top(name, number))
