"""What is found in folders of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunewell.spec.errors import DataError
from tunewell.tasks.vision.files import collect_pictures, find_pictures, note_unread, step_into


def make(folder: Path, *paths: str) -> Path:
    """Make empty files."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def test_what_is_found(tmp_path: Path) -> None:
    """Pictures of every ending are found in all folders; other files are kept apart, but for foreign ones."""
    make(tmp_path, "a/1.JPG", "a/deep/2.jp2", "3.avif", "a/4.heic", "a/5", "README", "a/._1.jpg", "__MACOSX/a/1.jpg")
    make(tmp_path, "a/Thumbs.db", ".idea/misc.xml", "@eaDir/1.jpg")
    found = find_pictures(tmp_path)
    names = [
        sorted(path.relative_to(tmp_path).as_posix() for path in paths) for paths in (found.pictures, found.unread)
    ]
    assert names == [["3.avif", "a/1.JPG", "a/deep/2.jp2"], ["a/4.heic", "a/5"]]
    assert note_unread(tmp_path, found.unread) == [
        "Left out, not being pictures by their ending: 2 files (1 .heic, 1 no ending), such as a/4.heic."
    ]
    assert note_unread(tmp_path, []) == []
    assert len(collect_pictures([tmp_path, tmp_path / "3.avif"])) == 3


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        (["data/data/a/1.png", "data/data/b/2.png"], "data/data"),
        (["data/a/1.png", "data/b/2.png", "__MACOSX/data/a/._1.png", "README.md", ".DS_Store"], "data"),
        (["data/labels.csv", "data/1.png"], "data"),
        (["train_test_split/train/a/1.png", "train_test_split/val/a/2.png"], "train_test_split"),
        (["train/train/a/1.png", "train/val/a/2.png"], "train"),
        (["a/1.png", "b/2.png"], ""),
        (["data/a/1.png", "labels.csv"], ""),
        (["data/a/1.png", "2.png"], ""),
        (["train/a/1.png", "train/b/2.png"], ""),
        (["cat/1.png", "cat/2.png"], ""),
        ([], ""),
    ],
)
def test_folders_around_a_data_set(tmp_path: Path, paths: list[str], place: str) -> None:
    """A lone folder with folders or annotations is stepped into, with a note; a split or a class is none."""
    make(tmp_path, *paths)
    notes = [f"Read from {place}/, the only folder in {tmp_path}."] if place else []
    assert step_into(tmp_path) == (tmp_path / place, notes)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_closed_folder_is_named(tmp_path: Path) -> None:
    """Pictures in a folder that can't be read are not left out in silence."""
    make(tmp_path, "a/1.png", "a/closed/2.png")
    (tmp_path / "a" / "closed").chmod(0)
    with pytest.raises(DataError, match=r"a/closed: it can't be read"):
        find_pictures(tmp_path)


def test_a_folder_that_leads_to_itself(tmp_path: Path) -> None:
    """Stepping in comes to an end where a link leads back."""
    (tmp_path / "data").symlink_to(tmp_path)
    assert step_into(tmp_path)[0].is_dir()
