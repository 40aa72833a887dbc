"""Errors as a program is told them: in keywords, and without the way that they have come."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from tunewell.spec.errors import ArgumentError, SpecErrors, UserError, closest, shortened
from tunewell.spec.problems import Problems

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

#: Kind of an error → what to do about it in Python.
REMEDIES: Mapping[str, str] = {
    "backup-needed": "Make one (pg_dump), then run `tunewell database upgrade`",
    "database-moved": 'Name that one with `database="{database}"`, or in TUNEWELL_DATABASE',
    "database-not-usable": "Choose another folder with `home=` or TUNEWELL_HOME",
    "experiment-differs": "Give the new one another name with `name=`, leave `name` out, or undo the change",
    "experiment-running": "Wait for it, or give another name with `name=`",
    "functions-not-allowed": "Ask whoever runs it to start it with --allow-functions, or search here, without `server`",
    "folder-busy": "Wait for its end, or choose another `name=` or `home=`",
    "foreign-database": "Give Tunewell one of its own with `home=` or `database=`",
    "home-not-writable": "Choose another with `home=` or TUNEWELL_HOME",
    "newer-database": "Upgrade Tunewell, or use another `home=` or `database=`",
}

#: What stands before the name of a field of the objective, each of which is a keyword here.
_OBJECTIVE = "objective."
_GOAL_MISSING = 'Write goal="maximize" or goal="minimize"; the metric\'s name does not tell'

#: Keyword of another library, or field of a spec, that `search` does not take → what it has instead.
_INSTEAD: Mapping[str, str] = {
    "algo": "algorithm",
    "callback": "on_trial_end",
    "callbacks": "on_trial_end",
    "config": "parameters",
    "direction": "goal",
    "experiment_name": "name",
    "fn": "function",
    "func": "function",
    "group": "project",
    "max_concurrent_trials": "max_concurrency",
    "max_evals": "max_trials",
    "mode": "goal",
    "n_calls": "max_trials",
    "n_iter": "max_trials",
    "n_jobs": "max_concurrency",
    "n_trials": "max_trials",
    "note": "description",
    "notes": "description",
    "num_samples": "max_trials",
    "objective": "metric",
    "param_distributions": "parameters",
    "param_space": "parameters",
    "points_to_evaluate": "initial",
    "pruner": "early_stopping",
    "random_state": "seed",
    "sampler": "algorithm",
    "search_alg": "algorithm",
    "search_space": "parameters",
    "show_progress_bar": "progress",
    "space": "parameters",
    "storage": "database",
    "study_name": "name",
    "time_budget_s": "max_duration",
    "timeout": "max_duration",
    "trainable": "function",
    "tuner": "algorithm",
    "verbose": "progress",
}


@contextmanager
def python_words() -> Iterator[None]:
    """Let errors leave with the remedies that a program has, and without the traces of what they explain."""
    try:
        yield
    except UserError as error:
        raise _worded(error) from None


def front(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Make a function one for programs: errors are worded for them, and a keyword that is none names the right one."""
    known = inspect.signature(function).parameters

    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            _check_keywords(function.__name__, kwargs, known)
            return function(*args, **kwargs)
        except UserError as error:
            raise _worded(error) from None

    return called


def _worded(error: UserError) -> UserError:
    told = copy.copy(error)  # without the way that it has come
    told.remedy = REMEDIES.get(error.kind, error.remedy)
    if isinstance(told, SpecErrors):
        told.errors = tuple(map(_worded, told.errors))
    elif error.field.startswith(_OBJECTIVE):
        told.field = error.field.removeprefix(_OBJECTIVE)
        told.remedy = _GOAL_MISSING if told.field == "goal" and "`goal: " in error.remedy else told.remedy
    return told


def _check_keywords(called: str, given: Collection[str], known: Collection[str]) -> None:
    problems = Problems()
    for keyword in given:
        if keyword not in known:
            problems.add(
                ArgumentError(shortened(keyword, 60), f"{called}() has no such argument", _meant(keyword, known))
            )
    problems.raise_any("The call")


def _meant(keyword: str, known: Collection[str]) -> str:
    near = _INSTEAD.get(keyword)
    near = near if near in known else closest(keyword, known)
    return f"Did you mean '{near}'" if near else "Known: " + ", ".join(known)
