"""Reading spec files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tunewell.spec.errors import DataError, SpecError
from tunewell.spec.files import read_spec_file, to_yaml


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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my search (2).yaml", "my-search-2"),
        ("Übung.yaml", "Ubung"),
        (".yaml", "yaml"),
        ("-x-.yaml", "x"),
        ("日本.yaml", "search"),
        ("v1.2_final.yml", "v1.2_final"),
        (f"{'a' * 200}.yaml", "a" * 100),
    ],
)
def test_any_file_gives_a_name(tmp_path: Path, file: str, name: str) -> None:
    """A file that is called as no experiment may be gives one that is near."""
    assert read(tmp_path, "seed: 1", file)["name"] == name


def test_null_in_parameters_survives_writing(tmp_path: Path) -> None:
    """A default that is null is no field without a value."""
    spec = {"name": "a", "seed": None, "parameters": {"x": {"choices": [None, 1], "default": None}}}
    data = read(tmp_path, to_yaml(spec))
    assert data["parameters"] == spec["parameters"]
    assert "seed" not in data


@pytest.mark.parametrize("text", ["a\x85b", "\u2028", "\u2029", "a\r\nb", " a", "yes", "1e5", "ü", "\ufeffa"])
def test_texts_survive_writing(tmp_path: Path, text: str) -> None:
    """A text comes back as it was, whatever YAML takes for a line break or a value."""
    spec = {"name": "a", "project": text, "parameters": {"x": {"choices": [text, 1], "default": text}}}
    assert read(tmp_path, to_yaml(spec)) == spec


@pytest.mark.parametrize(("path", "problem"), [("a" * 300, "longer than a path"), ("~nobody-here/x", "leads nowhere")])
def test_paths_that_can_not_be(tmp_path: Path, path: str, problem: str) -> None:
    """A path that no file system has is refused with its field."""
    with pytest.raises(SpecError, match=f"^data: .*{problem}"):
        read(tmp_path, f"data: '{path}'")


def test_pipes_and_large_files_are_refused_at_once(tmp_path: Path) -> None:
    """Nothing waits for a pipe, and nothing reads a file that can be no spec."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.yaml").write_bytes(b"a" * 1_000_001)
    for name, problem in (("pipe", "it is no file"), ("large.yaml", "larger than a megabyte")):
        with pytest.raises(DataError, match=problem):
            read_spec_file(tmp_path / name)


def test_very_long_lists_are_read(tmp_path: Path) -> None:
    """20,000 choices are fine; 60,000 values are refused, with the limit."""
    assert len(read(tmp_path, f"x: [{', '.join(f'c{n}' for n in range(20_000))}]")["x"]) == 20_000
    for suffix in ("yaml", "json"):
        with pytest.raises(SpecError, match="more than 50000 values"):
            read(tmp_path, '{"x": [' + "1, " * 60_000 + "1]}", f"spec.{suffix}")


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
