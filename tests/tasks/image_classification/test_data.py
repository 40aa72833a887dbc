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


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ("train val", "train val"),
        ("Training Validation", "train val"),
        ("training_set test_set", "train val test"),
        ("train valid test", "train val test"),
        ("seg_train/seg_train seg_test/seg_test", "train val test"),
        ("train2017 val2017", "train val"),
        ("images_train images_dev images_eval", "train val test"),
        ("fruits_train fruits_test", "train val test"),
        ("TRAIN/images TEST/images", "train val test"),
        ("data/data/train data/data/test", "train val test"),
        ("train", "train val"),
    ],
)
def test_names_of_splits(tmp_path: Path, folders: str, splits: str) -> None:
    """Folders under usual names are splits, with the same classes; without a `val`, `train` is divided."""
    make(tmp_path, *(f"{folder}/{name}/{i}.png" for folder in folders.split() for name in "ab" for i in range(5)))
    manifest = read_manifest(tmp_path, 0)
    assert (manifest.classes, list(manifest.splits)) == (("a", "b"), splits.split())
    counts = {split: len(positions) for split, positions in manifest.splits.items()}
    divided = len(folders.split()) < len(splits.split())
    assert counts["train"] == (8 if divided else 10)
    assert counts.get("test", 10) == 10


def test_splits_within_classes(tmp_path: Path) -> None:
    """Folders of splits may lie within those of classes; nothing is learned from the test pictures in there."""
    make(tmp_path, *(f"{name}/{split}/{i}.png" for name in "ab" for split in ("Train", "test") for i in range(4)))
    manifest = read_manifest(tmp_path, 0)
    assert {split: len(positions) for split, positions in manifest.splits.items()} == {"train": 6, "val": 2, "test": 8}
    assert {manifest.paths[position].split("/")[1] for position in manifest.splits["test"]} == {"test"}


def test_folders_within_classes(tmp_path: Path) -> None:
    """Folders in a class folder that are no splits are part of the class, which a note says."""
    make(tmp_path, *(f"{name}/{inner}/{i}.png" for name in "ab" for inner in ("images", "masks") for i in range(2)))
    manifest = read_manifest(tmp_path, 0)
    assert len(manifest.paths) == 8
    assert manifest.notes[0] == (
        "Folders within those of classes count as part of them: 8 pictures (2 in a/images, 2 in a/masks, 2 in b/images "
        "and 1 more), such as a/images/0.png."
    )
    make(tmp_path, "a/train/1.png", "a/test/1.png")
    assert len(read_manifest(tmp_path, 0).paths) == 10


def test_two_folders_of_a_split(tmp_path: Path) -> None:
    """Folders that are for the same split are read together, and a note says so."""
    make(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "val", "valid") for name in "ab"))
    manifest = read_manifest(tmp_path, 0)
    assert len(manifest.splits["val"]) == 4
    assert "Read together as val: the folders val, valid." in manifest.notes


@pytest.mark.parametrize(
    ("pictures", "classes"),
    [
        ("car/1 car/2 train/1 train/2 bus/1 bus/2", ("bus", "car", "train")),
        ("car/1 car/2 train/steam/1 train/diesel/2 bus/1 bus/2", ("bus", "car", "train")),
        ("car/old/1 car/new/2 train/steam/1 train/diesel/2", ("car", "train")),
        ("train/a/1 train/a/2 train/b/1 train/b/2 unlabelled/1 unlabelled/2", ("a", "b")),
        ("train/a/1 train/a/2 train/b/1 train/b/2 extra/a/3 extra/b/4", ("a", "b")),
        ("test_tube/1 test_tube/2 train_station/1 train_station/2 cat/1 cat/2", ("cat", "test_tube", "train_station")),
        ("a/1 a/2 b/1 b/2 cells/a/1 cells/a/2 cells/b/1 cells/b/2", ("a", "b")),
    ],
)
def test_splits_and_classes_are_told_apart(tmp_path: Path, pictures: str, classes: tuple[str, ...]) -> None:
    """A lone `train` among folders of pictures is a class, unless it holds what else would be classes."""
    make(tmp_path, *(f"{picture}.png" for picture in pictures.split()))
    assert read_manifest(tmp_path, 0).classes == classes


