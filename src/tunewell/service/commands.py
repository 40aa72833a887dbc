"""What the controller of an experiment is asked for: to stop, pause and go on, and to run trials again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunewell.service.idempotency import Asked, once
from tunewell.service.imported import check_searched
from tunewell.service.types import JsonObject
from tunewell.spec.errors import ConflictError
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store.rows import ExperimentRow, TrialRow
from tunewell.store.store import Store
from tunewell.store.transaction import Transaction

#: What an experiment that has ended needs to be paused or to go on.
_LET_GO_ON = "Raise the limit that has ended it"
_RETRIED = (TrialState.FAILED, TrialState.STOPPED)


def stop(store: Store, name: str, asked: Asked) -> None:
    """Ask for the end of an experiment; raise `ConflictError` if it has ended."""

    def act(tx: Transaction) -> JsonObject:
        _check_goes_on(store.experiment(name))
        tx.add_request(name, "stop")
        return {}

    once(store, asked, act)


def pause(store: Store, name: str, asked: Asked) -> None:
    """Ask for a pause; raise `ConflictError` if there is nothing to pause."""

    def act(tx: Transaction) -> JsonObject:
        row = store.experiment(name)
        _check_goes_on(row, _LET_GO_ON)
        if row.state not in (ExperimentState.CREATED, ExperimentState.RUNNING):
            raise ConflictError(f"Experiment '{name}' does not run (it is {row.state})")
        tx.add_request(name, "pause")
        return {}

    once(store, asked, act)


def resume(store: Store, name: str, asked: Asked) -> None:
    """Ask for the end of a pause; raise `ConflictError` if it is neither paused nor about to be."""

    def act(tx: Transaction) -> JsonObject:
        row = store.experiment(name)
        _check_goes_on(row, _LET_GO_ON)
        is_asked = any(request.verb == "pause" for request in store.requests(name))
        if row.state is not ExperimentState.PAUSED and not is_asked:
            raise ConflictError(f"Experiment '{name}' is not paused (it is {row.state})")
        tx.add_request(name, "resume")
        return {}

    once(store, asked, act)


def stop_trial(store: Store, name: str, number: int, asked: Asked) -> None:
    """Ask for the end of a trial; raise `ConflictError` if it has ended."""

    def act(tx: Transaction) -> JsonObject:
        _check_goes_on(store.experiment(name))
        if store.trial(name, number).state.final:
            raise ConflictError(f"Trial {number} of '{name}' has ended already")
        tx.add_request(name, "stop_trial", number)
        return {}

    once(store, asked, act)


def retry(store: Store, name: str, numbers: Sequence[int], cause: Cause | None, asked: Asked) -> tuple[int, ...]:
    """Ask for another attempt at trials: those named, those that failed for a cause, or all that failed.

    Raises:
        ConflictError: a named trial has not failed, or none has.
    """

    def act(tx: Transaction) -> JsonObject:
        tx.standing(name)  # from here on, nobody else writes
        check_searched(store.experiment(name))
        chosen = list(dict.fromkeys(numbers))
        for number in chosen:
            state = store.trial(name, number).state
            if state not in _RETRIED:
                raise ConflictError(f"Trial {number} of '{name}' is {state}: only failed and stopped ones are retried")
        if not chosen:
            chosen = [trial.number for trial in _failed(store, name, cause)]
        if not chosen:
            which = f" with cause {cause}" if cause else ""
            raise ConflictError(f"Experiment '{name}' has no failed trial{which}")
        tx.let_go_on(name)
        tx.add_request(name, "retry", data={"trials": chosen})
        return {"trials": chosen}

    return tuple(once(store, asked, act)["trials"])


def _check_goes_on(row: ExperimentRow, remedy: str = "") -> None:
    if row.state.final:
        what, kind = f"Experiment '{row.name}' has ended already (it is {row.state})", "has-ended" if remedy else ""
        raise ConflictError(what, remedy=remedy, kind=kind, experiment=row.name)


def _failed(store: Store, name: str, cause: Cause | None) -> Iterator[TrialRow]:
    after = 0
    while page := store.trials(name, states=(TrialState.FAILED,), cause=cause, after=after):
        yield from page
        after = page[-1].number
