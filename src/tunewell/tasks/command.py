"""A command in any language as a task: placeholders filled in, no shell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from tunewell.spec.capacity import Capacity
from tunewell.spec.declaration import PARAMETER_NAME, parse_space
from tunewell.spec.errors import SpecError, ended, listed, nearest, shortened, shown
from tunewell.spec.experiment import ExperimentSpec
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN, Found
from tunewell.spec.space import Configuration, SearchSpace, Value
from tunewell.tasks.contract import Network, OnProgress, PlannedAttempt, Program
from tunewell.tasks.program_check import Place, check_program

#: Placeholders that every command may use, besides its parameters, and what they stand for.
RESERVED: Mapping[str, str] = {
    "output_dir": "folder for whatever is to be kept of the trial, such as models",
    "checkpoint_dir": "folder of the trial's checkpoint; it holds the one to go on from, if there is any",
    "trial_folder": "the attempt's own folder",
    "parameters_file": "JSON file with the trial's parameters",
    "trial": "number of the trial",
    "attempt": "number of the attempt at the trial",
    "experiment": "name of the experiment",
    "sampling": "share of the training data to use",
    "fidelity": "share of the full training that the trial gets",
}

# `{name}` is a placeholder, `{{name}}` the text `{name}`; other braces, as in JSON, are just text.
_PLACEHOLDER = re.compile(rf"\{{\{{(?P<text>{PARAMETER_NAME.pattern})\}}\}}|\{{(?P<name>{PARAMETER_NAME.pattern})\}}")
_SHELL_MARK = re.compile(r"\||\|\||&|&&|;|<|[12&]?>>?|2>&1")
_BARE_OPTION = re.compile(r"--?[A-Za-z][\w\-.]*")


class CommandTask:
    """Runs a program with a trial's parameters in its arguments, its environment and a file."""

    networks: ClassVar[Mapping[str, Network]] = {}
    default_network: ClassVar[str] = ""
    jobs: ClassVar[Mapping[str, str]] = {}
    predictor: ClassVar[str | None] = None
    answering: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ()
    structural: ClassVar[tuple[str, ...]] = ()

    def require(self) -> None:
        """Do nothing: a base install runs a command."""

    def complete(self, spec: Mapping[str, object]) -> dict[str, object]:
        """Return the spec as it is: a command has no defaults to add."""
        return dict(spec)

    def space(self, spec: ExperimentSpec, capacity: Capacity) -> SearchSpace:
        """Return the space that the spec declares, whatever the machines.

        Raises:
            SpecError: a declaration is wrong, or a name can't be given to a program.
        """
        del capacity
        return declared_space(spec)

    def promising(self, spec: ExperimentSpec, space: SearchSpace) -> list[tuple[str, Configuration]]:
        """Return nothing: of somebody else's program nothing is known."""
        del spec, space
        return []

    def passes(self, space: SearchSpace) -> int:
        """Return 0: there is nothing to prepare that takes long."""
        del space
        return 0

    def resumable(self, spec: ExperimentSpec) -> bool:
        """What the spec says, or else whether the command takes checkpoints and fidelity."""
        if spec.resumable is not None:
            return spec.resumable
        return {"checkpoint_dir", "fidelity"} <= {name for text in spec.command or () for name in placeholders(text)}

    def check(self, spec: ExperimentSpec) -> list[str]:
        """Look whether the program and its script are there, and whether the placeholders are right.

        Raises:
            SpecError: a placeholder is unknown, or the program can't be run.
        """
        command, space = spec.command or (), declared_space(spec)
        notes = check_placeholders(spec, space)
        place = Place(spec.working_directory, is_sent=spec.code is not None, environment=spec.environment)
        found = check_program(command, place)
        return [found, *notes]

    def view(self, spec: ExperimentSpec, progress: OnProgress) -> None:
        """Return nothing: the data are a matter of the program."""
        del spec, progress

    def prepare(
        self, spec: ExperimentSpec, space: SearchSpace, folder: Path, cache: Path, progress: OnProgress
    ) -> list[str]:
        """Do nothing: trials of a command share nothing."""
        del spec, space, folder, cache, progress
        return []

    def check_same(self, spec: ExperimentSpec, folder: Path) -> None:
        """Do nothing: data and weights are a matter of the program."""
        del spec, folder

    def program(self, spec: ExperimentSpec, folder: Path, attempt: PlannedAttempt) -> Program:
        """Return the command with its placeholders filled in."""
        del folder
        return program_of(spec.command or (), attempt, working_directory(spec), spec.metric_pattern)

    def inputs(self, spec: ExperimentSpec, folder: Path, configurations: Sequence[Configuration]) -> tuple[Path, ...]:
        """Return the folder of the command's code, if that is in the home."""
        del folder, configurations
        return code_of(spec)


def program_of(
    command: Sequence[str], attempt: PlannedAttempt, directory: Path, metric_pattern: str | None = None
) -> Program:
    """Return how a command runs an attempt in a folder: with its placeholders filled in."""
    values = {
        **attempt.parameters,
        "output_dir": str(attempt.folder / "artifacts"),
        "checkpoint_dir": str(attempt.folder / "checkpoint"),
        "trial_folder": str(attempt.folder),
        "parameters_file": str(attempt.folder / "parameters.json"),
        "trial": attempt.key.trial,
        "attempt": attempt.key.attempt,
        "experiment": attempt.key.experiment,
        "sampling": attempt.sampling,
        "fidelity": attempt.fidelity,
    }
    return Program(
        command=fill_in(command, values),
        environment={variable(name): value_text(value) for name, value in attempt.parameters.items()},
        working_directory=directory,
        metric_pattern=metric_pattern or DEFAULT_METRIC_PATTERN,
    )


