"""Commands as tasks: placeholders, and what is checked before anything starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import ExperimentSpec, parse_spec
from tunewell.spec.launch import AttemptKey
from tunewell.spec.metric_line import DEFAULT_METRIC_PATTERN, look
from tunewell.tasks.command import RESERVED, CommandTask, fill_in, placeholders, tell_of_line, value_text
from tunewell.tasks.contract import PlannedAttempt
from tunewell.tasks.program_check import script_of

PARAMETERS: dict[str, Any] = {
    "lr": {"low": 1e-5, "high": 0.1, "log": True},
    "layers": {"low": 1, "high": 5},
    "optimizer": ["sgd", "adamw"],
    "momentum": {"low": 0.5, "high": 0.99, "when": {"optimizer": "sgd"}},
}


def make_spec(command: list[str], folder: Path, **fields: Any) -> ExperimentSpec:
    """Return a spec over a command that runs in `folder`."""
    return parse_spec(
        {
            "name": "sweep",
            "command": command,
            "objective": "accuracy",
            "parameters": PARAMETERS,
            "working_directory": str(folder),
            **fields,
        }
    )


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with a script for an interpreter, one that runs by itself, and one that can't."""
    (tmp_path / "train.py").write_text("print('accuracy=1')\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "deaf.sh").write_text("#!/bin/sh\n")
    return tmp_path


# Placeholders


@pytest.mark.parametrize(
    ("argument", "filled"),
    [
        ("--lr={lr}", "--lr=0.01"),
        ("{lr}", "0.01"),
        ("{a}{b}", "1true"),
        ('{"lr": {lr}, "x": {"y": 1}}', '{"lr": 0.01, "x": {"y": 1}}'),
        ("{{lr}}", "{lr}"),
        ('{"a": {{lr}}}', '{"a": {lr}}'),
        ("{}", "{}"),
        ("{0} {1x} { lr } {lr:.2f}", "{0} {1x} { lr } {lr:.2f}"),
        ("{model.width}-{top-k}", "64-5"),
        ("$HOME && ls; `x`", "$HOME && ls; `x`"),
    ],
)
def test_only_exact_names_are_placeholders(argument: str, filled: str) -> None:
    """`{name}` is replaced, `{{name}}` is the text `{name}`, and all other braces stay as they are."""
    values = {"lr": 0.01, "a": 1, "b": True, "model.width": 64, "top-k": 5}
    assert fill_in(["program", argument], values) == ("program", filled)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_exactly(value: float) -> None:
    """A float in an argument is the same float when the program reads it."""
    assert float(value_text(value)) == value


@given(st.floats(max_value=0, allow_infinity=False))
def test_negative_numbers_are_no_options(value: float) -> None:
    """A negative number has no exponent, which Python's argparse would take for an option."""
    assert "e" not in value_text(value) or value == 0


def test_texts_and_booleans() -> None:
    """Texts come as they are, blanks included; booleans are true and false, and null is null."""
    values = {"a": "two words; $x", "b": True, "c": False, "d": "", "e": None}
    assert fill_in(["p", "{a}", "{b}", "{c}", "{d}", "{e}"], values)[1:] == (
        "two words; $x",
        "true",
        "false",
        "",
        "null",
    )


@pytest.mark.parametrize(
    ("arguments", "filled"),
    [
        (["--momentum", "{m}", "--x", "1"], ["--x", "1"]),
        (["-m", "{m}"], []),
        (["--momentum={m}", "--x"], ["--x"]),
        (["--x=1", "{m}"], ["--x=1"]),
        (["file", "{m}", "end"], ["file", "end"]),
        (["--betas", "{m}", "{n}", "--x"], ["--x"]),
        (["--pair", "{m},{lr}"], []),
        (["--", "{m}"], ["--"]),
        (["-1", "{m}"], ["-1"]),
        (["--flag", "--momentum={m}"], ["--flag"]),
        (["--x", "{{m}}"], ["--x", "{m}"]),
    ],
)
def test_arguments_of_inactive_parameters_are_dropped(arguments: list[str], filled: list[str]) -> None:
    """An argument with an inactive parameter goes, together with the option that it is the value of."""
    assert fill_in(["program", *arguments], {"lr": 0.01}) == ("program", *filled)


def test_the_program_is_never_dropped_for_its_first_argument() -> None:
    """What comes first is the program, however it is called."""
    assert fill_in(["-program", "{m}"], {}) == ("-program",)


def test_placeholders_are_found_in_order() -> None:
    """The names in an argument, escaped ones left out."""
    assert placeholders("{a}={b} {{c}} {d e}") == ["a", "b"]


# The task


def test_parameters_in_the_environment(tmp_path: Path) -> None:
    """Each active parameter has a variable of its own, named like it, with its value as a command gets it."""
    attempt = PlannedAttempt(
        AttemptKey("sweep", 1, 1), tmp_path, {"model.lr": -1e-05, "flag": True, "Top-k": "two words"}
    )
    program = CommandTask().program(make_spec(["run"], tmp_path), tmp_path, attempt)
    assert program.environment == {
        "TUNEWELL_PARAMETER_MODEL_LR": "-0.00001",
        "TUNEWELL_PARAMETER_FLAG": "true",
        "TUNEWELL_PARAMETER_TOP_K": "two words",
    }


@pytest.mark.parametrize(("first", "second"), [("T", "t"), ("model.lr", "model_lr"), ("top-k", "Top.K"), ("a_", "A-")])
def test_parameters_with_one_variable_are_refused(first: str, second: str, tmp_path: Path) -> None:
    """Two parameters that would be one variable are refused: one value would replace the other."""
    spec = make_spec(["run"], tmp_path, parameters={first: [1, 2], second: [3, 4]})
    with pytest.raises(SpecError, match=f"^parameters.{second}: .* from '{first}'"):
        CommandTask().space(spec, Capacity(()))


def test_program(tmp_path: Path) -> None:
    """A trial's command has its parameters and all that is reserved filled in, and looks for metric lines."""
    spec = make_spec(["run", "{lr}", "{momentum}", *(f"{{{name}}}" for name in RESERVED)], tmp_path, sampling=0.5)
    attempt = PlannedAttempt(
        AttemptKey("sweep", 7, 2), Path("/home/t/7/2"), {"lr": 1e-05, "optimizer": "adamw"}, 0.25, 0.5
    )
    program = CommandTask().program(spec, tmp_path, attempt)
    assert program.command == (
        "run",
        "1e-05",
        "/home/t/7/2/artifacts",
        "/home/t/7/2/checkpoint",
        "/home/t/7/2",
        "/home/t/7/2/parameters.json",
        "7",
        "2",
        "sweep",
        "0.5",
        "0.25",
    )
    assert program.entry is None
    assert program.working_directory == tmp_path
    assert program.metric_pattern == DEFAULT_METRIC_PATTERN


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    """A `metric_pattern` replaces the rule for metric lines."""
    pattern = "(?P<name>a) (?P<value>.)"
    spec = make_spec(["run"], tmp_path, metric_pattern=pattern)
    program = CommandTask().program(spec, tmp_path, PlannedAttempt(AttemptKey("s", 1, 1), tmp_path, {}))
    assert program.metric_pattern == pattern


def test_a_real_program_reads_its_parameters_back(tmp_path: Path) -> None:
    """A program that parses its arguments as usual gets the very values of the trial."""
    script = (
        "import argparse, json; p = argparse.ArgumentParser(); p.add_argument('--lr', type=float); "
        "p.add_argument('--shift', type=float); p.add_argument('--layers', type=int); p.add_argument('--name'); "
        "p.add_argument('--momentum', type=float); print(json.dumps(vars(p.parse_args())))"
    )
    names = ("lr", "shift", "layers", "name", "momentum")
    spec = make_spec(
        [sys.executable, "-c", script, *(part for name in names for part in (f"--{name}", f"{{{name}}}"))],
        tmp_path,
        parameters={**PARAMETERS, "shift": {"low": -1.0, "high": 0.0}, "name": ['it\'s $HOME; "x"']},
    )
    values = {"lr": 0.1 + 0.2, "shift": -1.5e-07, "layers": 3, "name": 'it\'s $HOME; "x"'}
    program = CommandTask().program(spec, tmp_path, PlannedAttempt(AttemptKey("s", 1, 1), tmp_path, values))
    assert program.command is not None
    printed = subprocess.run(program.command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(printed) == {**values, "momentum": None}


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names(tmp_path: Path, name: str) -> None:
    """A parameter can't have the name of a placeholder that stands for something else."""
    spec = make_spec(["run"], tmp_path, parameters={name: [1, 2]})
    with pytest.raises(SpecError, match=rf"^parameters\.{name}: \{{{name}\}} stands for something else"):
        CommandTask().space(spec, Capacity(()))


# Checks


@pytest.mark.parametrize(
    ("command", "finding"),
    [
        ([sys.executable, "train.py", "{lr}"], f"Program: {sys.executable} train.py"),
        ([sys.executable, "-u", "-W", "ignore", "train.py"], f"Program: {sys.executable} train.py"),
        ([sys.executable, "-m", "anything"], f"Program: {sys.executable}"),
        ([sys.executable, "-c", "print()"], f"Program: {sys.executable}"),
        (["./run.sh"], "run.sh"),
        (["sh", "deaf.sh"], "/sh deaf.sh"),
        (["sh", "-ec", "no-such-thing {lr}"], "/sh"),
    ],
)
def test_programs_that_are_there(code: Path, command: list[str], finding: str) -> None:
    """A program on the PATH, by its path, or an interpreter with a script: the check says what will run."""
    assert CommandTask().check(make_spec(command, code))[0].endswith(finding)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program-xyz"], "command: there is no program 'no-such-program-xyz' on the PATH. Install it"),
        (["train.py"], "command: there is no program 'train.py' on the PATH. Write ./train.py for the file in"),
        (["./rum.sh"], "there is no program './rum.sh' in {folder}. Did you mean 'run.sh'?"),
        (["./deaf.sh"], "command: './deaf.sh' is not executable. Run `chmod +x {folder}/deaf.sh`, or name its"),
        ([sys.executable, "trian.py"], "there is no file 'trian.py' in {folder}. Did you mean 'train.py'?"),
        (["sh", "sub/x.sh"], "there is no file 'sub/x.sh' in {folder}. Give its path, relative to the working"),
        (
            ["echo", "--lr", "{learning}"],
            "command: {learning} is no parameter. Known: attempt, checkpoint_dir, experiment, fidelity, layers, lr,",
        ),
        (
            ["echo", "{momentun}"],
            "command: {momentun} is no parameter. Did you mean 'momentum'; write {{momentun}} to mean the text "
            "{momentun}.",
        ),
        (["echo", "{output-dir}"], "Did you mean 'output_dir'; write {{output-dir}} to mean the text {output-dir}."),
        (["run-{momentum}", "x"], "command.0: 'run-{momentum}' depends on a parameter that is not always active."),
    ],
)
def test_programs_that_can_not_run(code: Path, command: list[str], message: str) -> None:
    """What is missing is said with its remedy, before anything starts."""
    with pytest.raises(SpecError) as caught:
        CommandTask().check(make_spec(command, code))
    assert message.replace("{folder}", str(code)) in str(caught.value)


