"""What a search on other machines says beforehand of the program that is sent there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewell.home.cluster import Cluster
from tunewell.schedulers import hardware
from tunewell.service.findings import check_spec
from tunewell.service.storage import limits, own_programs
from tunewell.spec.capacity import Capacity
from tunewell.spec.errors import DataError

CLUSTER = Cluster("head:1", Capacity((hardware.empty_node(4, 1 << 34, ()),)))


def spec_of(folder: Path, *arguments: str, scheduler: str = "ray") -> dict[str, Any]:
    """Return the spec of a search over a program in a folder."""
    return {
        "name": "e",
        "command": ["python", "train.py", *arguments, "{x}"],
        "working_directory": str(folder),
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": {"x": {"low": 0.0, "high": 1.0}},
        "max_trials": 3,
        "scheduler": scheduler,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program, and with what it reads."""
    (tmp_path / "train.py").write_text("print('loss=1')")
    (tmp_path / "words.txt").write_text("x" * 2500)
    return tmp_path


def sent(spec: dict[str, Any]) -> list[str]:
    """Return what is found of what nodes get."""
    return [line for line in check_spec(spec, cluster=CLUSTER).findings if "odes" in line]


def test_what_is_sent_is_said(folder: Path) -> None:
    """How many files nodes get, and which paths mean what they have themselves."""
    inside, outside = str(folder / "words.txt"), str(folder.parent / "data")
    assert sent(spec_of(folder, inside, outside)) == [
        f"Nodes get a copy of {folder}: 2 files, 2.46 KiB.",
        f"'{outside}' is not sent: nodes read what they have there themselves.",
    ]
    (folder / ".tunewellignore").write_text("words.txt\n.tunewellignore\n")
    assert sent(spec_of(folder)) == [f"Nodes get a copy of {folder}: 1 file, 15 B."]
    assert sent(spec_of(folder, outside, scheduler="local")) == []


def test_a_folder_that_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before the search begins, with the largest files."""
    monkeypatch.setattr("tunewell.service.packing.CODE", limits.Limits(bytes=1000, entries=10))
    with pytest.raises(DataError, match=r"it holds 2\.46 KiB, and 1000 B can be sent; the largest: words\.txt"):
        check_spec(spec_of(folder), cluster=CLUSTER)
    assert own_programs.what_is_sent({**spec_of(folder), "code": "0" * 64}) == ()
