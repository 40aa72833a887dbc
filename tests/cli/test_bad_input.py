"""A user's mistake gets one clear error, exit code 2, no traceback, and nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tunewell.service.service import Service
from tunewell.spec.errors import ArgumentError

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown field": ({"max_trial": 3}, ("max_trial", "max_trials")),
    "wrong type": ({"max_trials": "many"}, ("max_trials", "many")),
    "unknown algorithm": ({"algorithm": "baysian"}, ("algorithm", "baysian", "bayesian")),
    "option of an algorithm that is a field": (
        {"algorithm": {"name": "tpe", "max_trials": 8}},
        ("algorithm.max_trials", "no such option"),
    ),
    "unknown option of an algorithm": ({"algorithm": {"name": "tpe", "population": 8}}, ("population",)),
    "low above high": ({"parameters": {"x": {"low": 5, "high": 1}}}, ("parameters.x.low", "5", "1")),
    "log scale through zero": ({"parameters": {"x": {"low": 0, "high": 1, "log": True}}}, ("parameters.x.low", "log")),
    "unknown placeholder": ({"command": ["sh", "-c", "echo {y}"]}, ("{y}", "x")),
    "program that is not there": ({"command": ["no-such-program", "{x}"]}, ("no-such-program",)),
    "script that is not there": ({"command": ["python3", "no_such_script.py", "{x}"]}, ("no_such_script.py",)),
    "goal that can't be guessed": ({"objective": {"metric": "zeta"}}, ("objective.goal", "maximize")),
    "unknown task": ({"task": "image-clasification", "command": None, "data": "."}, ("image-classification",)),
    "missing data folder": (
        {"task": "image-classification", "command": None, "parameters": None, "data": "no/such", "objective": None},
        ("no/such",),
    ),
    "unknown network": (
        {
            "task": "image-classification",
            "network": "resnet19",
            "command": None,
            "parameters": None,
            "data": ".",
            "objective": None,
        },
        ("resnet19", "resnet18"),
    ),
    "initial configuration outside the space": ({"initial": [{"x": 1000}]}, ("initial", "1000")),
    "negative duration": ({"max_duration": "-5s"}, ("max_duration", "-5s")),
    "both task and command": ({"task": "image-classification", "data": "."}, ("task", "command")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["check", "search"])
def test_mistakes_in_specs(case: str, command: str, run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """The error names field, value and remedy; no experiment is created."""
    fields, expected = CASES[case]
    answer = run(command, write(**fields))
    assert answer.code == 2, answer.out + answer.err
    assert answer.err.startswith("error: ")
    for part in expected:
        assert part in answer.err
    assert "Traceback" not in answer.err + answer.out
    assert not (tmp_path / ".tunewell" / "experiments").exists()


def test_several_mistakes_at_once(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """All independent mistakes are listed, a line each, and are one JSON object on standard output with `--json`."""
    spec = write(max_trial=3, seed=-1, algorithm="baysian", command=["no-such-program", "{x}"])
    answer = run("search", spec, "--json")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert lines[0] == "error: The spec has 4 errors:"
    assert [line.split(":")[0] for line in lines[1:]] == ["- max_trial", "- seed", "- algorithm", "- command"]
    error = answer.json["error"]
    assert error["kind"] == "invalid-spec"
    assert [part["field"] for part in error["errors"]] == ["max_trial", "seed", "algorithm", "command"]
    assert (error["errors"][1]["value"], error["errors"][2]["value"]) == (-1, "baysian")
    assert not (tmp_path / ".tunewell" / "experiments").exists()
    assert not run("search", spec).out


def test_errors_of_all_origins_are_json(run: Run, tmp_path: Path) -> None:
    """With `--json`, a wrong argument and a missing home are objects with the same parts."""
    for arguments in (("show", "x", "first", "--json"), ("list", "--json"), ("tasks", "nothing", "--json")):
        answer = run(*arguments)
        assert answer.code == 2
        assert set(answer.json["error"]) == {"kind", "field", "value", "what", "remedy", "facts", "errors"}
        assert answer.err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("search", "nowhere.yaml"), "nowhere.yaml"),
        (("show", "x"), "no Tunewell home"),
        (("show", "x", "first"), "TRIAL: 'first' is no whole number"),
        (("set", "x", "--max-trials", "many"), "--max-trials: 'many' is no whole number"),
        (("predict", "x", "y", "--threshold", "half"), "--threshold: 'half' is no number"),
        (("list", "--sort", "size"), "--sort: 'size' is not one of"),
        (("frobnicate",), "frobnicate"),
        (("search",), "SPEC"),
        (("tasks", "resnet-18"), "resnet18"),
        (("tasks", "nothing"), "resnet18, resnet50,"),
    ],
)
def test_mistakes_on_the_command_line(arguments: tuple[str, ...], expected: str, run: Run, tmp_path: Path) -> None:
    """Missing files, homes and commands are errors with exit code 2, and no home is made by a question."""
    answer = run(*arguments)
    assert answer.code == 2
    assert expected in answer.err
    assert "Traceback" not in answer.err and "Input should" not in answer.err
    assert not (tmp_path / ".tunewell").exists()


@pytest.mark.parametrize("arguments", [("search", "s.yaml"), ("check", "s.yaml"), ("controller",), ("serve",)])
@pytest.mark.parametrize("address", ["", " ", "head"])
def test_no_address_of_a_cluster(arguments: tuple[str, ...], address: str, run: Run, tmp_path: Path) -> None:
    """Nothing runs here instead of on a cluster whose address is empty or wrong; it is refused before all else."""
    answer = run(*arguments, "--ray", address)
    assert answer.code == 2
    told = f"'{address}' is no address of a Ray cluster. Give HOST:PORT of its head, such as 10.0.0.1:6379"
    assert told in " ".join(answer.err.split())
    assert not (tmp_path / ".tunewell").exists()


def test_a_variable_that_is_empty_names_no_cluster(run: Run, write: Callable[..., Path]) -> None:
    """As an empty variable of the environment means nothing to any program."""
    assert run("check", write(), TUNEWELL_RAY="").code == 0


def test_predictions_that_can_not_be_begin_no_job(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """A picture that is not there, and a file that is neither kind of table, are refused before a job is on record."""
    run("search", write(max_trials=1), "--no-details")
    (tmp_path / "cat.png").write_bytes(b"")
    gone = run("predict", "quick", "cat.png", "dog.png")
    assert gone.code == 2
    assert gone.err == "error: dog.png: there is no such file or folder. Name pictures, or folders of pictures.\n"
    neither = run("predict", "quick", "cat.png", "--output", "out.txt")
    assert neither.code == 2
    assert neither.err == "error: --output: 'out.txt' is neither CSV nor JSON. End its name in .csv or .json.\n"
    assert "predict" not in run("jobs").out


def test_what_is_given_for_a_spec(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """A program or a folder leads to `init`, a name without its ending to the file; nothing is searched."""
    write()
    (tmp_path / "train.py").write_text("import argparse\nfor x in range(3):\n    print(x)\n")
    (tmp_path / "pictures").mkdir()
    for command in ("check", "search"):
        assert "it is no spec. If it is what you search over, make a spec of it first: tunewell init train.py" in (
            run(command, "train.py").err
        )
        assert "it is a folder, and no spec. If it is what" in run(command, "pictures").err
        assert "Did you mean 'quick.yaml'?" in run(command, "quick").err
    assert not (tmp_path / ".tunewell").exists()


def test_unknown_names(run: Run, write: Callable[..., Path]) -> None:
    """An unknown experiment gets the nearest right name; an unknown trial or attempt says what there is."""
    run("search", write(max_trials=1))
    assert "'quick'" in run("show", "quik").err
    assert "no trial 9" in run("logs", "quick", 9).err
    assert "no attempt 3" in run("logs", "quick", 1, "--attempt", 3).err
    assert "ended already" in run("stop", "quick", 1).err
    assert "is succeeded" in run("retry", "quick", 1).err


def test_broken_yaml_names_the_line(run: Run, tmp_path: Path) -> None:
    """YAML that can't be parsed gets an error with the line."""
    (tmp_path / "bad.yaml").write_text("name: x\ncommand: [a, b\nmax_trials: 3\n")
    answer = run("check", "bad.yaml")
    assert answer.code == 2
    assert "line" in answer.err


