"""What is read from a folder of pictures, and what is refused."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.spec.errors import DataError
from tunewell.tasks.image_classification.data import Manifest, check_classes_left, read_manifest, stratified_share
from tunewell.tasks.vision.picture_set import fingerprint


def make(folder: Path, *paths: str) -> Path:
    """Make empty files."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def test_given_splits_are_kept(tmp_path: Path) -> None:
    """Splits, classes and labels are those of the folders; other files and hidden folders are left out."""
    make(tmp_path, "train/cat/1.jpg", "train/cat/deep/2.PNG", "train/dog/3.jpeg", "train/dog/notes.txt")
    make(tmp_path, "val/cat/4.jpg", "val/dog/5.jpg", "test/cat/6.jpg", "test/dog/7.webp")
    make(tmp_path, "train/.hidden/8.jpg", "train/__pycache__/9.jpg", "train/cat/.10.jpg", "labels.csv")
    manifest = read_manifest(tmp_path, 0)
    named = {split: [manifest.paths[p] for p in positions] for split, positions in manifest.splits.items()}
    assert manifest.classes == ("cat", "dog")
    assert named == {
        "train": ["train/cat/1.jpg", "train/cat/deep/2.PNG", "train/dog/3.jpeg"],
        "val": ["val/cat/4.jpg", "val/dog/5.jpg"],
        "test": ["test/cat/6.jpg", "test/dog/7.webp"],
    }
    assert manifest.split_labels("train") == [0, 0, 1]
    assert manifest.path(0) == tmp_path / manifest.paths[0]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_names_of_the_validation_split(tmp_path: Path, name: str) -> None:
    """Usual names of the validation split mean the same."""
    make(tmp_path, "train/a/1.png", "train/b/2.png", f"{name}/a/3.png", f"{name}/b/4.png")
    assert set(read_manifest(tmp_path, 0).splits) == {"train", "val"}


def test_one_folder_is_divided_stratified(tmp_path: Path) -> None:
    """An undivided set is divided 80/20 in each class, the same for the same seed, with a note."""
    make(tmp_path, *(f"a/{i}.png" for i in range(50)), *(f"b/{i}.png" for i in range(10)))
    manifest = read_manifest(tmp_path, 1)
    assert Counter(manifest.split_labels("val")) == {0: 10, 1: 2}
    assert sorted(manifest.splits["train"] + manifest.splits["val"]) == list(range(60))
    assert read_manifest(tmp_path, 1) == manifest
    assert read_manifest(tmp_path, 2).splits != manifest.splits
    assert manifest.notes == ("Divided at random, class by class: 48 pictures to train on, 12 to validate on.",)


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    """A picture whose copy is learned from never validates; where all are copies, they are divided all the same."""
    make(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(20)))
    for path in tmp_path.rglob("*.png"):
        path.write_text(path.parent.name + str(int(path.stem) // 2))
    manifest = read_manifest(tmp_path, 0)
    content = {split: {manifest.path(p).read_text() for p in manifest.splits[split]} for split in manifest.splits}
    assert not content["train"] & content["val"]
    for path in tmp_path.rglob("*.png"):
        path.write_text("the same")
    assert len(read_manifest(tmp_path, 0).splits["val"]) == 8


def test_train_without_val_is_divided_and_test_kept(tmp_path: Path) -> None:
    """Where only `val` is missing, it is taken from `train`, never from `test`."""
    make(tmp_path, *(f"{split}/{name}/{i}.png" for split in ("train", "test") for name in "ab" for i in range(5)))
    manifest = read_manifest(tmp_path, 0)
    assert {split: len(positions) for split, positions in manifest.splits.items()} == {"train": 8, "val": 2, "test": 10}
    assert all(manifest.paths[p].startswith("test/") for p in manifest.splits["test"])
    assert all(manifest.paths[p].startswith("train/") for p in manifest.splits["val"])


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """A folder of pictures called `train` beside other class folders is a class."""
    make(tmp_path, *(f"{name}/{i}.png" for name in ("car", "train") for i in range(5)))
    assert read_manifest(tmp_path, 0).classes == ("car", "train")


def test_linked_class_folders(tmp_path: Path) -> None:
    """Class folders may be links."""
    make(tmp_path / "elsewhere", "1.png", "2.png")
    make(tmp_path / "data", "a/1.png", "a/2.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    assert read_manifest(tmp_path / "data", 0).paths == ("a/1.png", "a/2.png", "b/1.png", "b/2.png")


def test_only_files_are_pictures(tmp_path: Path) -> None:
    """Pipes, sockets, folders and links to nowhere with the name of a picture are left out, and counted in a note."""
    make(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(5)), "b/folder.png/6.png")
    (tmp_path / "a" / "link.png").symlink_to(tmp_path / "b" / "0.png")
    (tmp_path / "a" / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "a" / "loop.png").symlink_to(tmp_path / "a" / "loop.png")
    os.mkfifo(tmp_path / "b" / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "b" / "socket.gif"))  # absolute, it could be too long
        manifest = read_manifest(tmp_path, 0)
    assert {path for path in manifest.paths if not path[2:3].isdigit()} == {"a/link.png", "b/folder.png/6.png"}
    assert len(manifest.paths) == 12
    assert (
        "Left out, being folders, pipes or links to nowhere with the name of a picture: 5, such as a/loop.png."
        in manifest.notes
    )


def test_a_class_of_no_files_has_no_pictures(tmp_path: Path) -> None:
    """A class whose pictures all are links to nowhere is refused like an empty one."""
    make(tmp_path, "a/1.png", "a/2.png", "b/.keep")
    (tmp_path / "b" / "1.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match="/b: this class has no picture"):
        read_manifest(tmp_path, 0)


@pytest.mark.parametrize("name", [b"caf\xe9/1.png", b"a/caf\xe9.png", b"a/caf\xe9/1.png"])
def test_names_that_are_not_utf8_are_refused(tmp_path: Path, name: bytes) -> None:
    """The class folder or file is named, printably, with the remedy."""
    make(tmp_path, "a/1.png", "b/2.png", os.fsdecode(name))
    with pytest.raises(
        DataError, match=r"/caf\\xe9\S*: this name is not valid UTF-8\. Rename the file or folder\.$"
    ) as caught:
        read_manifest(tmp_path, 0)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["readme.txt"], "{folder}: there are no pictures in its class folders. Known are the endings "),
        (["1.jpg", "2.jpg"], "{folder}: its 2 pictures are in no class folder. Make one folder per class."),
        (["a/1.txt", "b/2.txt"], "{folder}: there are no pictures in its class folders. "),
        (["a/1.jpg", "a/2.jpg"], "{folder}: there is a single class, 'a'. Telling apart needs two or more."),
        (["a/1.jpg", "b/readme"], "{folder}/b: this class has no picture. Add some, or move the folder elsewhere."),
        (
            ["a/1.jpg", "b/coco.json"],
            "{folder}/b: this class has no picture. Add some, or move the folder elsewhere. Annotations of objects are "
            "for the tasks object-detection and instance-segmentation.",
        ),
        (["train/1.jpg", "val/2.jpg"], "{folder}/train: it holds no class folders. "),
        (["val/a/1.jpg", "val/b/1.jpg"], "{folder}: it has val but no train folder. "),
        (["a/1.jpg", "b/1.jpg", "b/2.jpg"], "{folder}: class 'a' has a single picture, too few to divide "),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg", "val/c/1.jpg"],
            "{folder}: val has classes that train lacks: c. Make them agree.",
        ),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"],
            "{folder}: val lacks classes that train has: b. Make them agree.",
        ),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg"],
            "{folder}/valid: there are two val folders. Keep one of them.",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    """A folder that can't be used is refused with the place, the problem and the remedy."""
    make(tmp_path, *files)
    with pytest.raises(DataError, match="^" + re.escape(message.format(folder=tmp_path))):
        read_manifest(tmp_path, 0)


