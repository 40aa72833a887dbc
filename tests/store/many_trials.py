"""Large experiments over eight parameters, written through the store, for tests and benchmarks."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewell.spec.declaration import parse_space
from tunewell.spec.launch import AttemptKey, Report
from tunewell.spec.states import Cause, ExperimentState, TrialState
from tunewell.store import AttemptEnd, Store

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "momentum": {"low": 0.5, "high": 0.99},
    "dropout": {"low": 0.0, "high": 0.5, "step": 0.05},
    "epochs": {"low": 3, "high": 50},
    "batch_size": {"ordinal": [16, 32, 64, 128]},
    "optimizer": ["sgd", "adam", "adamw"],
    "nesterov": {"choices": [True, False], "when": {"optimizer": "sgd"}},
}
#: Trials that are written in one transaction.
BATCH = 1000
#: So many of the first trials have reports.
WITH_REPORTS = 500


def fill(store: Store, name: str, trials: int) -> None:
    """Write an experiment that is completed, and whose trials have ended in every way, the first ones with reports."""
    objective = {"metric": "accuracy", "goal": "maximize"}
    spec = {"name": name, "command": ["true"], "parameters": SPACE, "objective": objective, "max_trials": trials}
    store.create_experiment(name, spec, SPACE, {"name": "random", "options": {}, "max_trials": trials})
    generator, space = np.random.default_rng(1), parse_space(SPACE)
    with store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.CREATED, ExperimentState.RUNNING)
    for first in range(1, trials + 1, BATCH):
        with store.transaction() as tx:
            for number in range(first, min(first + BATCH, trials + 1)):
                key, value = AttemptKey(name, number, 1), float(generator.random())
                tx.add_trial(name, number, space.sample(generator), _origin(number), 1.0, None)
                tx.start_attempt(key)
                if number <= WITH_REPORTS:
                    tx.add_reports(key, [Report(step, {"accuracy": value * step / 10}, 0.0) for step in range(1, 11)])
                tx.finish_trial(key, end(number, value))
    with store.transaction() as tx:
        tx.set_experiment_state(name, ExperimentState.RUNNING, ExperimentState.COMPLETED)


def _origin(number: int) -> str:
    return "default" if number == 1 else ("random", "model", f"perturbed from trial {number // 2}")[number % 3]


def end(number: int, value: float) -> AttemptEnd:
    """Return how a trial ends."""
    if number % 10 == 0:
        return AttemptEnd(TrialState.FAILED, Cause.CRASHED, "it ended with exit code 1", seconds=1.0)
    state = TrialState.PRUNED if number % 10 == 1 else TrialState.SUCCEEDED
    return AttemptEnd(state, value=value, seconds=1.0, ended_after=float(number))
