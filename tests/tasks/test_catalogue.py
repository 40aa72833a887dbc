"""Which task a spec means, and what it adds to the spec."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import parse_spec
from tunewell.tasks.catalogue import TASKS, complete_spec, name_function, task_for
from tunewell.tasks.command import CommandTask
from tunewell.tasks.function import FunctionTask

COMMAND: dict[str, Any] = {"name": "a", "command": ["run"], "objective": "accuracy", "parameters": {"x": [1, 2]}}


def train(x: float) -> float:
    """Return its argument."""
    return x


class Trainer:
    """An object that can be called."""

    def __call__(self, x: float) -> float:
        """Return its argument."""
        return x


@pytest.mark.parametrize("name", TASKS)
def test_built_in_tasks(name: str) -> None:
    """Every built-in task is found by its name, in a raw spec too, and has jobs for what is done after the search."""
    task = task_for({"task": name})
    assert type(task).__name__ == TASKS[name].partition(":")[2]
    assert set(task.jobs) >= {"evaluate", "retrain", "predict", "export-model"}


def test_commands_and_functions() -> None:
    """A spec with a command or a function means the task for it, raw or complete."""
    assert isinstance(task_for(COMMAND), CommandTask)
    assert isinstance(task_for(parse_spec(COMMAND)), CommandTask)
    task = task_for({"function": "m:f"}, train)
    assert isinstance(task, FunctionTask)
    assert task.function is train


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"task": "image-clasification"},
            "task: there is no task 'image-clasification'. Did you mean 'image-classification'?",
        ),
        ({"task": ["a"]}, "task: there is no task ['a']. Known: "),
        ({}, "task: it is missing. Name a built-in `task`, or the `command` that trains."),
    ],
)
def test_no_task(spec: dict[str, Any], message: str) -> None:
    """An unknown task is refused with the nearest one."""
    with pytest.raises(SpecError) as caught:
        task_for(spec)
    assert str(caught.value).startswith(message)


def test_a_built_in_task_completes_its_spec() -> None:
    """A built-in task has a default objective; what the user gave stays."""
    completed = complete_spec({"task": "image-classification", "network": "resnet18", "data": "x", "seed": 3})
    assert completed["objective"]
    assert (completed["network"], completed["seed"]) == ("resnet18", 3)


@pytest.mark.parametrize("raw", [COMMAND, {}, {"task": "image-classification", "command": ["x"]}, {"task": None}])
def test_other_specs_stay_as_they_are(raw: dict[str, Any]) -> None:
    """Commands have nothing to add, and what is wrong is left to validation."""
    assert complete_spec(raw) == raw


@pytest.mark.parametrize(
    ("function", "name", "identity"),
    [
        (train, "train", "train"),
        (functools.partial(train, x=1), "train", "train"),
        (lambda x: x, "lambda", "<lambda>"),
        (Trainer(), "Trainer", "Trainer"),
        (Trainer().__call__, "call__", "Trainer.__call__"),
    ],
)
def test_functions_are_named(function: Any, name: str, identity: str) -> None:
    """A function gives its experiment a name that a spec accepts, and a full name to tell it by."""
    found, full = name_function(function)
    assert found == name
    assert full == f"{__name__}:{identity}"
    assert parse_spec({**COMMAND, "name": found}).name == found


def test_what_can_not_be_called_is_no_function(tmp_path: Path) -> None:
    """Anything but a function is refused."""
    with pytest.raises(SpecError, match=r"^function: 5 can't be called"):
        name_function(5)  # type: ignore[arg-type]