def test_missing_folder(tmp_path: Path) -> None:
    """A path that is no folder is named."""
    with pytest.raises(DataError, match="nowhere: it does not exist"):
        read_manifest(tmp_path / "nowhere", 0)
    with pytest.raises(DataError, match=r"file\.zip: it is neither a folder nor a table"):
        read_manifest(make(tmp_path, "file.zip") / "file.zip", 0)


def test_strong_imbalance_is_noted(tmp_path: Path) -> None:
    """A class with ten times the pictures of another one brings a note with both counts."""
    make(tmp_path, *(f"a/{i}.png" for i in range(50)), *(f"b/{i}.png" for i in range(5)))
    notes = read_manifest(tmp_path, 0).notes
    assert any(note.startswith("Unbalanced: 40 training pictures of 'a', 4 of 'b'.") for note in notes)


def test_the_manifest_survives_its_file(digits: Path, tmp_path: Path) -> None:
    """A saved manifest is loaded as it was."""
    manifest = read_manifest(digits, 0)
    manifest.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json") == manifest


def test_the_fingerprint_sees_changes(own_digits: Path) -> None:
    """It depends on names, sizes and times of the pictures, and not on where the folder lies."""
    manifest = read_manifest(own_digits, 0)
    before = fingerprint(manifest)
    moved = own_digits.with_name("moved")
    shutil.copytree(own_digits, moved)
    assert fingerprint(read_manifest(moved, 0)) == before
    os.utime(manifest.path(0), ns=(1, 1))
    assert fingerprint(manifest) != before


def test_the_fingerprint_opens_no_pipe(tmp_path: Path) -> None:
    """A picture that has become a pipe since the manifest was made is named; decoding it would wait for ever."""
    manifest = read_manifest(make(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(2))), 0)
    manifest.path(0).unlink()
    os.mkfifo(manifest.path(0))
    with pytest.raises(DataError, match=r"a/0\.png: this picture is no file any more"):
        fingerprint(manifest)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=200),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**32),
)
def test_shares_are_stratified_and_nested(labels: list[int], share: float, seed: int) -> None:
    """Each class gets its share, at least one picture, and a smaller share is a part of a larger one."""
    chosen = stratified_share(labels, share, seed)
    counts, all_counts = Counter(np.asarray(labels)[chosen].tolist()), Counter(labels)
    assert counts == {label: max(1, round(share * count)) for label, count in all_counts.items()}
    assert sorted(set(chosen.tolist())) == chosen.tolist()
    assert set(stratified_share(labels, share / 2, seed)) <= set(chosen)


def test_a_class_without_readable_pictures() -> None:
    """A split that loses a class with its broken pictures is refused."""
    manifest = Manifest(
        folder=Path("/data"),
        classes=("a", "b"),
        paths=tuple(f"{position}.png" for position in range(22)),
        labels=tuple(position % 2 for position in range(22)),
        splits={"train": tuple(range(20)), "val": (20, 21)},
    )
    with pytest.raises(DataError, match=r"no picture of class 'b' in val can be read: 21\.png"):
        check_classes_left(manifest, manifest.without([21]), {21: "empty"})