@pytest.mark.parametrize("command", [["x" * 5000], ["./" + "x" * 5000], ["sh", "x" * 5000], ["sh", "y/" * 3000]])
def test_names_that_no_file_can_have(code: Path, command: list[str]) -> None:
    """What is longer than a path can be is not there."""
    with pytest.raises(SpecError, match=r"^command: there is no (program|file) '[xy./]+'? "):
        CommandTask().check(make_spec(command, code))


def test_nothing_is_told_of_what_was_not_sent(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can't name a folder of the machine, learns of no file outside of the code that they have sent."""
    folder, code = code, code / "sent"
    code.mkdir()
    (code / "train.py").write_text("")
    sent = {"code": "0" * 64}
    for outside in (str(folder / "run.sh"), str(folder / "rum.sh"), "../deaf.sh", "../run.sh", "../rum.sh"):
        assert CommandTask().check(make_spec(["sh", outside], code, **sent))[0] == f"Program: sh {outside}"
        assert CommandTask().check(make_spec([outside], code, **sent))[0] == f"Program: {outside}"
    with pytest.raises(SpecError, match=r"there is no file 'trian.py' in .*Did you mean 'train.py'"):
        CommandTask().check(make_spec(["python3", "trian.py"], code, **sent))
    for program in ("run.sh", "rum.sh"):
        own_path = make_spec([program], code, **sent, environment={"PATH": str(folder)})
        assert CommandTask().check(own_path)[0] == f"Program: {program}"
    monkeypatch.chdir(code)
    nowhere = make_spec(["sh", "/etc/passwd"], code).model_copy(update={"working_directory": None})
    assert CommandTask().check(nowhere)[0] == "Program: sh /etc/passwd"
    for command in (["sh", "train.py"], ["./run.sh"], ["./rum.sh"]):
        with pytest.raises(SpecError, match=r"needs a folder to lie in\. Send the folder as `code`"):
            CommandTask().check(nowhere.model_copy(update={"command": tuple(command)}))


def test_python3_is_the_remedy_where_there_is_no_python(code: Path) -> None:
    """On machines that have `python3` only, the error says so."""
    binaries = code / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to(sys.executable)
    spec = make_spec(["python", "train.py"], code, environment={"PATH": str(binaries)})
    with pytest.raises(SpecError, match=r"there is no program 'python' on the PATH\. Write python3\."):
        CommandTask().check(spec)


def test_the_working_directory_must_be_there(tmp_path: Path) -> None:
    """A missing working directory is named."""
    with pytest.raises(SpecError, match=r"^working_directory: there is no folder '.*/nowhere'"):
        CommandTask().check(make_spec(["sh"], tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("command", "note"),
    [
        (["echo", "{lr}", "{layers}", "{optimizer}", "{momentum}"], None),
        (["echo", "{lr}", "{layers}", "{optimizer}"], "Not in the command: momentum. The program must read it from"),
        (["echo"], "Not in the command: lr, layers, optimizer, momentum. The program must read them from"),
    ],
)
def test_parameters_without_a_placeholder_are_noted(tmp_path: Path, command: list[str], note: str | None) -> None:
    """Parameters that the command does not name are listed, with the other ways to read them."""
    notes = CommandTask().check(make_spec(command, tmp_path))[1:]
    assert [text[: len(note or "")] for text in notes] == ([note] if note else [])


@pytest.mark.parametrize("mark", ["|", "&&", ">", "2>&1", ";", "&"])
def test_marks_of_a_shell_are_noted(tmp_path: Path, mark: str) -> None:
    """A command that looks like a shell's gets a note that there is none."""
    notes = CommandTask().check(make_spec(["echo", "{lr}", mark, "x"], tmp_path))
    assert any(f"The program gets {mark} as an argument" in note for note in notes)


@pytest.mark.parametrize(
    ("command", "script"),
    [
        (["python3", "train.py"], "train.py"),
        (["/usr/bin/python3.11", "-X", "dev", "-u", "train.py", "x"], "train.py"),
        (["python", "-um", "package"], None),
        (["python", "-"], None),
        (["python", "{script}"], None),
        (["bash", "-eo", "pipefail", "run.sh"], "run.sh"),
        (["bash", "-e", "-o", "pipefail", "run.sh"], "run.sh"),
        (["bash", "-lc", "x"], None),
        (["node", "--require", "x", "train.mjs"], "train.mjs"),
        (["node", "-e", "1"], None),
        (["Rscript", "--vanilla", "train.R"], "train.R"),
        (["julia", "-t", "4", "--project=.", "train.jl"], "train.jl"),
        (["perl", "-w", "train.pl"], "train.pl"),
        (["my-program", "train.py"], None),
        (["python"], None),
    ],
)
def test_scripts_are_found_behind_interpreters(command: list[str], script: str | None) -> None:
    """The script is the first argument of an interpreter that is no option and no option's value."""
    assert script_of(command) == script


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("step=3 accuracy=0.5 loss=1e-3", "Found accuracy = 0.5, loss = 0.001 at step 3."),
        ("Accuracy: 0.5", "Found Accuracy = 0.5, but not the objective 'accuracy'. Did you mean 'Accuracy'?"),
        ("accuracy: 50%", "Found accuracy = 0.5."),
        ("accuracy 50%", "The line names 'accuracy', but its value can't be read. Print `accuracy=0.5`, say."),
        ("loss=1 accuracy=n/a", "The line names 'accuracy', but its value can't be read."),
        ("nothing here", "No metric: the rule finds none in this line. Print `accuracy=0.5`"),
    ],
)
def test_a_line_is_checked(tmp_path: Path, line: str, answer: str) -> None:
    """The check of a line says what is found in it, and whether that is the objective."""
    assert tell_of_line(make_spec(["echo"], tmp_path), look(line, None, "accuracy")).startswith(answer)


def test_a_line_is_checked_for_the_objective_by_any_name(tmp_path: Path) -> None:
    """An objective whose name is no word is found in a line as well."""
    spec = make_spec(["echo"], tmp_path, objective={"metric": "mAP@0.5:0.95", "goal": "maximize"})
    assert tell_of_line(spec, look("mAP@0.5:0.95 = 0.42", None, "mAP@0.5:0.95")) == "Found mAP@0.5:0.95 = 0.42."
