"""`tunewell init` writes a spec that is right, for data and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tasks.image_classification.trained import write_pictures
from tunewell.cli.starter import TASKS_IN_ORDER, starter_for
from tunewell.cli.summary import serve_text
from tunewell.spec.files import read_spec_file
from tunewell.tasks.catalogue import TASKS

PROGRAM = """
import argparse

options = argparse.ArgumentParser()
options.add_argument("--lr", "--learning-rate", type=float, default=1e-3)
options.add_argument("--batch-size", type=int, default=32)
options.add_argument("--dropout", type=float, default=0.2)
options.add_argument("--scale", type=float, default=4)
options.add_argument("--optimizer", choices=["sgd", "adam"])
options.add_argument("--weight-decay", type=float, default=0)
options.add_argument("--seed", type=int, default=1)
options.add_argument("--amp", action="store_true")
options.add_argument("data")
"""


def test_every_built_in_task_is_tried() -> None:
    """No built-in task is forgotten when data is looked at."""
    assert set(TASKS_IN_ORDER) == set(TASKS)


def test_a_program_with_options(run: Run, tmp_path: Path) -> None:
    """Options with a default or choices are searched around these, others are left alone; the check passes."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(PROGRAM)
    answer = run("init", "src/train.py")
    assert (answer.code, answer.err) == (0, "") and answer.out.endswith("Next: tunewell check train.yaml\n")
    spec = read_spec_file(tmp_path / "train.yaml")
    assert spec["parameters"] == {
        "lr": {"low": 0.0001, "high": 0.01, "log": True},
        "batch_size": {"low": 8, "high": 128, "log": True, "type": "int"},
        "dropout": {"low": 0.0, "high": 1},
        "scale": {"low": 0.0, "high": 8},
        "optimizer": ["sgd", "adam"],
    }
    assert spec["command"][:4] == ["python", "src/train.py", "--lr", "{lr}"]
    assert run("check", "train.yaml").code == 0


def test_a_program_whose_options_all_have_defaults(run: Run, tmp_path: Path) -> None:
    """Trial 1 is the program as it is, so that the result says what the search has gained."""
    program = PROGRAM.replace('choices=["sgd", "adam"]', 'choices=["sgd", "adam"], default="adam"')
    (tmp_path / "train.py").write_text(program)
    assert "Trial 1 has the defaults." in run("init", "train.py").out
    parameters = read_spec_file(tmp_path / "train.yaml")["parameters"]
    assert parameters["lr"] == {"low": 0.0001, "high": 0.01, "log": True, "default": 0.001}
    assert parameters["batch_size"]["default"] == 32
    assert parameters["optimizer"] == {"choices": ["sgd", "adam"], "default": "adam"}
    assert run("check", "train.yaml").code == 0


@pytest.mark.parametrize("program", ["train.sh", "broken.py", "plain.py"])
def test_a_program_that_tells_nothing(run: Run, tmp_path: Path, program: str) -> None:
    """The spec shows how a value gets to the program."""
    (tmp_path / program).write_text("print('accuracy=1'" if program == "broken.py" else "echo accuracy=1")
    (tmp_path / program).chmod(0o755)
    assert run("init", program, "--output", "a.yaml").code == 0
    assert list(read_spec_file(tmp_path / "a.yaml")["parameters"]) == ["learning_rate"]
    assert run("check", "a.yaml").code == 0


def test_a_folder_of_pictures(run: Run, tmp_path: Path) -> None:
    """The task that can read the data is named, with others that can; paths are as from the spec."""
    write_pictures(tmp_path / "digits", {"train": 40, "val": 20})
    (tmp_path / "specs").mkdir()
    answer = run("init", "digits", "--output", "specs/mine.yaml")
    assert answer.code == 0 and "or multilabel-classification, which can read this data, too" in answer.out
    spec = read_spec_file(tmp_path / "specs" / "mine.yaml")
    assert (spec["task"], spec["network"]) == ("image-classification", "small-cnn")
    assert "data: ../digits\n" in answer.out and spec["data"] == str(tmp_path / "digits")
    assert run("check", "specs/mine.yaml", "--no-estimate").code == 0


@pytest.mark.parametrize("name", ["123", "null", "1e5", "x: y", "é"])
def test_names_that_mean_something_else_in_yaml(tmp_path: Path, name: str) -> None:
    """A folder is found whatever it is called."""
    write_pictures(tmp_path / name, {"train": 20, "val": 10})
    (tmp_path / "a.yaml").write_text(starter_for(tmp_path / name, tmp_path).text)
    assert read_spec_file(tmp_path / "a.yaml")["data"] == str(tmp_path / name)


def test_commands_that_are_named_can_be_copied(run: Run, tmp_path: Path) -> None:
    """A path with spaces stands in quotes in what comes next, and where a spec's home is not the usual one."""
    (tmp_path / "my train.py").write_text("print(1)")
    assert run("init", "my train.py").out.endswith("Next: tunewell check 'my train.yaml'\n")
    assert "first: tunewell init 'my train.py'." in run("check", "my train.py").err
    assert serve_text(tmp_path / "my home") == f"tunewell serve --home '{tmp_path / 'my home'}'"


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "train.yaml").write_text("mine")
    answer = run("init", "train.py")
    assert (answer.code, answer.err) == (
        2,
        "error: --output: there is a file train.yaml already. Name another one with --output, or move that one away.\n",
    )
    assert (tmp_path / "train.yaml").read_text() == "mine"


def test_what_can_not_be_read(run: Run, tmp_path: Path) -> None:
    """Nothing, a folder that no task can read, and a spec, are one clear error each, and no file is left."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "spec.yml").write_text("objective: loss")
    missing, empty, spec = run("init", "nope"), run("init", "empty"), run("init", "spec.yml")
    assert (missing.code, empty.code, spec.code) == (2, 2, 2)
    assert "it looks like a spec itself" in spec.err
    assert "there is no file or folder 'nope'" in missing.err
    assert "no built-in task can read it" in empty.err
    assert not list(tmp_path.glob("*.yaml"))
