"""An install without the extra `vision`: what needs it says how to get it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tunewell.tasks.catalogue import TASKS

#: Names under which packages are imported, where they have another one.
IMPORTED = {"faster-coco-eval": "faster_coco_eval", "pillow": "PIL", "scikit-learn": "sklearn"}


def libraries() -> list[str]:
    """Return the modules that the extra brings."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packages = [line.partition(">=")[0] for line in project["project"]["optional-dependencies"]["vision"]]
    return [IMPORTED.get(name, name) for name in packages]


def run_without(arguments: Sequence[object], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `tunewell` in `folder` as if the extra were not installed."""
    program = f"""
import sys
sys.modules.update(dict.fromkeys({libraries()!r}))  # importing it fails, and it is not to be found
sys.argv[1:] = {list(map(str, arguments))!r}
from tunewell.cli import main
main()
"""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("command", ["demo", "search", "check", "check --pictures data.html"])
def test_what_to_install_is_said(command: str, tmp_path: Path) -> None:
    """What needs the extra ends with one sentence that names it, before it writes or starts anything."""
    (tmp_path / "data").mkdir()
    tasks = [""] if command == "demo" else list(TASKS)
    for task in tasks:
        spec = tmp_path / f"{task}.yaml"
        spec.write_text(f"task: {task}\ndata: data\n")
        verb, *options = command.split()
        done = run_without([verb, *([spec] if task else []), *options], tmp_path)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: The ") and line.endswith(": pip install 'tunewell[vision]'")
        assert "torch" in line


def test_pictures_that_nothing_can_look_at(tmp_path: Path) -> None:
    """A first spec for pictures needs what reads them: that is said, and nothing of the pictures."""
    (tmp_path / "signs" / "stop").mkdir(parents=True)
    done = run_without(["init", "signs"], tmp_path)
    assert done.returncode == 2 and not (tmp_path / "signs.yaml").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The task image-classification needs torch")
    assert line.endswith(": pip install 'tunewell[vision]'")


@pytest.mark.parametrize("command", ["predict model data", "export-model model -o exported"])
def test_models_need_the_extra(command: str, tmp_path: Path) -> None:
    """A model can't be used or handed over without it; no job begins."""
    (tmp_path / "data").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text('{"task": "object-detection"}')
    (tmp_path / "model" / "weights.safetensors").touch()
    done = run_without(command.split(), tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: The task object-detection needs torch")
    assert line.endswith(": pip install 'tunewell[vision]'")
    assert not list(tmp_path.rglob("job.json"))


@pytest.mark.parametrize("command", ["tasks", "tasks object-detection", "tasks small-cnn"])
def test_the_rest_works(command: str, tmp_path: Path) -> None:
    """Tasks and networks can be looked at, to see what the extra is for."""
    done = run_without(command.split(), tmp_path)
    assert done.returncode == 0
    assert done.stdout
