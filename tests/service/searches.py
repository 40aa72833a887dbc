"""Searches in which anything may happen to any trial."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import NotFoundError, TransitionRefused
from tunewell.spec.launch import AttemptKey
from tunewell.spec.states import Cause, TrialState
from tunewell.store import AttemptEnd, Store

#: Every kind of parameter: scales, steps, choices that look alike, conditions, the name of another column.
SPACE: Mapping[str, Any] = {
    "lr": {"low": 1e-5, "high": 1e-1, "log": True},
    "drop": {"low": 0.0, "high": 0.5, "step": 0.1},
    "epochs": {"low": 1, "high": 4},
    "layers": {"low": 1, "high": 64, "log": True},
    "optimizer": ["sgd", "adam, weighted", "1..2"],
    "batch": {"ordinal": [16, 32, 64]},
    "flag": [True, False, None, 1, "true"],
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
    "value": {"low": 0, "high": 3},
    "fixed": 7,
}
ORIGINS = ("default", "random", "model", "perturbed from trial 1", "child of trials 1 and 2", "read in the stars")
FINAL = [state for state in TrialState if state.final]


@dataclass(frozen=True)
class Step:
    """Something that may happen to a trial."""

    verb: str
    number: int
    final: TrialState
    value: float | None


STEPS = st.builds(
    Step,
    st.sampled_from(["add", "add", "start", "start", "finish", "finish", "lose", "stop", "retry", "live", "live"]),
    st.integers(1, 4),
    st.sampled_from(FINAL),
    st.sampled_from([None, -0.5, 0.0, 0.25, 0.25, 1e9]),
)


def create(store: Store, name: str, goal: str = "maximize") -> None:
    """Create an experiment over the space."""
    spec = {"name": name, "command": ["true"], "max_trials": 100, "objective": {"metric": "loss", "goal": goal}}
    store.create_experiment(name, spec, dict(SPACE), {"name": "random", "max_trials": 100}, now=0.0)


def take(store: Store, name: str, step: Step) -> None:
    """Have something happen, if it is possible; each `add` adds one more trial, and `live` ends one of its own."""
    if step.verb in ("add", "live"):
        number = sum(store.counts(name).values()) + 1
        _add(store, name, number)
        if step.verb == "live":
            for verb in ("start", "finish"):
                take(store, name, Step(verb, number, step.final, step.value))
        return
    with suppress(NotFoundError, TransitionRefused):
        row = store.trial(name, step.number)
        key = AttemptKey(name, step.number, row.attempt + (step.verb == "start"))
        with store.transaction() as tx:
            match step.verb:
                case "start":
                    tx.start_attempt(key, now=10.0 * step.number)
                case "finish":
                    cause = list(Cause)[step.number % len(Cause)] if step.final is TrialState.FAILED else None
                    after = 20.0 * step.number if step.value else None
                    end = AttemptEnd(step.final, cause, value=step.value, seconds=1.5, now=20.0, ended_after=after)
                    tx.finish_trial(key, end)
                case "lose":
                    tx.lose_attempt(key, AttemptEnd(cause=Cause.KILLED, seconds=0.5))
                case "stop":
                    tx.stop_waiting(name, step.number)
                case "retry":
                    tx.retry_trial(name, step.number)


def _add(store: Store, name: str, number: int) -> None:
    generator = np.random.default_rng(number)
    configuration = parse_space(SPACE).sample(generator)
    with store.transaction() as tx:
        origin, parent = ORIGINS[number % len(ORIGINS)], number - 1 if number % 3 == 0 else None
        tx.add_trial(name, number, configuration, origin, 0.5 if number % 4 == 0 else 1.0, parent, float(number))
