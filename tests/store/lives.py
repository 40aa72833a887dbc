"""Short ways to bring trials to where a test needs them."""

from __future__ import annotations

from typing import Any

from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store

NAME = "digits"


def create(store: Store, name: str = NAME, goal: str = "maximize") -> None:
    """Create an experiment at time 0."""
    spec = {"max_trials": 10, "objective": {"metric": "loss", "goal": goal}}
    store.create_experiment(name, spec, {"x": {"low": 0, "high": 1}}, {"name": "random"}, now=0.0)


def add(store: Store, number: int, *, fidelity: float = 1.0, name: str = NAME, x: float | None = None) -> None:
    """Add a trial that waits."""
    with store.transaction() as tx:
        tx.add_trial(name, number, {"x": number / 2 if x is None else x}, "random", fidelity, None, now=float(number))


def start(store: Store, number: int, attempt: int = 1, *, now: float = 100.0, name: str = NAME) -> None:
    """Start an attempt of a trial that waits."""
    with store.transaction() as tx:
        tx.start_attempt(AttemptKey(name, number, attempt), now=now)


def finish(
    store: Store,
    number: int,
    state: TrialState = TrialState.SUCCEEDED,
    attempt: int = 1,
    *,
    name: str = NAME,
    **facts: Any,
) -> None:
    """End the running attempt of a trial."""
    end = AttemptEnd(state, **{"now": 110.0, "seconds": 10.0, **facts})
    with store.transaction() as tx:
        tx.finish_trial(AttemptKey(name, number, attempt), end)


def lose(store: Store, number: int, attempt: int = 1, cause: Cause | None = Cause.KILLED, **facts: Any) -> None:
    """Lose the running attempt of a trial."""
    with store.transaction() as tx:
        tx.lose_attempt(AttemptKey(NAME, number, attempt), AttemptEnd(cause=cause, **facts))


def run(
    store: Store,
    number: int,
    value: float | None = None,
    *,
    fidelity: float = 1.0,
    name: str = NAME,
    x: float | None = None,
    **facts: Any,
) -> None:
    """Add a trial, start it and end it."""
    add(store, number, fidelity=fidelity, name=name, x=x)
    start(store, number, name=name)
    finish(store, number, value=value, name=name, **facts)


def report(store: Store, number: int, attempt: int, *steps: tuple[int, float]) -> None:
    """Report the metric `loss` at some steps."""
    with store.transaction() as tx:
        tx.add_reports(AttemptKey(NAME, number, attempt), [Report(step, {"loss": loss}, 0.0) for step, loss in steps])
