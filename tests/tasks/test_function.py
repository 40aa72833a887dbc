"""Python functions as tasks: arguments against parameters, pickling, the call in a process of its own."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import NotFoundError, SpecError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import AttemptKey
from tunewell.tasks import sent_function
from tunewell.tasks.contract import PlannedAttempt
from tunewell.tasks.function import FunctionTask

SPACE: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 0.1, "log": True},
    "optimizer": ["sgd", "adamw"],
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
}


def make_spec(parameters: dict[str, Any] | None = None) -> ExperimentSpec:
    """Return a spec over a function."""
    return parse_spec(
        {
            "name": "sweep",
            "function": "module:train",
            "objective": {"metric": "accuracy", "goal": "maximize"},
            "parameters": SPACE if parameters is None else parameters,
        }
    )


def prepare(function: Callable[..., Any] | None, folder: Path) -> None:
    """Prepare an experiment over `function` in `folder`."""
    task, spec = FunctionTask(function), make_spec()
    task.prepare(spec, task.space(spec, Capacity(())), folder, folder, lambda what, done, total: None)


def run_trial(folder: Path, parameters: dict[str, Any], *, where: Path) -> list[dict[str, Any]]:
    """Run one prepared attempt in a process of its own that starts in `where`; return its reports."""
    attempt = PlannedAttempt(AttemptKey("sweep", 1, 1), folder / "trials" / "1" / "1", parameters)
    attempt.folder.mkdir(parents=True)
    (attempt.folder / "parameters.json").write_text(json.dumps(parameters))
    program = FunctionTask().program(make_spec(), folder, attempt)
    assert program.entry is not None
    module, _, name = program.entry.partition(":")
    environment = {
        **os.environ,
        **program.environment,
        "TUNEWELL_TRIAL_FOLDER": str(attempt.folder),
        "TUNEWELL_METRIC": "accuracy",
    }
    code = f"from pathlib import Path; from {module} import {name}; {name}(Path({str(attempt.folder)!r}))"
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=where, check=True, timeout=60)
    return [json.loads(line)["metrics"] for line in (attempt.folder / "reports.jsonl").read_text().splitlines()]


# Arguments


class Trainer:
    """An object that can be called."""

    def __call__(self, lr: float, optimizer: str, momentum: float = 0.0) -> float:
        """Take the parameters."""
        return lr

    def train(self, lr: float, optimizer: str, momentum: float = 0.0) -> float:
        """Take the parameters."""
        return lr


@pytest.mark.parametrize(
    "function",
    [
        lambda lr, optimizer, momentum=None: 0.0,
        lambda trial, lr, optimizer, momentum=None: 0.0,
        lambda **parameters: 0.0,
        lambda trial, **parameters: 0.0,
        lambda lr, *, optimizer, momentum=0.9, other=5: 0.0,
        functools.partial(lambda lr, optimizer, data, momentum=0: 0.0, data=3),
        Trainer(),
        Trainer().train,
    ],
)
def test_functions_that_fit(function: Callable[..., Any]) -> None:
    """Each parameter has its argument, each argument a parameter or a default."""
    assert FunctionTask(function).check(make_spec()) == []


def generator(lr: float, optimizer: str, momentum: float = 0) -> Iterator[float]:
    """Yield instead of returning."""
    yield lr


async def asynchronous(lr: float, optimizer: str, momentum: float = 0) -> float:
    """Return something to be awaited."""
    return lr


async def both(lr: float, optimizer: str, momentum: float = 0) -> AsyncIterator[float]:
    """Yield things to be awaited."""
    yield lr


def positional(lr: float, /, optimizer: str, momentum: float = 0) -> float:
    """Take one argument by place only."""
    return lr


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda lr, optimiser, momentum=0: 0.0,
            "parameters.optimizer: the function takes no argument of that name. Did you mean 'optimiser'?",
        ),
        (
            lambda: 0.0,
            "parameters.lr: the function takes no argument of that name. Add it to the function's arguments.",
        ),
        (
            lambda lr, optimizer, epochs, momentum=0: 0.0,
            "function: its argument 'epochs' is not among the parameters. Declare it in `parameters`, or give it a "
            "default.",
        ),
        (
            lambda lr, optimizer, momentum: 0.0,
            "function: its argument 'momentum' is missing while the parameter is not active. Give it a default, such "
            "as `momentum=None`.",
        ),
        (positional, "function: its argument 'lr' can't be given by name. Drop the '/' behind it."),
        (generator, "function: it is a generator. Give a plain function that returns when training is over."),
        (asynchronous, "function: it is asynchronous. Give a plain function that returns when training is over."),
        (both, "function: it is a generator. Give a plain function that returns when training is over."),
    ],
)
def test_functions_that_do_not_fit(function: Callable[..., Any], message: str) -> None:
    """What does not fit is named, with its remedy, before anything starts."""
    with pytest.raises(SpecError) as caught:
        FunctionTask(function).check(make_spec())
    assert str(caught.value) == message


def test_a_parameter_can_not_be_the_trial() -> None:
    """Where the function takes the trial, no parameter has that name."""
    with pytest.raises(SpecError, match=r"^parameters\.trial: the function takes the trial itself by that name"):
        FunctionTask(lambda trial: 0.0).check(make_spec({"trial": [1, 2]}))


def test_without_the_function_there_is_nothing_to_check() -> None:
    """Another process can look at an experiment whose function it does not have."""
    assert FunctionTask().check(make_spec()) == []


# Pickling and running


def test_a_closure_runs_in_another_process(tmp_path: Path) -> None:
    """A nested function with what it closes over is called there with the parameters, and its result recorded."""
    scale = 10

    def train(trial: Any, lr: float, optimizer: str, momentum: float | None = None) -> float:
        trial.report(accuracy=lr, step=1)
        return lr * scale

    prepare(train, tmp_path)
    assert run_trial(tmp_path, {"lr": 0.5, "optimizer": "adamw"}, where=tmp_path) == [
        {"accuracy": 0.5},
        {"accuracy": 5.0},
    ]


def test_modules_beside_the_program_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a module that lies beside the user's program is found by the trial, and so are its files."""
    code, home = tmp_path / "code", tmp_path / "home"
    code.mkdir()
    (code / "trainer_of_test.py").write_text(
        "from pathlib import Path\ndef train(lr, optimizer, momentum=0):\n    return float(Path('value').read_text())\n"
    )
    (code / "value").write_text("0.25")
    monkeypatch.chdir(code)
    monkeypatch.syspath_prepend(code)
    module = importlib.import_module("trainer_of_test")
    prepare(module.train, home)
    assert run_trial(home, {"lr": 0.5, "optimizer": "sgd"}, where=tmp_path) == [{"accuracy": 0.25}]


