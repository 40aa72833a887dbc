"""A Python function as a task.

The function is pickled into the experiment's folder, and every trial loads it in a process of its own. (The
inline scheduler calls it directly and needs no pickle.) One that was sent to a service lies in the folder of its code.
"""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tunewell.spec.capacity import Capacity
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import NotFoundError, SpecError, nearest
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.space import Configuration, SearchSpace
from tunewell.tasks import sent_function
from tunewell.tasks.command import code_of
from tunewell.tasks.contract import Network, OnProgress, PlannedAttempt, Program
from tunewell.tasks.pickling import pickled
from tunewell.trial.context import current
from tunewell.trial.files import beside
from tunewell.trial.function import call, takes_trial

_FILE = "function.pkl"
_FILE_VARIABLE = "TUNEWELL_FUNCTION_FILE"


class FunctionTask:
    """Calls a function with a trial's parameters; see `tunewell.trial.function.call`."""

    networks: ClassVar[Mapping[str, Network]] = {}
    default_network: ClassVar[str] = ""
    jobs: ClassVar[Mapping[str, str]] = {}
    predictor: ClassVar[str | None] = None
    answering: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ("tunewell.tasks.function",)
    structural: ClassVar[tuple[str, ...]] = ()

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        """Take the function; without one, trials run the one that was pickled before."""
        self.function = function

    def require(self) -> None:
        """Do nothing: a base install runs a function."""

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Return the spec as it is: a function has no defaults to add."""
        return dict(spec)

    def space(self, spec: ExperimentSpec, capacity: Capacity) -> SearchSpace:
        """Return the space that the spec declares, whatever the machines."""
        del capacity
        return parse_space(spec.parameters)

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return nothing: of somebody else's program nothing is known."""
        del spec, space
        return []

    def passes(self, space: SearchSpace) -> int:
        """Return 0: there is nothing to prepare that takes long."""
        del space
        return 0

    def resumable(self, spec: ExperimentSpec) -> bool:
        """What the spec says: a function doesn't show it."""
        return bool(spec.resumable)

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Compare the function's arguments with the parameters.

        Raises:
            SpecError: the function can't be called with the parameters, or none was sent that can be read here.
        """
        if self.function is not None:
            check_function(self.function, parse_space(spec.parameters))
            if spec.code is not None:
                raise SpecError("code", "a function needs none", "Drop it", spec.code)
        elif spec.working_directory is not None:
            sent_function.find(spec.working_directory)
        return []

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> None:
        """Return nothing: the data are a matter of the program."""
        del spec, progress

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Pickle the function into the experiment's folder.

        Raises:
            SpecError: it can't be pickled; names what in it can't.
            NotFoundError: there is no function, neither given nor pickled before.
        """
        del cache, progress
        path = folder / _FILE
        if spec.code is not None:
            return []
        if self.function is None:
            if not path.exists():
                raise NotFoundError(
                    f"Experiment '{spec.name}' searches over the Python function {spec.function}, which is not at hand",
                    remedy="Run the program that calls tunewell.search again",
                )
            return []
        function = pickled(self.function, ", or use scheduler='inline'")
        content = pickle.dumps((_import_path(), os.getcwd(), function))  # noqa: PTH109
        folder.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        temporary.write_bytes(content)
        temporary.replace(path)
        return []

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Do nothing: data and weights are a matter of the program."""
        del spec, folder

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return what loads the function and calls it: an entry, or a command if somebody has sent it."""
        del attempt
        if spec.code is not None and spec.working_directory is not None:
            return sent_function.program(spec.working_directory)
        return Program(
            entry="tunewell.tasks.function:run",
            preload=self.preload,
            environment={_FILE_VARIABLE: str(folder / _FILE)},
            working_directory=folder,
        )

    def inputs(self, spec: ExperimentSpec, folder: Path, configurations: Sequence[Configuration]) -> tuple[Path, ...]:
        """Return the folder that the function was sent in, or the file that it was pickled into."""
        del configurations
        return code_of(spec) or (folder / _FILE,)


def run(folder: Path) -> None:
    """Call the pickled function for the attempt in `folder`, where and with what modules it was pickled."""
    del folder  # the environment names it, too
    path, working_directory, content = pickle.loads(Path(os.environ[_FILE_VARIABLE]).read_bytes())
    sys.path[:0] = [entry for entry in path if entry not in sys.path]
    os.chdir(working_directory)
    call(pickle.loads(content), current(), os.environ["TUNEWELL_METRIC"])


def _import_path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 ('' means the working directory)


def check_function(function: Callable[..., Any], space: SearchSpace) -> None:
    """Raise `SpecError` if a function can't be called with the parameters of a space."""
    _check_kind(function)
    _check_arguments(function, space)


def _check_kind(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SpecError("function", "it is a generator", "Give a plain function that returns when training is over")
    if inspect.iscoroutinefunction(function):
        raise SpecError("function", "it is asynchronous", "Give a plain function that returns when training is over")


def _check_arguments(function: Callable[..., Any], space: SearchSpace) -> None:
    try:
        arguments = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return  # written in C, perhaps: its first call will tell
    if takes_trial(function):
        arguments.pop("trial")
        if "trial" in space:
            raise SpecError("parameters.trial", "the function takes the trial itself by that name", "Rename it")
    for name, argument in arguments.items():
        if argument.kind is argument.POSITIONAL_ONLY:
            raise SpecError("function", f"its argument '{name}' can't be given by name", "Drop the '/' behind it")
    kinds = {argument.kind for argument in arguments.values()}
    named = {
        name: argument
        for name, argument in arguments.items()
        if argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
    }
    for name in space.names:
        if name not in named and inspect.Parameter.VAR_KEYWORD not in kinds:
            remedy = nearest(name, named) or "Add it to the function's arguments"
            raise SpecError(f"parameters.{name}", "the function takes no argument of that name", remedy)
    for name, argument in named.items():
        if argument.default is argument.empty:
            _check_always_given(name, space)


def _check_always_given(name: str, space: SearchSpace) -> None:
    if name not in space:
        raise SpecError(
            "function",
            f"its argument '{name}' is not among the parameters",
            "Declare it in `parameters`, or give it a default",
        )
    if space[name].when:
        raise SpecError(
            "function",
            f"its argument '{name}' is missing while the parameter is not active",
            f"Give it a default, such as `{name}=None`",
        )
