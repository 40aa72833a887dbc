"""What a search on other machines gets of the folder that its command runs in."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewell.service.service import Service
from tunewell.service.storage import own_programs
from tunewell.service.storage.own_programs import with_function, with_program
from tunewell.service.storage.place import Place
from tunewell.spec.errors import DataError, SpecError

SPEC = """
command: [python, train.py, '{x}']
objective: score
parameters: {x: [1, 2]}
max_trials: 5
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A home."""
    with Service(tmp_path / "home") as service:
        yield Place(service.store, service.home, service._rights)


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """A spec with a folder of its own."""
    folder = tmp_path / "program"
    (folder / "runs").mkdir(parents=True)
    for name, text in {
        "train.py": "print(1)",
        "search.yaml": SPEC,
        "other.yaml": "learning_rate: 1",
        "runs/old": "1",
        ".tunewellignore": "runs/",
    }.items():
        (folder / name).write_text(text)
    return {"command": ["python", "train.py", "{x}"], "working_directory": str(folder)}


def test_copied(place: Place, spec: dict[str, Any]) -> None:
    """The folder becomes code of the home, without what is left out and without the spec; once, if it is the same."""
    found = with_program(place, spec)
    folder = Path(found["working_directory"])
    assert folder == place.home.code / found["code"] and found["command"] == spec["command"]
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    assert names == [".tunewellignore", "other.yaml", "train.py"]
    assert stat.S_IMODE((folder / "train.py").stat().st_mode) == 0o444
    assert place.store.find_code(found["code"]) is not None
    own = Path(spec["working_directory"])
    (own / "search.yaml").write_text(SPEC.replace("5", "50"))
    assert with_program(place, spec) == found == with_program(place, found)
    (own / "train.py").write_text("print(2)")
    assert with_program(place, spec)["code"] != found["code"]
    assert not list(place.home.folder.glob(".program-*")) and len(list(place.home.code.iterdir())) == 2


def test_named_by_its_place(place: Place, spec: dict[str, Any]) -> None:
    """What lies in the folder, and is named by an absolute path, is named as from there; nothing else is changed."""
    folder = spec["working_directory"]
    command = ["python", f"{folder}/train.py", f"--data={folder}/data", folder, f"{folder}s/other"]
    found = with_program(place, {**spec, "command": command})
    assert found["command"] == ["python", "./train.py", "--data=./data", ".", f"{folder}s/other"]


def test_too_large(place: Place, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is too large is refused in one sentence, with its size, what takes it, and the remedy."""
    monkeypatch.setattr("tunewell.service.packing.CODE", replace(own_programs.CODE, bytes=10))
    with pytest.raises(DataError, match=r"program: it holds .*; the largest: search\.yaml .*\.tunewellignore"):
        with_program(place, spec)
    assert not place.home.code.exists()


def test_no_folder(place: Place, spec: dict[str, Any]) -> None:
    """A folder that is not there is named; one with nothing but the spec is not needed."""
    with pytest.raises(SpecError, match="working_directory: there is no folder"):
        with_program(place, {**spec, "working_directory": "/no/such"})
    folder = Path(spec["working_directory"])
    for name in ("train.py", "other.yaml", ".tunewellignore", "runs/old"):
        (folder / name).unlink()
    found = with_program(place, spec)
    assert found["working_directory"] is None and "code" not in found
    assert with_program(place, {"task": "image-classification"}) == {"task": "image-classification"}


def test_function(place: Place) -> None:
    """A Python function becomes code, whose trials are a command that calls it."""
    found = with_function(place, {"parameters": {"x": [1, 2]}}, trained)
    assert found["function"].endswith("trained")
    assert [path.suffix for path in Path(found["working_directory"]).iterdir()] == [".pkl"]
    with pytest.raises(SpecError, match="code: a function needs none"):
        with_function(place, found, trained)
    with pytest.raises(SpecError, match=r"parameters\.y"):
        with_function(place, {"parameters": {"y": [1, 2]}}, trained)


def trained(x: float) -> float:
    """Train nothing."""
    return x
