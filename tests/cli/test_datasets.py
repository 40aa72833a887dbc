"""Data sets on the command line."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tasks.object_detection.scenes import make_scenes, write_coco
from tunewell.tasks.image_classification.digits import write_digits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data."""
    (tmp_path / "pets/cat").mkdir(parents=True)
    (tmp_path / "pets/cat/1.png").write_bytes(b"cat")
    return tmp_path / "pets"


def test_the_life_of_a_data_set(run: Run, folder: Path) -> None:
    """Added, listed, shown, deleted, restored, and gone."""
    added = run("datasets", "add", "pets", folder)
    assert "pets: 1 file, 3 B, seen by everybody" in added.out and "data: dataset:pets" in added.out, added.err
    content = run("datasets", "show", "pets", "--json").json["sha256"]
    assert run("datasets", "add", "again", folder, "--private", "--json").json["sha256"] == content
    listed = run("datasets", "list")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["again", "pets"]
    assert "tunewell datasets restore pets" in run("datasets", "delete", "pets").out
    assert run("datasets", "show", "pets").code == 2
    assert [one["name"] for one in run("datasets", "list", "--deleted", "--json").json] == ["pets"]
    assert run("datasets", "restore", "pets").code == 0
    assert run("datasets", "delete", "pets", "--forever").out == "It is gone.\n"


def test_an_archive(run: Run, folder: Path, tmp_path: Path) -> None:
    """An archive is as good as a folder; one that is none is told."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.add(folder, "pets")
    (tmp_path / "pets.tar.gz").write_bytes(file.getvalue())
    assert run("datasets", "add", "pets", "pets.tar.gz", "--json").json["files"] == 1
    (tmp_path / "no.zip").write_text("no archive")
    refused = run("datasets", "add", "other", "no.zip")
    assert refused.code == 2 and "no.zip: it is no archive" in refused.err


def test_a_folder_where_it_is(run: Run, folder: Path, tmp_path: Path) -> None:
    """It must be allowed first; a folder that holds the home never is."""
    assert run("datasets", "allow").out == "No folder is allowed.\n"
    refused = run("datasets", "add", "pets", folder, "--in-place")
    assert refused.code == 2 and "no data set can be made of it" in refused.err
    assert "the home lies in it" in run("datasets", "allow", tmp_path).err
    assert str(folder) in run("datasets", "allow", folder).out
    assert run("datasets", "add", "pets", folder, "--in-place", "--json").json["folder"] == str(folder)
    assert run("datasets", "allow", folder, "--withdraw").out == "No folder is allowed.\n"


def test_it_is_read_as_the_task_that_fits(run: Run, tmp_path: Path) -> None:
    """Boxes are not taken for a folder of classes, and nobody need say which task reads them."""
    write_coco(tmp_path / "scenes", make_scenes({"train": 8, "val": 4}))
    assert run("datasets", "add", "scenes", "scenes").code == 0
    checked = run("datasets", "check", "scenes")
    assert checked.code == 0 and "read as   object-detection" in checked.out, checked.err
    refused = run("datasets", "check", "scenes", "--task", "image-classification")
    assert refused.code == 2 and "Annotations of objects" in refused.err


def test_a_spec_names_it(run: Run, tmp_path: Path) -> None:
    """A spec file beside which no such folder lies is checked with the data set."""
    write_digits(tmp_path / "digits")
    assert run("datasets", "add", "digits", "digits").code == 0
    assert "train" in run("datasets", "check", "digits").out
    (tmp_path / "spec.yaml").write_text("task: image-classification\ndata: dataset:digits\n")
    checked = run("check", "spec.yaml", "--no-estimate")
    assert checked.code == 0, checked.err
    (tmp_path / "spec.yaml").write_text("task: image-classification\ndata: dataset:digit\n")
    refused = run("check", "spec.yaml")
    assert refused.code == 2 and "data: there is no data set 'digit'. Did you mean 'digits'?" in refused.err