@pytest.mark.parametrize("kind", ["closure", "partial", "attribute"])
def test_what_can_not_be_pickled_is_named(tmp_path: Path, kind: str) -> None:
    """The error names the object that can't be sent to another process; nothing is written."""
    lock = threading.Lock()
    trainer = Trainer()
    trainer.lock = lock  # type: ignore[attr-defined]
    functions: dict[str, Callable[..., Any]] = {
        "closure": lambda lr: lock.acquire() and lr,
        "partial": functools.partial(lambda lr, lock: lr, lock=lock),
        "attribute": trainer,
    }
    with pytest.raises(SpecError) as caught:
        prepare(functions[kind], tmp_path)
    assert str(caught.value) == (
        "function: it can't be sent to another process, because of 'lock' (lock). "
        "Make that inside the function, or use scheduler='inline'."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_function_that_can_not_be_sent(tmp_path: Path) -> None:
    """For one that a service is to call, no way to call it here is offered."""
    lock = threading.Lock()
    with pytest.raises(SpecError, match=r"because of 'lock' \(lock\)\. Make that inside the function\.$"):
        sent_function.write(lambda lr: lock.acquire() and lr, tmp_path)


def test_a_search_goes_on_without_the_function(tmp_path: Path) -> None:
    """Once pickled, the function need not be at hand; without either, the remedy is to run the program again."""
    with pytest.raises(NotFoundError, match=r"'sweep' searches over the Python function module:train, which is not"):
        prepare(None, tmp_path)
    prepare(lambda lr, optimizer, momentum=0: lr, tmp_path)
    prepare(None, tmp_path)
    assert run_trial(tmp_path, {"lr": 0.5, "optimizer": "sgd"}, where=tmp_path) == [{"accuracy": 0.5}]