def test_exponents_without_a_dot_are_numbers(run: Run, tmp_path: Path) -> None:
    """`1e-5` in YAML is a number, in ranges and in lists."""
    (tmp_path / "e.yaml").write_text(
        'command: ["true"]\nobjective: {metric: loss}\n'
        "parameters:\n  a: {low: 1e-5, high: 1e-1, log: true}\n  b: [1e-3, 1e-2]\n"
    )
    answer = run("check", "e.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["parameters"] == {"a": "1e-05 … 0.1 (log)", "b": "0.001 | 0.01"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_home(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """A home that can't be written is an error that names it and the remedy."""
    home = tmp_path / "locked"
    home.mkdir(mode=0o500)
    answer = run("search", write(), "--home", home)
    assert answer.code == 2
    assert "--home" in answer.err


def test_home_that_is_a_file(run: Run, write: Callable[..., Path], tmp_path: Path) -> None:
    """A file in the place of the home is an error that names it and the remedy."""
    (tmp_path / "file").touch()
    answer = run("search", write(), "--home", tmp_path / "file")
    assert answer.code == 2
    assert "--home" in answer.err


def test_a_line_of_output_is_checked(run: Run, write: Callable[..., Path]) -> None:
    """`check --line` says which metrics a line reports, and if the objective is missing."""
    assert "score = 0.5 at step 3" in run("check", write(), "--line", "epoch 3: score: 0.5").out
    assert "not the objective 'score'" in run("check", write(), "--line", "scor=0.5").out
    assert "No metric" in run("check", write(), "--line", "hello").out


def test_bytes_that_are_no_text(run: Run, tmp_path: Path) -> None:
    """A name, a home or a database that is not UTF-8 is one clear error."""
    bad = os.fsdecode(b"a\xff")
    for arguments, variables, told in (
        (("show", bad), {}, "a�: it is not UTF-8."),
        (("list", "--home", bad), {}, "a�: it is not UTF-8."),
        (("list",), {"TUNEWELL_DATABASE": f"postgresql://{bad}@host/db"}, "TUNEWELL_DATABASE: it is not UTF-8."),
    ):
        answer = run(*arguments, **variables)
        assert (answer.code, answer.out) == (2, ""), answer
        assert answer.err.startswith(f"error: {told}"), answer.err
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArgumentError, match="its path is not UTF-8"):
        Service(tmp_path / bad)
    with pytest.raises(ArgumentError, match="it is not UTF-8"):
        Service(tmp_path / "home", f"postgresql://{bad}@host/db")