@pytest.mark.parametrize(
    ("test", "used", "note"),
    [
        ("test/1 test/2", 0, "Not used, having no labels: 2 pictures of test, in no class folder."),
        ("test/unknown/1", 0, "Not used, being of no class that train has (unknown): all 1 picture of test."),
        ("test/test/1 test/test/2", 0, "Not used, being of no class that train has (test): all 2 pictures of test."),
        ("test/a/1", 1, "Classes without a picture in test: b. Means over classes are there those over the classes "),
        ("test/A/1 test/B/2", 2, "Classes in another case than in train: A = a, B = b."),
        ("test/a/1 test/b/1 test/2", 2, "Left out, lying in no class folder of a split: 1 picture (1 in test), such"),
        (
            "test/a/1 test/b/1 test/c/1",
            2,
            "Left out, being of classes that train lacks (c): 1 of 3 pictures of test, such as test/c/1.png.",
        ),
    ],
)
def test_test_sets_are_used_as_far_as_they_go(tmp_path: Path, test: str, used: int, note: str) -> None:
    """A test set without labels, of other classes or without some stops no search, and a note says what is used."""
    make(tmp_path, *(f"{split}/{name}/{i}.png" for split in ("train", "val") for name in "ab" for i in range(2)))
    make(tmp_path, *(f"{picture}.png" for picture in test.split()))
    manifest = read_manifest(tmp_path, 0)
    assert len(manifest.splits.get("test", ())) == used
    assert manifest.classes == ("a", "b")
    assert [found for found in manifest.notes if found.startswith(note)] or not note


def test_a_validation_set_may_lack_a_class_or_labels(tmp_path: Path) -> None:
    """A class without validation pictures is noted; where no validation picture has a label, `train` is divided."""
    make(tmp_path, *(f"train/{name}/{i}.png" for name in "ab" for i in range(5)), "val/a/1.png")
    manifest = read_manifest(tmp_path, 0)
    assert any(note.startswith("Classes without a picture in val: b.") for note in manifest.notes)
    (tmp_path / "val" / "a" / "1.png").rename(tmp_path / "val" / "1.png")
    manifest = read_manifest(tmp_path, 0)
    assert {split: len(positions) for split, positions in manifest.splits.items()} == {"train": 8, "val": 2}
    assert any(note.startswith("Not used, having no labels: 1 picture of val") for note in manifest.notes)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Pictures in no split and in no class, unread endings and empty folders are counted, each with an example."""
    make(tmp_path, *(f"{split}/{name}/{i}.png" for split in ("train", "val") for name in "ab" for i in range(2)))
    make(tmp_path, "train/1.png", "2.png", "extra/a/3.png", "train/a/1.heic", "train/b/clip.mp4", "README.txt")
    (tmp_path / "train" / "c").mkdir()
    assert read_manifest(tmp_path, 0).notes == (
        "Left out, being empty: 1 folder, c.",
        "Left out, lying in no class folder of a split: 3 pictures (1 in ., 1 in extra/a, 1 in train), such as 2.png.",
        "Left out, not being pictures by their ending: 2 files (1 .heic, 1 .mp4), such as train/a/1.heic.",
    )


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
        (["a/1.jpg", "b/1.heic"], "{folder}/b: this class has no picture. Add some, or move the folder elsewhere."),
        (["a/1.jpg", "b/readme"], "{folder}: there is a single class, 'a'."),
        (
            ["a/1.jpg", "b/coco.json"],
            "{folder}/b: this class has no picture. Add some, or move the folder elsewhere. Annotations of objects are "
            "for the tasks object-detection and instance-segmentation.",
        ),
        (["train/1.jpg", "val/2.jpg"], "{folder}/train: it holds no class folders. "),
        (["val/a/1.jpg", "val/b/1.jpg"], "{folder}: it has val but no train folder. "),
        (["a/1.jpg", "b/1.jpg", "b/2.jpg"], "{folder}: class 'a' has a single picture, too few to divide "),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "val/c/1.jpg", "val/d/1.jpg"],
            "{folder}: val has only classes that train lacks: c, d. Make them agree.",
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
    """A class that val loses with its broken pictures is noted; one that train loses is refused."""
    manifest = Manifest(
        folder=Path("/data"),
        classes=("a", "b"),
        paths=tuple(f"{position}.png" for position in range(22)),
        labels=tuple(position % 2 for position in range(22)),
        splits={"train": tuple(range(20)), "val": (20, 21)},
    )
    left = check_classes_left(manifest, manifest.without([21]), {21: "empty"})
    assert [note.startswith("Classes without a picture in val: b.") for note in left.notes] == [True]
    broken = dict.fromkeys(range(1, 20, 2), "empty")
    with pytest.raises(DataError, match=r"no picture of class 'b' in train can be read: 1\.png"):
        check_classes_left(manifest, manifest.without(broken), broken)
