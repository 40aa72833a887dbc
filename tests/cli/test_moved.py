"""A project whose folder, or part of it, was moved: the same commands go on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Run

#: Prints where it is run, so that a test sees it.
SCRIPT = 'echo "score=$1"; echo "in $(pwd)"'

Search = Callable[..., Answer]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project that will be moved."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "train.sh").write_text(SCRIPT)
    return folder


@pytest.fixture
def search(run: Run) -> Search:
    """Return a function that searches in a project with a number of trials, and all that a command may have."""

    def call(project: Path, max_trials: int, *options: object, **fields: Any) -> Answer:
        lines = [
            'command: [sh, train.sh, "{x}"]',
            "objective: {metric: score, goal: maximize}",
            "parameters: {x: {low: 0, high: 100}}",
            f"max_trials: {max_trials}",
            *(f"{name}: {value}" for name, value in fields.items()),
        ]
        (project / "s.yaml").write_text("\n".join(lines))
        return run("search", project / "s.yaml", *(options or ("--home", project / ".tunewell")), "--no-details")

    return call


def test_project_and_home_were_moved(project: Path, search: Search, run: Run, tmp_path: Path) -> None:
    """The search goes on with the next trial, in the new place; and so does `retrain`, even before it."""
    assert search(project, 1).code == 0
    new = project.rename(tmp_path / "new")
    home = ("--home", new / ".tunewell")
    assert "ran once more" in run("retrain", "s", *home).out
    assert (new / ".tunewell/jobs/1/1/output.log").read_text().endswith(f"in {new}\n")
    assert f"working_directory: {new}" in (Path(run("report", "s", *home).out.strip())).read_text()
    assert run("export", "s", "--format", "json", *home).json["spec"]["working_directory"] == str(new)
    assert "has ended" in search(new, 1).out
    assert "trial 2/2 succeeded" in search(new, 2).out
    assert run("logs", "s", 2, *home).out.endswith(f"in {new}\n")


def test_only_the_home_was_moved(project: Path, search: Search, run: Run, tmp_path: Path) -> None:
    """The project is found where it was."""
    assert search(project, 1).code == 0
    home = ("--home", (project / ".tunewell").rename(tmp_path / "home"))
    assert "ran once more" in run("retrain", "s", *home).out
    assert "trial 2/2 succeeded" in search(project, 2, *home).out
    assert run("logs", "s", 2, *home).out.endswith(f"in {project}\n")


def test_only_the_project_was_moved(project: Path, search: Search, run: Run, tmp_path: Path) -> None:
    """A spec says where the project is now; from then on all commands find it there."""
    home = ("--home", tmp_path / "home")
    assert search(project, 1, *home).code == 0
    new = project.rename(tmp_path / "new")
    lost = run("retrain", "s", *home)
    assert lost.code == 2
    assert f"working_directory: there is no folder '{project}' any more. Submit the spec where it is" in lost.err
    assert "has ended" in search(new, 1, *home).out
    assert "ran once more" in run("retrain", "s", *home).out
    assert "trial 2/2 succeeded" in search(new, 2, *home).out


def test_a_copy_goes_its_own_way(project: Path, search: Search, run: Run, tmp_path: Path) -> None:
    """Of a project that was copied with its home, the copy runs its own program."""
    assert search(project, 1).code == 0
    copy = shutil.copytree(project, tmp_path / "copy")
    assert "trial 2/2 succeeded" in search(copy, 2).out
    assert run("logs", "s", 2, "--home", copy / ".tunewell").out.endswith(f"in {copy}\n")


def test_another_project_is_another_spec(project: Path, search: Search, tmp_path: Path) -> None:
    """Where the old folder is still there, the same spec in another folder is not the same search."""
    home = ("--home", tmp_path / "home")
    assert search(project, 1, *home).code == 0
    other = tmp_path / "other"
    other.mkdir()
    (other / "train.sh").write_text(SCRIPT)
    answer = search(other, 2, *home)
    assert answer.code == 2
    assert f"exists with another spec (working_directory: '{project}' there, '{other}' here)" in answer.err


def test_every_way_to_a_folder_is_the_same(project: Path, search: Search, run: Run, tmp_path: Path) -> None:
    """Over a link, with another spelling or from another working directory, the same search goes on."""
    (project / "sub").mkdir()
    (project / "sub/train.sh").write_text(SCRIPT)
    assert search(project, 1, working_directory="sub").code == 0
    link = tmp_path / "link"
    link.symlink_to(project)
    ways = ["./sub", "sub/../sub/", str(project / "sub"), str(link / "sub")]
    for number, way in enumerate(ways, start=2):
        where = (project, link)[number % 2]
        assert f"trial {number}/{number} succeeded" in search(where, number, working_directory=way).out
    home = os.path.relpath(project / ".tunewell", tmp_path)
    assert "has ended" in run("search", os.path.relpath(project / "s.yaml", tmp_path), "--home", home).out
