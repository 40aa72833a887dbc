"""Which tasks there are, and which one a spec means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from tunewell.spec.errors import SpecError, nearest, shown
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.rules import KINDS, WORKERS
from tunewell.tasks.command import CommandTask
from tunewell.tasks.contract import Task
from tunewell.tasks.function import FunctionTask
from tunewell.tasks.workers import WorkersTask

Function = Callable[..., Any]

#: Built-in tasks: name → `module:class`. They are imported when they are first asked for.
TASKS: Mapping[str, str] = {
    "image-classification": "tunewell.tasks.image_classification.task:ImageClassification",
    "multilabel-classification": "tunewell.tasks.image_classification.task:MultilabelClassification",
    "object-detection": "tunewell.tasks.object_detection.task:ObjectDetection",
    "instance-segmentation": "tunewell.tasks.object_detection.task:InstanceSegmentation",
}


def task_for(spec: ExperimentSpec | Mapping[str, Any], function: Function | None = None) -> Task:
    """Return the task that a spec, complete or raw, says is trained.

    Args:
        spec: with one of `task`, `command` and `function`.
        function: the Python function itself, where the spec names one and it is at hand.

    Raises:
        SpecError: there is no such task, or the spec says nothing about what is trained.
    """
    fields = spec if isinstance(spec, Mapping) else dict(spec)
    if fields.get("scheduler") == WORKERS:
        return WorkersTask()
    if fields.get("task"):
        return _built_in(fields["task"])
    if fields.get("command"):
        return CommandTask()
    if fields.get("function"):
        return FunctionTask(function)
    raise SpecError("task", "it is missing", "Name a built-in `task`, or the `command` that trains")


def complete_spec(raw: Mapping[str, Any], function: Function | None = None) -> dict[str, Any]:
    """Return the raw spec with its task's defaults filled in.

    A spec that names no task, or several, comes back as it is: validation says what is wrong with it.

    Raises:
        UserError: there is no such task, or it needs its data to complete the spec and can't read them.
    """
    return task_for(raw, function).complete(raw) if names_one_task(raw) else dict(raw)


def names_one_task(raw: Mapping[str, Any]) -> bool:
    """Whether a raw spec says in one way, as it must, what is trained."""
    return raw.get("scheduler") == WORKERS or len([kind for kind in KINDS if raw.get(kind)]) == 1


def name_function(function: Function) -> tuple[str, str]:
    """Return the name that an experiment over `function` has by default, and the function's own full name.

    Raises:
        SpecError: it can't be called.
    """
    if not callable(function):
        raise SpecError("function", f"{shown(function)} can't be called", "Give a Python function")
    named = getattr(function, "func", function)  # functools.partial
    if not hasattr(named, "__qualname__"):
        named = type(named)
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "", named.__name__).lstrip("_.-") or "function"
    return name[:100], f"{named.__module__}:{named.__qualname__}"


def _built_in(name: Any) -> Task:
    if not isinstance(name, str) or name not in TASKS:
        raise SpecError("task", f"there is no task {shown(name)}", nearest(str(name), TASKS))
    module, _, class_name = TASKS[name].partition(":")
    task: Task = getattr(import_module(module), class_name)()
    return task
