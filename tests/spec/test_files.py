"""Reading spec files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewell.spec.errors import DataError, SpecError
from tunewell.spec.files import read_spec_file


def read(folder: Path, text: str, name: str = "spec.yaml") -> dict[str, Any]:
    """Write a file and read it as a spec."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_spec_file(path)


def test_numbers_of_yaml_1_2(tmp_path: Path) -> None:
    """`1e-5` is a number, in lists as well."""
    data = read(tmp_path, "a: 1e-5\nb: {low: 1e-5, high: 1E-1}\nc: [1e-5, 1.0e3, .5, +1, 0x1F]\n")
    assert data["a"] == 1e-5
    assert data["b"] == {"low": 1e-5, "high": 0.1}
    assert data["c"] == [1e-5, 1000.0, 0.5, 1, 31]


def test_words_of_yaml_1_2(tmp_path: Path) -> None:
    """`on`, `yes`, `no`, `none` and times of day are texts; true and null are not."""
    data = read(tmp_path, "a: [on, yes, no, none, 12:30, true, ~]\nno: y\n")
    assert data["a"] == ["on", "yes", "no", "none", "12:30", True, None]
    assert data["no"] == "y"


def test_the_name_is_the_files_unless_given(tmp_path: Path) -> None:
    """An experiment without a name is called like its file."""
    assert read(tmp_path, "seed: 1", "signs.yaml")["name"] == "signs"
    assert read(tmp_path, "name: other", "signs.yaml")["name"] == "other"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Data, weights and working directory are looked for beside the file; `auto` and `none` are no paths."""
    data = read(tmp_path, "data: ./pictures\nweights: ../w.pt\ncommand: [a]\nworking_directory: code\n")
    assert data["data"] == str(tmp_path / "pictures")
    assert data["weights"] == str(tmp_path.parent / "w.pt")
    assert data["working_directory"] == str(tmp_path / "code")
    assert read(tmp_path, "command: [a]")["working_directory"] == str(tmp_path)
    assert read(tmp_path, "weights: none")["weights"] == "none"
    assert "working_directory" not in read(tmp_path, "task: a")


def test_absolute_paths_and_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute paths stay, `~` is the user's folder."""
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read(tmp_path, "data: /data/pictures")["data"] == "/data/pictures"
    assert read(tmp_path, "data: ~/pictures")["data"] == "/home/somebody/pictures"


def test_json(tmp_path: Path) -> None:
    """A JSON file does as well, tabs and byte order mark included."""
    text = "\ufeff" + json.dumps({"seed": 3, "parameters": {"x": [1e-5]}}, indent="\t")
    assert read(tmp_path, text, "spec.json") == {"name": "spec", "seed": 3, "parameters": {"x": [1e-5]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"seed": 1,}', "line 1, column"),
        ('{"a": 1, "a": 2}', "'a' is there twice. Keep one of them."),
        ("[1]", "it holds no mapping. Write `field: value` lines."),
    ],
)
def test_bad_json(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong with a JSON file is said with its place."""
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text, "spec.json")
    assert message in str(caught.value)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is no text are named."""
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    for path, problem in (
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path, "it is no file"),
        (tmp_path / "binary.yaml", "it is no text in UTF-8"),
    ):
        with pytest.raises(DataError) as caught:
            read_spec_file(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert problem in str(caught.value)


def test_nesting_without_end(tmp_path: Path) -> None:
    """A file nested beyond all sense is refused like any other."""
    for suffix in ("yaml", "json"):
        with pytest.raises(SpecError, match="values are nested deeper than 20 levels"):
            read(tmp_path, '{"a": ' + "[" * 50_000, f"spec.{suffix}")
