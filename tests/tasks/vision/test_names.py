"""What names of files and folders say."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from tunewell.tasks.vision.names import (
    is_document,
    is_foreign,
    is_picture,
    is_split,
    is_within_foreign,
    picture_suffixes,
    split_of,
    splits_among,
)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        (
            "train",
            ["train", "Training", "TRAIN", "trn", "tr", "training_set", "train_images", "TrainImages", "trainset"],
        ),
        (
            "train",
            ["train2017", "images-train", "seg_train", "Train Data", "train_1", "trainval", "train_val", "TrainSet2"],
        ),
        (
            "val",
            ["val", "valid", "Validation", "DEV", "development", "eval", "evaluation", "val2017", "valset", "holdout"],
        ),
        ("test", ["test", "Testing", "tst", "te", "test_set", "seg_test", "test1", "TestImages", "test-dev", "tests"]),
    ],
)
def test_names_that_are_splits(split: str, names: list[str]) -> None:
    """Usual names of splits are known in either case, with numbers and with words that add nothing."""
    assert {name: split_of(name) for name in names} == dict.fromkeys(names, split)
    assert all(map(is_split, names))


@pytest.mark.parametrize("name", ["train_station", "crash test", "instances_val2017", "fruits_train", "test_masks"])
def test_names_with_a_split_and_more(name: str) -> None:
    """A name with other words in it says a split, but may be that of a class."""
    assert split_of(name)
    assert not is_split(name)


@pytest.mark.parametrize(
    "name", ["cat", "strain", "contest", "retrieval", "latest", "images", "", "train_test_split", "12"]
)
def test_names_that_say_no_split(name: str) -> None:
    """Words that hold the letters of a split's name, and names of all splits at once, are none."""
    assert split_of(name) == ""
    assert not is_split(name)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        ("train test extra", {"train": "train", "test": "test"}),
        ("fruits_train fruits_test", {"fruits_train": "train", "fruits_test": "test"}),
        ("fruits_train fruits_test apples", {}),
        ("train_station bus", {}),
        ("train eval", {"train": "train", "eval": "val"}),
        ("train dev eval", {"train": "train", "dev": "val", "eval": "test"}),
        ("train val test evaluation", {"train": "train", "val": "val", "test": "test", "evaluation": "val"}),
        ("train val valid", {"train": "train", "val": "val", "valid": "val"}),
    ],
)
def test_splits_among_names(names: str, splits: dict[str, str]) -> None:
    """What a name says depends on its neighbours: longer names, and what an evaluation set is for."""
    assert splits_among(names.split()) == splits


@pytest.mark.parametrize(
    "name",
    [
        "._a.csv",
        ".DS_Store",
        ".idea",
        ".ipynb_checkpoints",
        "__MACOSX",
        "Thumbs.db",
        "Desktop.ini",
        "@eaDir",
        "~$a.csv",
        "a~",
    ],
)
def test_foreign_names(name: str) -> None:
    """What systems and editors leave behind is no part of a data set, nor is what lies in it."""
    assert is_foreign(name)
    assert is_within_foreign(PurePath("labels", name, "a.txt"))
    assert not is_within_foreign(PurePath("labels", "a.txt"))


def test_documents() -> None:
    """Read-mes, licences and programs are about a data set."""
    assert all(map(is_document, ["README", "readme.txt", "README.roboflow.txt", "LICENSE", "notes.md", "load.py"]))
    assert not any(map(is_document, ["a.txt", "labels.csv", "clip.mp4", "0001", "license_plate_1.txt", "authors2.txt"]))


def test_endings_of_pictures() -> None:
    """Every format that Pillow reads by itself is a picture; documents, films and data in stubs are none."""
    assert {".avif", ".jp2", ".jfif", ".pnm", ".tga", ".pfm", ".fits", ".mpo", ".qoi", ".psd"} <= picture_suffixes()
    assert not {".pdf", ".eps", ".ps", ".mpg", ".wmf", ".h5", ".grib", ".flc", ".heic", ".txt"} & picture_suffixes()
    assert is_picture("a.b.JPG")
    assert not is_picture("jpg")
