"""Checks of a spec that go on where one has failed, with what does not depend on it; see `tunewell.spec.problems`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import UserError
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.problems import Problems
from tunewell.spec.rules import KINDS, WORKERS
from tunewell.spec.space import SearchSpace
from tunewell.tasks.catalogue import names_one_task, task_for
from tunewell.tasks.contract import Task

#: Kind → fields that its space, and what its `check` looks at, depend on.
_SEARCHED = {
    "task": ("parameters", "data", "network", "weights"),
    "command": ("parameters",),
    "function": ("parameters",),
    WORKERS: ("parameters",),
}
_LOOKED_AT = {
    "task": ("data", "weights"),
    "command": ("command", "working_directory", "environment", "parameters"),
    "function": ("parameters",),
    WORKERS: ("command", "parameters"),
}


def completed_spec(
    raw: Mapping[str, Any], function: Callable[..., Any] | None, problems: Problems
) -> tuple[dict[str, Any], Task | None]:
    """Return the raw spec with its task's defaults, as far as they can be told, and the task.

    Wrong fields are left out; the task is None where the spec names none, or several.
    """
    given, task = dict(raw), None
    while True:
        try:
            task = task or (task_for(given, function) if names_one_task(given) else None)
            return (task.complete(given) if task else given), task
        except UserError as error:
            problems.add(error)
            field = error.field.partition(".")[0]
            wrong = field if field in given else "data"  # files in it are fields, too
            problems.suspect(wrong)
            if given.pop(wrong, None) is None:
                problems.suspect("objective", "network")
                return given, task


def trained_task(
    spec: ExperimentSpec, function: Callable[..., Any] | None, problems: Problems, known: Task | None
) -> Task | None:
    """Return the task, which is `known` if it has completed the spec; None if what says so is wrong."""
    kinds = KINDS if spec.scheduler != WORKERS else ()
    return None if problems.concern(*kinds, "scheduler") else known or task_for(spec, function)


def searched_space(task: Task, spec: ExperimentSpec, problems: Problems, machines: Capacity) -> SearchSpace | None:
    """Return the space; None if it can't be known. All parameters are looked at, those beside wrong ones, too."""
    if problems.concern(*_SEARCHED[_kind(spec)]):
        return None
    sound = spec
    while True:
        try:
            space = task.space(sound, machines)
        except UserError as error:
            problems.add(error)
            parameters = _apart_from(error.parts, sound.parameters)
            if len(parameters) == len(sound.parameters):
                return None
            sound = sound.model_copy(update={"parameters": parameters})
        else:
            return space if sound is spec else None


def findings_of(task: Task, spec: ExperimentSpec, problems: Problems) -> list[str]:
    """Return what the task finds in data and program, a line each; nothing where these can't be looked at."""
    kind = _kind(spec)
    if not problems.concern(*_LOOKED_AT[kind]) and (kind != "task" or spec.network is not None):
        with problems.gathering():
            return task.check(spec)
    return []


def _kind(spec: ExperimentSpec) -> str:
    return WORKERS if spec.scheduler == WORKERS else next(kind for kind in KINDS if getattr(spec, kind))


def _apart_from(errors: Iterable[UserError], declarations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declarations that the errors are not about, and that depend on none of those."""
    fields = [f"{error.field}." for error in errors]
    right = {
        name: declaration
        for name, declaration in declarations.items()
        if not any(field.startswith(f"parameters.{name}.") for field in fields)
    }
    while True:
        independent = {name: d for name, d in right.items() if _parents(d) & declarations.keys() <= right.keys()}
        if len(independent) == len(right):
            return right
        right = independent


def _parents(declaration: Any) -> set[str]:
    when = declaration.get("when") if isinstance(declaration, Mapping) else None
    return set(when) if isinstance(when, Mapping) else set()
