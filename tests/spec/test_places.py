"""Where recorded paths lead after something was moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.test_experiment import MINIMAL
from tunewell.spec.experiment import parse_spec
from tunewell.spec.places import moved, moved_spec, resolved_spec


def make(root: Path, *folders: str) -> None:
    """Make these folders below `root`."""
    for folder in folders:
        (root / folder).mkdir(parents=True)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["new/data"], "new/data"),
        (["old/data"], "old/data"),
        (["new/data", "old/data"], "old/data"),
        (["new/data", "old/data", "old/home"], "new/data"),
        (["old/data", "old/home"], "old/data"),
        ([], "new/data"),
        (["old/home"], "new/data"),
    ],
)
def test_a_path_goes_by_its_base(there: list[str], found: str, tmp_path: Path) -> None:
    """What a moved base left behind is meant, or what was moved along; of a copied base, what was copied with it."""
    make(tmp_path, *there)
    assert moved(tmp_path / "old/data", tmp_path / "old/home", tmp_path / "new/home") == tmp_path / found


def test_a_path_stays_while_its_base_does(tmp_path: Path) -> None:
    """Without a move a path is what was recorded, whether there is anything or not."""
    assert moved(tmp_path / "data", tmp_path / "home", tmp_path / "home") == tmp_path / "data"


def test_all_paths_of_a_spec_and_nothing_else(tmp_path: Path) -> None:
    """Data, weights and working directory are paths; the words that `weights` may be are none."""
    make(tmp_path, "new/work")
    before, now = tmp_path / "old/home", tmp_path / "new/home"
    command = parse_spec({**MINIMAL, "working_directory": str(tmp_path / "old/work")})
    assert moved_spec(command, before, now).working_directory == tmp_path / "new/work"
    fields = {"name": "a", "task": "image-classification", "network": "n", "objective": "accuracy"}
    task = parse_spec({**fields, "data": str(tmp_path / "old/data"), "weights": str(tmp_path / "old/w.pth")})
    found = moved_spec(task, before, now)
    assert (found.data, found.weights) == (tmp_path / "new/data", str(tmp_path / "new/w.pth"))
    assert moved_spec(parse_spec({**fields, "data": "/d", "weights": "none"}), before, now).weights == "none"


def test_links_and_dots_are_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a folder is spelled, and over whatever link it is reached, the spec is the same."""
    make(tmp_path, "data")
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    fields = {"name": "a", "task": "image-classification", "network": "n", "objective": "accuracy"}
    spellings = ["data", "./data", "x/../data", str(tmp_path / "data"), str(tmp_path / "link" / "data/")]
    (spec,) = {str(resolved_spec(parse_spec({**fields, "data": data})).data) for data in spellings}
    assert spec == str((tmp_path / "data").resolve())