def check_placeholders(spec: ExperimentSpec, space: SearchSpace) -> list[str]:
    """Look whether the placeholders of a command are right; return what people may not have meant so.

    Raises:
        SpecError: one is not.
    """
    command = spec.command or ()
    used = [name for argument in command for name in placeholders(argument)]
    for name in used:
        if name not in space and name not in RESERVED:
            text = shortened(name, 60)
            raise SpecError(
                "command",
                f"{{{text}}} is no parameter",
                nearest(name, [*space.names, *RESERVED]) + f"; write {{{{{text}}}}} to mean the text {{{text}}}",
            )
    program = command[0]
    if any(name in space and space[name].when for name in placeholders(program)):
        raise SpecError("command.0", f"{shown(program)} depends on a parameter that is not always active", "Change it")
    return [*_notes_on_shell(command), *_notes_on_placeholders(space, used), *_notes_on_sampling(spec, used)]


def placeholders(argument: str) -> list[str]:
    """Return the names of the placeholders in one argument, in order."""
    return [match["name"] for match in _PLACEHOLDER.finditer(argument) if match["name"]]


def fill_in(command: Sequence[str], values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the command with placeholders replaced.

    An argument with a placeholder that has no value (a parameter that is not active) is dropped, together with
    an option in front of it that it is the value of: `--momentum {momentum}`.
    """
    filled: list[str] = []
    for place, argument in enumerate(command):
        if all(name in values for name in placeholders(argument)):
            filled.append(_PLACEHOLDER.sub(lambda match: _replacement(match, values), argument))
        elif place > 1 and not argument.startswith("-") and _BARE_OPTION.fullmatch(command[place - 1]):
            filled.pop()
    return tuple(filled)


def _replacement(match: re.Match[str], values: Mapping[str, Value]) -> str:
    return f"{{{match['text']}}}" if match["text"] else value_text(values[match["name"]])


def value_text(value: Value) -> str:
    """Return a parameter's value as a program gets it: floats read back exactly; `true`, `false` and `null`."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, float) and value < 0 and "e" in text:
        return f"{Decimal(text):f}"  # parsers of arguments take `-1e-05` for an option
    return text


def variable(name: str) -> str:
    """Return the environment variable that gives a parameter's value to a program."""
    return "TUNEWELL_PARAMETER_" + "".join(letter if letter.isalnum() else "_" for letter in name.upper())


def _check_variables(space: SearchSpace) -> None:
    """Raise `SpecError` if one parameter's variable would replace another's."""
    owners: dict[str, str] = {}
    for name in space.names:
        owner = owners.setdefault(variable(name), name)
        if owner != name:
            complaint = f"a program can't tell it from '{owner}': both are ${variable(name)}"
            raise SpecError(f"parameters.{name}", complaint, "Rename one of them")


def working_directory(spec: ExperimentSpec) -> Path:
    """Return the folder that a command runs in."""
    return spec.working_directory or Path.cwd()


def code_of(spec: ExperimentSpec) -> tuple[Path, ...]:
    """Return the folder in the home with the code of a spec; nothing, if that is not in the home."""
    return (spec.working_directory,) if spec.code is not None and spec.working_directory is not None else ()


def tell_of_line(spec: ExperimentSpec, found: Found) -> str:
    """Return a sentence on what the rule for metric lines has found in a line."""
    metric, metrics = spec.objective.metric, found.metrics
    at = "" if found.step is None else f" at step {found.step}"
    if found.is_unread:
        others = "".join(f"; found {name} = {value:g}" for name, value in metrics.items())
        return f"The line names '{metric}', but its value can't be read. Print `{metric}=0.5`, say{others}."
    if not metrics:
        rule = "metric_pattern" if spec.metric_pattern else "the rule"
        return f"No metric: {rule} finds none in this line. Print `{metric}=0.5`, say, or set `metric_pattern`."
    told = ", ".join(f"{name} = {value:g}" for name, value in metrics.items())
    if metric in metrics:
        return f"Found {told}{at}."
    return f"Found {told}{at}, but not the objective '{metric}'. {ended(nearest(metric, metrics))}"


def declared_space(spec: ExperimentSpec) -> SearchSpace:
    """Return the space that a spec declares for a program.

    Raises:
        SpecError: a declaration is wrong, or a name can't be given to a program.
    """
    space = parse_space(spec.parameters)
    for name in space.names:
        if name in RESERVED:
            raise SpecError(
                f"parameters.{name}", f"{{{name}}} stands for something else: {RESERVED[name]}", "Rename it"
            )
    _check_variables(space)
    return space


def _notes_on_shell(command: Sequence[str]) -> list[str]:
    marks = [argument for argument in command if _SHELL_MARK.fullmatch(argument)]
    if not marks:
        return []
    return [f"The program gets {marks[0]} as an argument, for no shell is involved; [bash, -c, '…'] runs one."]


def _notes_on_placeholders(space: SearchSpace, used: Sequence[str]) -> list[str]:
    unused = [name for name in space.names if name not in used]
    if not unused:
        return []
    them = "it" if len(unused) == 1 else "them"
    return [
        f"Not in the command: {listed(unused)}. The program must read {them} from the file "
        "$TUNEWELL_PARAMETERS or from the environment ($TUNEWELL_PARAMETER_…)."
    ]


def _notes_on_sampling(spec: ExperimentSpec, used: Sequence[str]) -> list[str]:
    if spec.early_stopping != "data-promotion" or "sampling" in used:
        return []
    return [
        "Not in the command: {sampling}. The program must train on the share of the data that the environment "
        "($TUNEWELL_SAMPLING) says, else `early_stopping: data-promotion` saves nothing."
    ]
