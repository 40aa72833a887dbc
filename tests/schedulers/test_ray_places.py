"""Where things of the home lie on a node."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunewell.schedulers.ray.places import moved_launch, places_of, portable_launch
from tunewell.spec.launch import AttemptKey, Launch

HOMES, NODE = ("/work/home", "/mnt/home"), Path("/node/id")


def launched(**fields: object) -> Launch:
    """Return a launch in the home."""
    return Launch(AttemptKey("e", 1, 1), Path("/work/home/experiments/e/trials/1/1"), **fields)  # type: ignore[arg-type]


def test_moved() -> None:
    """Whatever names something in the home, by either of its names, names the same on the node; nothing else does."""
    launch = launched(
        command=("train", "/work/home/code/a", "--out=/mnt/home/x", "/work/home2/y", "/work/home"),
        environment={"TASK": "/work/home/experiments/e/task.json:/mnt/home"},
        working_directory=Path("/mnt/home/code/a"),
    )
    moved = moved_launch(launch, HOMES, NODE)
    assert moved.folder == NODE / "experiments/e/trials/1/1"
    assert moved.command == ("train", "/node/id/code/a", "--out=/node/id/x", "/work/home2/y", "/node/id")
    assert moved.environment == {"TASK": "/node/id/experiments/e/task.json:/node/id"}
    assert moved.working_directory == NODE / "code/a"


def test_working_directory(tmp_path: Path) -> None:
    """A folder that is on the node as well stays what it is; a program that needs none runs in its attempt's folder."""
    assert moved_launch(launched(working_directory=tmp_path), HOMES, NODE).working_directory == tmp_path
    moved = moved_launch(launched(working_directory=tmp_path / "gone"), HOMES, NODE)
    assert moved.working_directory == moved.folder


def test_own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python that has Tunewell is that of the node, wherever it lies there."""
    launch = portable_launch(launched(command=(sys.executable, "-m", "tunewell", "python")))
    monkeypatch.setattr(sys, "executable", "/opt/other/bin/python")
    moved = moved_launch(launch, HOMES, NODE)
    assert moved.command == ("/opt/other/bin/python", "-m", "tunewell", "python")
    assert portable_launch(launched(entry="module:function")).command is None


def test_places() -> None:
    """What lies in the home is known by its place there; what lies elsewhere is not brought."""
    paths = [Path("/work/home/cache/a"), Path("/mnt/home/code"), Path("/data"), Path("/work/home2")]
    assert places_of(paths, HOMES) == ["cache/a", "code"]
